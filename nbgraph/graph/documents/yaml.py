"""YAML: text and plain data, read strictly: no key twice, nothing that unfolds without end."""

from __future__ import annotations

from typing import Any

import yaml

from nbgraph.errors import GraphError

LARGEST = 2_000_000  # values, with every alias unfolded
DEEPEST = 200

_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _WithoutAliases(_Dumper):  # type: ignore[misc]  # which class is known only at run time
    def ignore_aliases(self, data: Any) -> bool:
        return True


def write_yaml(document: Any) -> str:
    """Plain data as YAML, in its own order.

    >>> print(write_yaml({"a": [1, {"b": None}]}))
    a:
    - 1
    - b: null
    """
    return yaml.dump(document, Dumper=_WithoutAliases, sort_keys=False, allow_unicode=True, width=120)


def read_yaml(text: str) -> Any:
    """The data of a YAML text.

    >>> read_yaml("a: 1\\na: 2")
    Traceback (most recent call last):
    nbgraph.errors.GraphError: line 2: "a" stands twice in one mapping of the document; one of the two would be lost.
    """
    text = text.removeprefix("\ufeff")
    loader = _Loader(text)
    try:
        _check_depth(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check(node, {})
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise GraphError(f"The text is not YAML: {' '.join(str(error).split())}") from error
    except (RecursionError, ValueError) as error:
        raise GraphError(f"The YAML can't be read: {error}") from error
    finally:
        loader.dispose()


def _check_depth(text: str) -> None:
    """The parser in C would overflow the process's stack."""
    depth = line = 0
    event: Any
    try:
        for event in yaml.parse(text, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            line = event.start_mark.line + 1
            if depth > DEEPEST:
                raise _too_deep(line)
    except yaml.MarkedYAMLError as error:
        if "nesting depth" in str(error):  # newer parsers read ahead, and have a limit of their own
            raise _too_deep(line) from error
        raise


def _too_deep(line: int) -> GraphError:
    return GraphError(f"line {line}: more than {DEEPEST} values inside each other.")


def _check(node: yaml.Node, sizes: dict[int, int]) -> int:
    """How many values the node unfolds to; an alias counts each time it is used."""
    if id(node) in sizes:
        if not sizes[id(node)]:
            raise GraphError(f"line {node.start_mark.line + 1}: an anchor contains itself.")
        return sizes[id(node)]
    sizes[id(node)] = 0
    size = 1
    if isinstance(node, yaml.SequenceNode):
        size += sum(_check(item, sizes) for item in node.value)
    elif isinstance(node, yaml.MappingNode):
        _check_keys(node)
        size += sum(_check(key, sizes) + _check(item, sizes) for key, item in node.value)
    if size > LARGEST:
        raise GraphError(f"line {node.start_mark.line + 1}: the anchors unfold to more than {LARGEST} values.")
    sizes[id(node)] = size
    return size


def _check_keys(node: yaml.MappingNode) -> None:
    seen = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            name = (key.tag, key.value)
            if name in seen and not key.tag.endswith("merge"):
                raise GraphError(
                    f'line {key.start_mark.line + 1}: "{key.value}" stands twice in one mapping of the document; '
                    "one of the two would be lost."
                )
            seen.add(name)
