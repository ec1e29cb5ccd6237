"""What the steps of the graph "old" call, as it stood in the notebook."""

from nbgraph.capture.artifacts import artifacts_of
from nbgraph.steps.operators import Filter
from nbgraph.steps.windows_aggregate import AggregateByKey

artifact = artifacts_of(globals())

__all__ = ["AggregateByKey", "Filter", "add_country", "spend_aggregates", "with_policy"]

customers = artifact("customers")
policy = artifact("policy")
spend_aggregates = artifact("spend_aggregates")


def add_country(body):
    return {**body, "country": customers[(body["shop"], body["card"])]["country"]}


def with_policy(body):
    return {**body, "policy": str(policy["emit"]), "parts": len(policy[("odd", 1)])}
