"""Every kind of notebook that was found to change on its way out answers there as it does here."""

from __future__ import annotations

import colorsys
import fractions
import html
import statistics
from collections.abc import Iterator
from typing import Any

import pandas
import pytest

from nbgraph.capture.project import capture
from tests.lab.exported import Exported
from tests.lab.notebook import Notebook

HOLDER = """
class S:
    def __init__(self): self.k = None
    def put(self, e): self.k = e; return e
    def get(self, e): return self.k
s = S()
"""

# What is told of it: (cells, the bodies that the graph gets, the right answers).
KINDS: dict[str, tuple[list[str], list[Any], list[Any]]] = {
    "a global": (
        [
            """
LIMIT=3
def h(x): return x+LIMIT
def f(e): return h(e)
_=g.to(f)
"""
        ],
        [3],
        [6],
    ),
    "two methods of one object": (
        [HOLDER, "_=g.to(s.put).to(s.get)"],
        [3],
        [3],
    ),
    "methods under names": (
        [
            HOLDER,
            """
put,get=s.put,s.get
_=g.to(put).to(get)
""",
        ],
        [3],
        [3],
    ),
    "methods in step()": (
        [
            HOLDER,
            """
from nbgraph import step
_=g.to(step(s.put)).to(step(s.get))
""",
        ],
        [3],
        [3],
    ),
    "one list as two arguments": (
        [
            """
buf=[]
class Put:
    def __init__(self, where): self.w=where
    def do(self,e): self.w.append(e); return e
class Get:
    def __init__(self, where): self.w=where
    def do(self,e): return list(self.w)
_=g.to(Put,where=buf).to(Get,where=buf)
"""
        ],
        [3],
        [[3]],
    ),
    "two names of one list": (
        [
            """
seen=[]
log=seen
def a(e): seen.append(e); return e
def b(e): return len(log)
_=g.to(a).to(b)
"""
        ],
        [3],
        [1],
    ),
    "two closures over one dict": (
        [
            """
def make():
    d={}
    def put(e): d['k']=e; return e
    def get(e): return d['k']
    return put,get
put,get=make()
_=g.to(put).to(get)
"""
        ],
        [3],
        [3],
    ),
    "two closures over one variable": (
        [
            """
def make():
    n=0
    def put(e):
        nonlocal n
        n+=e; return e
    def get(e): return n
    return put,get
put,get=make()
_=g.to(put).to(get)
"""
        ],
        [3],
        [3],
    ),
    "a method, and an object that holds its object": (
        [
            HOLDER,
            """
import threading
class T:
    def __init__(self): self.s=s
    def do(self,e): return self.s.get(e)
t=T()
_=g.to(s.put).to(t,'t')
""",
        ],
        [3],
        [3],
    ),
    "a list inside a dict": (
        [
            """
A=[1]
B={'x':A}
def f(e): A.append(e); return len(B['x'])
_=g.to(f)
"""
        ],
        [3],
        [2],
    ),
    "an attribute of a function": (
        [
            """
def f(x): return min(x,f.limit)
f.limit=2
_=g.to(f)
"""
        ],
        [3],
        [2],
    ),
    "a method set later": (
        [
            """
class M:
    def predict(self,x): return x
    def do(self,x): return self.predict(x)
""",
            """
def better(self,x): return x*100
M.predict=better
_=g.to(M)
""",
        ],
        [3],
        [300],
    ),
    "a lambda and a classmethod set later": (
        [
            """
class M:
    def do(self,x): return self.helper(x)+self.make(2)
""",
            """
M.helper=lambda self,x: x*10
M.make=classmethod(lambda cls,y: y)
_=g.to(M)
""",
        ],
        [3],
        [32],
    ),
    "an object set on a class": (
        [
            """
class M:
    model=None
    def do(self,x): return self.model.k+x
class Model:
    def __init__(self,k): self.k=k
M.model=Model(4)
_=g.to(M)
"""
        ],
        [3],
        [7],
    ),
    "an attribute that was deleted": (
        [
            """
class M:
    gone=1
    def do(self,x): return hasattr(self,'gone')
del M.gone
_=g.to(M)
"""
        ],
        [3],
        [False],
    ),
    "a default computed from a global": (
        [
            """
BASE=10
def scale(x,k=BASE*2): return k
""",
            """
BASE=100
_=g.to(scale)
""",
        ],
        [3],
        [20],
    ),
    "a default looked up": (
        [
            """
RATES={'eur':1}
def f(x,rate=RATES['eur']): return rate
RATES['eur']=5
_=g.to(f)
"""
        ],
        [3],
        [1],
    ),
    "a class attribute computed": (
        [
            """
BASE=10
class Scale:
    k=BASE*2
    def do(self,e): return self.k
""",
            """
BASE=100
_=g.to(Scale)
""",
        ],
        [3],
        [20],
    ),
    "a default that was filled": (
        [
            """
def f(e,memo={}): memo[len(memo)]=e; return len(memo)
f(1)
_=g.to(f)
"""
        ],
        [3],
        [2],
    ),
    "keyword defaults set": (
        [
            """
def f(e,*,k=1): return k
f.__kwdefaults__={'k':7}
_=g.to(f)
"""
        ],
        [3],
        [7],
    ),
    "defaults set": (
        [
            """
def f(e,k=1): return k
f.__defaults__=(7,)
_=g.to(f)
"""
        ],
        [3],
        [7],
    ),
    "a lambda's default computed": (
        [
            """
n=1
h=(lambda e,k=n+1: k)
""",
            """
n=10
_=g.to(h,'h')
""",
        ],
        [3],
        [2],
    ),
    "a registry in a dict": (
        [
            """
HANDLERS={}
def register(kind):
    def deco(f): HANDLERS[kind]=f; return f
    return deco
@register('a')
def on_a(e): return 'A'
@register('b')
def on_b(e): return 'B'
def dispatch(e): return HANDLERS[e](e)
_=g.to(dispatch)
"""
        ],
        ["a", "b"],
        ["A", "B"],
    ),
    "a registry in a list": (
        [
            """
ALL=[]
def reg(f): ALL.append(f); return f
@reg
def x(e): return e+1
@reg
def y(e): return e*2
def run(e): return [f(e) for f in ALL]
_=g.to(run)
"""
        ],
        [3],
        [[4, 6]],
    ),
    "__init_subclass__": (
        [
            """
REG={}
class Base:
    def __init_subclass__(cls): REG[cls.__name__]=cls
class A(Base):
    def go(self,e): return e+1
class B(Base):
    def go(self,e): return e+2
def run(e): return [k().go(e) for k in REG.values()]
_=g.to(run)
"""
        ],
        [3],
        [[4, 5]],
    ),
    "__subclasses__": (
        [
            """
class Rule: pass
class A(Rule):
    n=1
class B(Rule):
    n=2
def run(e): return [c.n for c in Rule.__subclasses__()]
_=g.to(run)
"""
        ],
        [3],
        [[1, 2]],
    ),
    "singledispatch": (
        [
            """
from functools import singledispatch
@singledispatch
def show(x): return 'other'
@show.register
def _(x: int): return 'int'
@show.register(str)
def _(x): return 'str'
def run(e): return show(e)
_=g.to(run)
"""
        ],
        [1, "a", 2.0],
        ["int", "str", "other"],
    ),
    "a decorator that counts": (
        [
            """
COUNT=0
def reg(f):
    global COUNT
    COUNT+=1
    return f
@reg
def x(e): return COUNT
_=g.to(x)
"""
        ],
        [3],
        [1],
    ),
    "%%time": (
        [
            """
%%time
def f(e): return e+1
class C:
    k=1
    def do(self,e): return e+self.k
""",
            "_=g.to(f).to(C)",
        ],
        [3],
        [5],
    ),
    "%%prun": (
        [
            """
%%prun -q
def f(e): return e+1
""",
            "_=g.to(f)",
        ],
        [3],
        [4],
    ),
    "%reset in": (
        [
            """
from dataclasses import dataclass
@dataclass
class P:
    k: int=1
def f(e): return P(e).k
""",
            "%reset -f in",
            "_=g.to(f)",
        ],
        [3],
        [3],
    ),
    "exec": (
        ["exec('def f(e): return e+2')", "_=g.to(f)"],
        [3],
        [5],
    ),
    "%%capture": (
        [
            """
%%capture
def f(e): return e+1
""",
            "_=g.to(f)",
        ],
        [3],
        [4],
    ),
    "namedtuple": (
        [
            """
from collections import namedtuple
Point=namedtuple('Point','x y')
def f(e): return Point(e,1).x
_=g.to(f)
"""
        ],
        [3],
        [3],
    ),
    "make_dataclass": (
        [
            """
from dataclasses import make_dataclass
P=make_dataclass('P',[('x',int)])
def f(e): return P(e).x
_=g.to(f)
"""
        ],
        [3],
        [3],
    ),
    "TypedDict": (
        [
            """
from typing import TypedDict
Pay=TypedDict('Pay',{'a':int})
def f(e): return Pay(a=e)
_=g.to(f)
"""
        ],
        [3],
        [{"a": 3}],
    ),
    "create_model": (
        [
            """
from pydantic import create_model
Pay=create_model('Pay',a=(int,...))
def f(e): return Pay(a=e).a
_=g.to(f)
"""
        ],
        [3],
        [3],
    ),
    "Generic": (
        [
            """
from typing import TypeVar, Generic
T=TypeVar('T')
class Box(Generic[T]):
    def __init__(self,v): self.v=v
b=Box(4)
def f(e): return b.v+e
_=g.to(f)
"""
        ],
        [3],
        [7],
    ),
    "NewType": (
        [
            """
from typing import NewType
Id=NewType('Id',int)
def f(e): return Id(e)
_=g.to(f)
"""
        ],
        [3],
        [3],
    ),
    "NamedTuple": (
        [
            """
from typing import NamedTuple
class Q(NamedTuple):
    a: int
    b: int=2
q=Q(1)
def f(e): return q.b
_=g.to(f)
"""
        ],
        [3],
        [2],
    ),
    "Enum by a call": (
        [
            """
import enum
Color=enum.Enum('Color','RED BLUE')
def f(e): return Color.RED.value
_=g.to(f)
"""
        ],
        [3],
        [1],
    ),
    "a module called as its class": (
        [
            """
import datetime
START=datetime.datetime(2024,1,1)
def f(e): return (START+datetime.timedelta(days=e)).year
_=g.to(f)
"""
        ],
        [3],
        [2024],
    ),
    "a name of ours for a big dict": (
        [
            """
artifact={'a':list(range(3000))}
other=list(range(4000))
def f(e): return len(artifact['a'])+len(other)
_=g.to(f)
"""
        ],
        [3],
        [7000],
    ),
    "a function called make_...": (
        [
            """
def make_adder(a): return a*1000
def build(n,m):
    def adder(e): return e+n+m
    return adder
adder=build(2,3)
def f(e): return make_adder(e)
_=g.to(adder).to(f)
"""
        ],
        [3],
        [8000],
    ),
    "names of ours for other things": (
        [
            """
import re as Pattern
from pathlib import Path as P
Path='x'
HOME=P('/tmp')
Decimal=3
import decimal
D=decimal.Decimal('1.5')
re=1
import re as rr
PAT=rr.compile('a+')
def f(e): return [Path,str(HOME),Decimal,str(D),re,bool(PAT.match('aa'))]
_=g.to(f)
"""
        ],
        [3],
        [["x", "/tmp", 3, "1.5", 1, True]],
    ),
    "nonlocal": (
        [
            """
def make():
    n=0
    def f(e):
        nonlocal n
        n+=1
        return n
    return f
f=make()
_=g.to(f)
"""
        ],
        [3],
        [1],
    ),
    "functions that call each other": (
        [
            """
def make():
    def even(n): return n==0 or odd(n-1)
    def odd(n): return n!=0 and even(n-1)
    return even
even_odd=make()
_=g.to(even_odd)
"""
        ],
        [3],
        [False],
    ),
    "a comment in column 0": (
        [
            """
def make():
    def f(e):
        x=e+1
# bugging: print(e)
        return x
    return f
f=make()
_=g.to(f)
"""
        ],
        [3],
        [4],
    ),
    "TYPE_CHECKING": (
        [
            """
from __future__ import annotations
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from pandas import DataFrame
def f(e: DataFrame): return e
_=g.to(f)
"""
        ],
        [3],
        [3],
    ),
    "a global that the function makes": (
        [
            """
def f(e):
    global _m
    if '_m' not in globals(): _m=5
    return _m+e
_=g.to(f)
"""
        ],
        [3],
        [8],
    ),
    "NameError": (
        [
            """
def f(e):
    try: return SCALE
    except NameError: return 1
_=g.to(f)
"""
        ],
        [3],
        [1],
    ),
    "ContextVar": (
        [
            """
from contextvars import ContextVar
who=ContextVar('who',default=7)
def f(e): return who.get()
_=g.to(f)
"""
        ],
        [3],
        [7],
    ),
    "struct.Struct": (
        [
            """
import struct
H=struct.Struct('<I')
D={'a':struct.Struct('<H')}
def f(e): return H.size+D['a'].size
_=g.to(f)
"""
        ],
        [3],
        [6],
    ),
    "a view of a dict": (
        [
            """
D={'a':1}
K=D.keys()
def f(e): D[e]=1; return sorted(map(str,K))
_=g.to(f)
"""
        ],
        [3],
        [["3", "a"]],
    ),
    "WeakValueDictionary": (
        [
            """
import weakref
REG=weakref.WeakValueDictionary()
def f(e): return len(REG)
_=g.to(f)
"""
        ],
        [3],
        [0],
    ),
    "NoneType": (
        [
            """
from typing import Optional
import types
Opt=Optional[int]
F=types.FunctionType
N=type(None)
X=[type(None),types.FunctionType]
def f(e): return [str(Opt),F.__name__,N.__name__,len(X), X[0] is N]
_=g.to(f)
"""
        ],
        [3],
        [["typing.Optional[int]", "function", "NoneType", 2, True]],
    ),
    "__getattr__ that raises KeyError": (
        [
            """
class Cfg(dict):
    __getattr__=dict.__getitem__
cfg=Cfg(a=1)
def f(e): return cfg.a+e
_=g.to(f)
"""
        ],
        [3],
        [4],
    ),
    "lru_cache set later": (
        [
            """
import functools
def slow(e): return e*2
slow=functools.lru_cache(maxsize=None)(slow)
_=g.to(slow)
"""
        ],
        [3],
        [6],
    ),
    "a class defined again": (
        [
            """
from dataclasses import dataclass
@dataclass
class C:
    k: int=1
Old=C
def f(e): return Old().k
""",
            """
@dataclass
class C:
    k: int=99
def h(e): return [e,C().k]
_=g.to(f).to(h)
""",
        ],
        [3],
        [[1, 99]],
    ),
    "a name in a text": (["def f(e): return globals()['K'] + eval('L')\nK, L = 4, 5\n_ = g.to(f)"], [1], [9]),
    "a virtual subclass": (
        [
            """
from abc import ABC
class A(ABC): pass
A.register(dict)
def f(e): return isinstance({}, A)
_ = g.to(f)
"""
        ],
        [1],
        [True],
    ),
    "the context of decimal": (
        ["import decimal\ndef f(e): return str(decimal.Decimal(1) / 3)\n_ = g.to(f)"],
        [1],
        ["0.3333333333333333333333333333"],
    ),
    "a module made by a call": (
        ["import types\nm = types.ModuleType('m')\nm.k = 5\ndef f(e): return m.k + e\n_ = g.to(f)"],
        [3],
        [8],
    ),
    "an Enum with a method set later": (
        [
            """
import enum
class P(enum.Enum):
    A = (1, 'a')
    def __init__(self, n, s): self.n, self.s = n, s
P.extra = lambda self: self.s
def f(e): return [P.A.n, P.A.extra()]
_ = g.to(f)
"""
        ],
        [1],
        [[1, "a"]],
    ),
    "a metaclass that registers": (
        [
            """
class Meta(type):
    reg = {}
    def __new__(m, n, b, d):
        c = super().__new__(m, n, b, d)
        Meta.reg[n] = c
        return c
class A(metaclass=Meta):
    def do(self, e): return [e, sorted(Meta.reg)]
class B(A): pass
_ = g.to(B)
"""
        ],
        [3],
        [[3, ["A", "B"]]],
    ),
    "a generator in use, a seeded generator": (
        [
            "import itertools, random\nC, R = itertools.count(5), random.Random(5)\nnext(C); R.random()\n"
            "def f(e): return [next(C), round(R.random(), 3)]\n_ = g.to(f)"
        ],
        [1],
        [[6, 0.742]],
    ),
    "a wrapper with a memory": (
        [
            """
import functools
def deco(f):
    calls = []
    @functools.wraps(f)
    def w(e): calls.append(e); return f(e) + len(calls)
    w.calls = calls
    return w
@deco
def f(e): return e
f(1); f(2)
def h(e): return f(e) + len(f.calls)
_ = g.to(h)
"""
        ],
        [3],
        [9],
    ),
    "compiled methods of a library": (
        [
            """
import pandas as pd
def f(e): return str(pd.Timestamp(e).floor('D').date())
_=g.to(f)
"""
        ],
        ["2024-05-06 07:08"],
        ["2024-05-06"],
    ),
    "a __getstate__ that leaves something out": (
        [
            """
class A:
    def __init__(self): self.cache = {'k': 5}
    def __getstate__(self): return {}
    def __setstate__(self, state): self.cache = {}
    def do(self, e): return self.cache['k'] + e
a = A()
_=g.to(a.do)
"""
        ],
        [3],
        [8],
    ),
    "a __reduce__ that leaves something out": (
        [
            """
class A(dict):
    def __reduce__(self): return (A, (dict(self),))
a = A(n=1); a.tag = 4
def f(e): return a['n'] + a.tag + e
_=g.to(f)
"""
        ],
        [3],
        [8],
    ),
    "a __getstate__ that gives it all in another form": (
        [
            """
class A:
    __slots__ = ('n', 'm')
    def __init__(self): self.n, self.m = 1, [2]
    def __getstate__(self): return (self.n, self.m)
    def __setstate__(self, state): self.n, self.m = state
a = A()
def f(e): return a.n + a.m[0] + e
_=g.to(f)
"""
        ],
        [3],
        [6],
    ),
    "an error with arguments of its own": (
        [
            """
class E(ValueError):
    def __init__(self, message, code): super().__init__(message); self.code = code
error = E('x', 7)
def f(e):
    try: raise error
    except E as raised: return (str(raised), raised.code)
_=g.to(f)
"""
        ],
        [3],
        [("x", 7)],
    ),
    "members of an Enum changed": (
        [
            """
from enum import Enum
class P(Enum):
    E = [1]
P.E.value.append(2)
P.E.note = 'n'
def f(e): return (P.E.value, P.E.note)
_=g.to(f)
"""
        ],
        [3],
        [([1, 2], "n")],
    ),
    "a class made in a call": (
        [
            """
def with_more(Base, more):
    class More(Base):
        def do(self, e): return super().do(e) + more
    return More
class B:
    def do(self, e): return e * 10
C, D = with_more(B, 5), with_more(B, 7)
_=g.to(C).to(D, 'd')
"""
        ],
        [3],
        [357],
    ),
    "a weak reference": (
        [
            """
import weakref
class A: n = 1
a = A(); w = weakref.ref(a)
def put(e): a.n = e; return e
def f(e): return w().n
_=g.to(put).to(f)
"""
        ],
        [3],
        [3],
    ),
    "a method set on a library's class": (
        [
            """
import fractions
fractions.Fraction.half = lambda self: self / K
K = 2
def f(e): return str(fractions.Fraction(e).half())
_=g.to(f)
"""
        ],
        [3],
        ["3/2"],
    ),
    "a property set on a class that was imported by name": (
        [
            """
from statistics import NormalDist
NormalDist.twice = property(lambda self: self.mean * 2)
def f(e): return NormalDist(e).twice
_=g.to(f)
"""
        ],
        [3],
        [6.0],
    ),
    "a function and a limit set on libraries": (
        [
            """
import html, colorsys
html.shout = lambda text: text.upper() + '!'
colorsys.ONE_SIXTH = 4
def f(e): return (html.shout('a'), colorsys.ONE_SIXTH)
_=g.to(f)
"""
        ],
        [3],
        [("A!", 4)],
    ),
    "an accessor of tables": (
        [
            """
import pandas
@pandas.api.extensions.register_dataframe_accessor('geo')
class Geo:
    def __init__(self, table): self.table = table
    def size(self): return len(self.table)
places = pandas.DataFrame({'a': [1, 2]})
def f(e): return places.geo.size() + e
_=g.to(f)
"""
        ],
        [3],
        [5],
    ),
    "two partials over one list": (
        [
            "import functools\nlog = []\ndef put(l, e): l.append(e); return e\np = functools.partial(put, log)\n"
            "q = functools.partial(lambda l, e: len(l), log)\n_ = g.to(p, 'p').to(q, 'q')"
        ],
        [3],
        [1],
    ),
}


@pytest.fixture(scope="module")
def exported() -> Iterator[Exported]:
    found = Exported()
    yield found
    found.close()


@pytest.fixture(autouse=True)
def libraries_as_they_were(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What cells set on libraries goes with the test."""
    monkeypatch.setattr(colorsys, "ONE_SIXTH", colorsys.ONE_SIXTH)
    yield
    for library, name in [
        (fractions.Fraction, "half"), (statistics.NormalDist, "twice"), (html, "shout"), (pandas.DataFrame, "geo"),
    ]:  # fmt: skip
        if name in vars(library):
            delattr(library, name)


@pytest.fixture
def notebook() -> Notebook:
    found = Notebook()
    found.cell("from nbgraph import Graph\ng = Graph('g')")
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_it_answers_there_as_here(notebook: Notebook, exported: Exported, kind: str) -> None:
    cells, bodies, right = KINDS[kind]
    for cell in cells:
        notebook.cell(cell)
    project = capture(notebook["g"])
    here = [notebook["g"].run(body) for body in bodies]
    assert (exported.answers(project, *bodies), here) == (right, right)


def test_what_is_random_at_start_stays_what_it_is(notebook: Notebook, exported: Exported) -> None:
    notebook.cell("import random\ndef f(x, seed=random.random()): return seed\n_ = g.to(f)")
    assert exported.answers(capture(notebook["g"]), 0) == [notebook["g"].run(0)]
