"""Cells: random notebooks, of what ordinary ones have: functions, classes, closures, patches, registries, magics."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field

from hypothesis import strategies as st

MAGICS = ("", "", "", "%%time", "%%capture")


@dataclass
class Written:
    """A notebook while it is drawn: its cells; functions of one argument, classes, objects and lists by their names."""

    cells: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    def cell(self, text: str, magic: str = "") -> None:
        text = textwrap.dedent(text).strip()
        self.cells.append(f"{magic}\n{text}" if magic else text)

    def new(self, kind: str) -> str:
        names = getattr(self, kind)
        name = f"{kind[0]}{len(names)}"
        names.append(name)
        return name


@st.composite
def notebooks(draw: st.DrawFn) -> Written:
    written = Written()
    written.cell("def size(value): return len(value) if hasattr(value, '__len__') else 0")
    for _ in range(draw(st.integers(3, 9))):
        kind = draw(st.sampled_from(KINDS))
        kind(draw, written)
    callable_ones = [*written.functions, *written.classes, *(f"{name}.do" for name in written.objects)]
    if not callable_ones:
        _function(draw, written)
        callable_ones = written.functions
    steps = draw(st.lists(st.sampled_from(callable_ones), min_size=1, max_size=4))
    written.cell("_ = g" + "".join(f".to({step}, 's{number}')" for number, step in enumerate(steps)) + ".respond()")
    written.steps = steps
    return written


def _magic(draw: st.DrawFn) -> str:
    return draw(st.sampled_from(MAGICS))


def _call(draw: st.DrawFn, written: Written, argument: str) -> str:
    """An expression that uses something of the notebook."""
    found = [argument, str(draw(st.integers(0, 9)))]
    found += [f"({argument} + {name})" for name in written.numbers]
    found += [f"{name}({argument})" for name in written.functions]
    found += [f"{name}().do({argument})" for name in written.classes]
    found += [f"{name}.do({argument})" for name in written.objects]
    found += [f"({argument} + len({name}))" for name in written.lists]
    return draw(st.sampled_from(found))


def _number(draw: st.DrawFn, written: Written) -> None:
    is_again = bool(written.numbers) and draw(st.booleans())
    name = draw(st.sampled_from(written.numbers)) if is_again else written.new("numbers")
    written.cell(f"{name} = {draw(st.integers(0, 99))}", _magic(draw))


def _list(draw: st.DrawFn, written: Written) -> None:
    if written.lists and draw(st.booleans()):
        other = draw(st.sampled_from(written.lists))
        form = draw(st.sampled_from(["{0}", "[{0}, 1]", "dict(a={0})"]))
        written.cell(f"{written.new('lists')} = {form.format(other)}")
    else:
        written.cell(f"{written.new('lists')} = {draw(st.sampled_from(['[]', '[1, 2]', '{}', '{1: [2]}']))}")


def _function(draw: st.DrawFn, written: Written) -> None:
    body = _call(draw, written, "e")
    default = draw(st.sampled_from(["", ", k=1", ", *, k=2", *(f", k={name} * 2" for name in written.numbers)]))
    more = " + k" if default else ""
    name = written.new("functions")
    form = draw(st.sampled_from(["def", "lambda", "decorated"]))
    if form == "lambda":
        written.cell(f"{name} = lambda e{default}: {body}{more}", _magic(draw))
    else:
        wrapper = "import functools\n@functools.lru_cache\n" if form == "decorated" else ""
        comment = draw(st.sampled_from(["", "# at the margin\n", "    # within\n"]))
        written.cell(f"{wrapper}def {name}(e{default}):\n{comment}    return {body}{more}", _magic(draw))


def _appending(draw: st.DrawFn, written: Written) -> None:
    if written.lists:
        one = draw(st.sampled_from(written.lists))
        name = written.new("functions")
        written.cell(f"def {name}(e):\n    {_note(one)}\n    return e + len({one})", _magic(draw))


def _note(name: str) -> str:
    return f"{name}.append(1) if isinstance({name}, list) else {name}.update({{len({name}): 1}})"


def _counting(draw: st.DrawFn, written: Written) -> None:
    if written.numbers:
        one = draw(st.sampled_from(written.numbers))
        name = written.new("functions")
        written.cell(f"def {name}(e):\n    global {one}\n    {one} += 1\n    return e + {one}")


def _class(draw: st.DrawFn, written: Written) -> None:
    name = f"C{len(written.classes)}"
    base = draw(st.sampled_from(["", "", *(f"({one})" for one in written.classes)]))
    value = draw(st.sampled_from(["1", "[]", *written.numbers, *written.lists]))
    body = _call(draw, written, "e")
    extra = "" if not base or draw(st.booleans()) else "        e = super().do(e)\n"
    data = draw(st.sampled_from(["", "", "from dataclasses import dataclass\n@dataclass\n"]))
    counted = "    n: int = 0\n" if data else "    def __init__(self): self.n = 0\n"
    written.cell(
        f"{data}class {name}{base}:\n    value = {value}\n{counted}    def do(self, e):\n{extra}"
        f"        self.n += 1\n        return {body} + self.n + size(self.value)",
        _magic(draw),
    )
    written.classes.append(name)


def _object(draw: st.DrawFn, written: Written) -> None:
    if written.classes:
        kind = draw(st.sampled_from(written.classes))
        name = written.new("objects")
        more = f"\n{name}.extra = {draw(st.sampled_from([*written.lists, '3']))}"
        written.cell(f"{name} = {kind}(){more}")


def _closures(draw: st.DrawFn, written: Written) -> None:
    one, other = written.new("functions"), written.new("functions")
    start = draw(st.sampled_from(["0", *written.numbers]))
    written.cell(f"""
        def make_{one}(n):
            seen = []
            def count(e):
                nonlocal n
                n += 1
                seen.append(e)
                return e + n
            def look(e):
                return e + len(seen) + n
            return count, look
        {one}, {other} = make_{one}({start})
    """)


def _patch(draw: st.DrawFn, written: Written) -> None:
    if not written.classes:
        return
    kind = draw(st.sampled_from(written.classes))
    form = draw(st.sampled_from(["value", "method", "class method", "gone"]))
    if form == "value":
        written.cell(f"{kind}.value = {draw(st.sampled_from(['5', '[1, 2, 3]', *written.lists]))}")
    elif form == "method":
        written.cell(f"{kind}.do = lambda self, e: {_call(draw, written, 'e')} + 100")
    elif form == "class method":
        written.cell(f"{kind}.made = classmethod(lambda cls, e: e)")
    else:
        written.cell(f"if 'value' in vars({kind}) and {kind}.__mro__[1] is object: {kind}.value = 0")


def _attribute(draw: st.DrawFn, written: Written) -> None:
    name = f"f{len(written.functions)}"
    written.cell(
        f"def {name}(e): return e + {name}.limit\n{name}.limit = {draw(st.sampled_from(['7', *written.numbers]))}"
    )
    written.functions.append(name)


def _registry(draw: st.DrawFn, written: Written) -> None:
    table, call = f"TABLE{len(written.cells)}", _call(draw, written, "e")
    name = written.new("functions")
    written.cell(f"""
        {table} = {{}}
        def put_{table}(key):
            def put(f):
                {table}[key] = f
                return f
            return put
        @put_{table}(0)
        def even_{table}(e): return {call}
        @put_{table}(1)
        def odd_{table}(e): return e + 1
        def {name}(e): return {table}[int(e) % 2](e)
    """)


def _family(draw: st.DrawFn, written: Written) -> None:
    base, call = f"Base{len(written.cells)}", _call(draw, written, "e")
    name = written.new("functions")
    how = draw(st.sampled_from([f"{base}.kinds", f"{base}.__subclasses__()"]))
    written.cell(f"""
        class {base}:
            kinds = []
            def __init_subclass__(cls): {base}.kinds.append(cls)
        class {base}A({base}):
            def go(self, e): return e + 1
        class {base}B({base}):
            def go(self, e): return {call}
        def {name}(e): return sum(kind().go(e) for kind in {how})
    """)


def _again(draw: st.DrawFn, written: Written) -> None:
    """A cell is run once more."""
    again = [cell for cell in written.cells if "__subclasses__" not in cell]
    if again:
        written.cells.append(draw(st.sampled_from(again)))


KINDS = (
    _number, _list, _function, _function, _appending, _counting, _class, _class, _object, _object, _closures, _patch,
    _patch, _attribute, _registry, _family, _again,
)  # fmt: skip
