"""The notebook extension: `%load_ext nbgraph`, `%%graph`, `%graph`, completion, short tracebacks."""

from nbgraph.magic.extension import load

__all__ = ["load"]
