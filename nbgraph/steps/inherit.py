"""Inherit: the arguments of a class whose constructor hands `**options` on to its base."""

from __future__ import annotations

import inspect


def whole_signature(kind: type) -> inspect.Signature:
    """The signature of a class's constructor, with what its base takes by name in the place of `**options`.

    >>> class Base:
    ...     def __init__(self, model=None, *, name=None): ...
    >>> class Own(Base):
    ...     def __init__(self, limit, **options): ...
    >>> str(whole_signature(Own))
    '(limit, *, model=None, name=None)'

    So the engine sees that such a class names `context`, and a form or a completion lists all that it takes.
    """
    own = list(inspect.signature(kind.__init__).parameters.values())[1:]  # type: ignore[misc]
    if not own or own[-1].kind is not inspect.Parameter.VAR_KEYWORD:
        return inspect.Signature(own)
    base = list(inspect.signature(kind.__mro__[1]).parameters.values())
    known = {parameter.name for parameter in own}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    passed = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in base
        if parameter.kind in named and parameter.name not in known
    ]
    rest = [parameter for parameter in base[-1:] if parameter.kind is inspect.Parameter.VAR_KEYWORD]
    return inspect.Signature([*own[:-1], *passed, *rest])
