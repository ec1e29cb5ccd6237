"""The feature store: an ingest pipeline is a graph, and training and serving get the same numbers."""

from nbgraph.features.ingest import Ingest
from nbgraph.features.set import FeatureSet
from nbgraph.features.store import FeatureStore
from nbgraph.features.vector import FeatureVector

__all__ = ["FeatureSet", "FeatureStore", "FeatureVector", "Ingest"]
