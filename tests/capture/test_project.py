"""What the notebook holds becomes a project that means the same elsewhere."""

from __future__ import annotations

import io

from pyflakes.api import check
from pyflakes.reporter import Reporter

from nbgraph.capture.project import capture
from tests.capture.exports import Written, answers
from tests.lab.notebook import Notebook


def complaints(text: str) -> str:
    found = io.StringIO()
    check(text, "handlers.py", Reporter(found, found))
    return found.getvalue()


KINDS = """
from dataclasses import dataclass, field
from datetime import datetime as dt, timedelta
from enum import Enum
from functools import lru_cache, partial, wraps
import re, json, logging
import numpy as np
import pandas as pd
from nbgraph import Event, step

TABLE = pd.DataFrame({"card": ["a", "b"], "limit": [10, 20]}).set_index("card")
BIG = list(range(3000))
PATTERN = re.compile(r"a+", re.I)
WEIGHTS = np.arange(4.0)
PAUSE = timedelta(hours=2)
LOG = logging.getLogger("x")
class Level(Enum):
    LOW = 1
LEVEL = Level.LOW
ODD = {"pair": (1, 2), "set": {3, 1}, "nan": float("inf"), "frozen": frozenset()}

def tagged(tag):
    def outer(function):
        @wraps(function)
        def inner(body):
            return {**function(body), tag: tag}
        return inner
    return outer

def bare(function):
    def inner(body):
        return function({**body, "bare": True})
    return inner

class Counted:
    def __init__(self, function):
        self.function, self.calls = function, 0
    def __call__(self, body):
        self.calls += 1
        return {**self.function(body), "calls": self.calls}

@tagged("t1")
@tagged("t2")
def decorated(body): return dict(body, decorated=len(BIG))

@bare
def barely(body): return dict(body, level=LEVEL.name, pause=PAUSE.seconds)

@Counted
def counted(body): return body

@lru_cache
def cached(n): return n * ODD["pair"][1]

def uses(body):
    LOG.debug("seen")
    return {**body, "cached": cached(2), "match": bool(PATTERN.match("AA")), "year": dt(2020, 1, 1).year,
            "comprehended": [w * factor for w in WEIGHTS.tolist() for factor in sorted(ODD["set"])]}

def maker(rate, table):
    factor = rate * 2
    def rated(body):
        return {**body, "rated": factor, "rows": len(table)}
    return rated
rated = maker(0.25, TABLE)

class Base:
    scale = 2
    def helper(self, x): return x * self.scale

@dataclass
class Point:
    x: int
    tags: list = field(default_factory=list)

class Enrich(Base):
    def __init__(self, table, on="card", point=Point(7)):
        super().__init__()
        self.table, self.on, self.point = table, on, point
    def do(self, body):
        return {**body, "limit": int(self.table.loc[body[self.on], "limit"]), "h": self.helper(self.point.x)}

class Plain: pass
plain = Plain(); plain.values = [Plain, 5]

def even(n): return n == 0 or odd(n - 1)
def odd(n): return n != 0 and even(n - 1)
def parity(body): return {**body, "even": even(4), "plain": plain.values[1], "is": plain.values[0] is Plain}

first, second = (lambda body: {**body, "l": [1]}), (lambda body: {**body, "l": body["l"] + [2]})
late = [lambda body, i=i: {**body, f"late{i}": i} for i in range(3)]
instance = Enrich(TABLE, point=Point(8))
def shift(by, body): return {**body, "shifted": by}
async def waits(body): return {**body, "async": True}
def by_event(event): event.body = {**event.body, "path": event.path}

g = Graph("kinds")
ref = (g.to(decorated).to(barely).to(counted).to(uses).to(rated).to(Enrich, "enrich", table=TABLE, point=Point(9))
    .to(instance, "instance").to(parity).to(first, "first").to(second, "second").to(late[1], "late")
    .to(partial(shift, 3), "shift").to(waits).to(step(by_event, full_event=True), "by_event")
    .to("({**event, 'big': max(BIG), 'w': float(np.sum(WEIGHTS))})", "expression").to(json.dumps).to("json.loads"))
_ = ref.respond()
Base.scale = 5
"""


GIVEN = """
K = [1, 2]
class Told:
    def __init__(self, *given, **named): self.given, self.named = given, named
    def do(self, body): return [body, list(self.given), self.named]
"""


def test_every_kind_of_handler_answers_the_same_elsewhere(notebook: Notebook, written: Written) -> None:
    notebook.cell(KINDS)
    graph = notebook["g"]
    project = capture(graph)
    notebook["counted"].calls = 0
    bodies = [{"card": "a"}, {"card": "b"}]
    there = answers(written(project), *bodies)
    assert there == [graph.run(body) for body in bodies]
    assert complaints(project.handlers) == ""
    notebook["counted"].calls = 0
    assert capture(graph).contents() == project.contents()


def test_conditions_beyond_a_documents_reach_become_functions(notebook: Notebook, written: Written) -> None:
    notebook.cell("import math\nclass Box:\n    limit = 2\nbox = Box()\ndef is_odd(n): return n % 2 == 1")
    notebook.cell("""
        start = g.to("(event)", "start")
        start.to("(['big', event])", "big", when="math.log10(event) > box.limit")
        start.to("(['odd', event])", "odd", when=is_odd)
        start.to("(['small', event])", "small", when="event < 5")
        start.to("(['rest', event])", "rest", otherwise=True)
        _ = g.add_step("(event)", "end", after=["big", "odd", "small", "rest"]).respond()
    """)
    project = capture(notebook["g"])
    assert "when: event < 5" in project.document
    assert "return math.log10(event) > box.limit" in project.handlers
    assert answers(written(project), 1000, 9, 4, 6) == [notebook["g"].run(body) for body in (1000, 9, 4, 6)]


def test_a_graph_in_the_graph_goes_along(notebook: Notebook, written: Written) -> None:
    notebook.cell("def double(n): return n * 2\ninner = Graph('inner')\n_ = inner.to(double).to(double, 'again')")
    notebook.cell("_ = g.to(inner, 'twice').to('(event + 1)', 'more')")
    assert answers(written(capture(notebook["g"])), 3) == [13] == [notebook["g"].run(3)]


def test_arguments_without_names_and_code_inside_of_them_go_along(notebook: Notebook, written: Written) -> None:
    notebook.cell(GIVEN)
    notebook.cell("""
        from nbgraph.graph.scope import Code
        from nbgraph.graph.step import Step
        arguments = {"*": (1, Code("K"), [Code("K"), 2]), "a": {"b": Code("max(K)")}, "c": (3, 4)}
        g.place(Step("told", "Told", arguments))
        _ = g.respond("told")
    """)
    right = [0, [1, [1, 2], [[1, 2], 2]], {"a": {"b": 2}, "c": [3, 4]}]
    assert answers(written(capture(notebook["g"])), 0) == [right]
