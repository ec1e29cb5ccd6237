"""What can not leave the notebook."""

from __future__ import annotations

import pytest

from nbgraph.capture.project import capture
from nbgraph.errors import ExportError
from tests.lab.notebook import Notebook

REFUSED = {
    "f = open('/dev/null')": "is an open file, which can't leave the notebook",
    "import threading; f = threading.Lock()": "is a lock,",
    "import threading; f = threading.Thread()": "is a thread,",
    "import socket; f = socket.socket()": "is a socket,",
    "import sqlite3; f = sqlite3.connect(':memory:')": "is a database connection,",
    "f = (x for x in 'ab')": "is a generator,",
    "import threading; f = {'deep': [threading.RLock()]}": "a part of f (line 1) is a lock,",
    "f = 'AKIAIOSFODNN7EXAMPLE'": "looks like a secret",
    "f = {'db': {'password': 'hunter2'}}": "f -> password (line 1) looks like a secret",
    "class C: pass\nf = C()\nf.api_key = 'x9-fourty-two'": "f -> api_key (line 1) looks like a secret",
    "f = {'u': ['postgres://me:geheim@db/x']}": "looks like a secret",
}


CODE = {
    "password = 'hunter2'\ndef use(body): return password": 'context.secret("password")',
    "def use(body): return 'ghp_0123456789012345678901234567890123'": "looks like a secret in its text",
    "def use(body): display(body)": "exists in a notebook only",
    "def use(body): return globals()[body]": "put what they may mean into a dict",
    "def use(body): return nothing": 'use -> nothing (line 1): the name "nothing" is not defined',
    "def use(body): return input(body)": "use -> input (line 1) waits for somebody at the keyboard",
    "def use(body):\n    breakpoint()": "use -> breakpoint (line 2) waits for somebody at the keyboard",
    "from getpass import getpass\ndef use(body): return getpass()": "context.secret(name)",
}


@pytest.mark.parametrize("made", REFUSED)
def test_what_belongs_to_this_process_stays(notebook: Notebook, made: str) -> None:
    notebook.cell(made)
    notebook.cell("def use(body): return f\n_ = g.to(use, 'score')")
    try:
        with pytest.raises(ExportError) as refused:
            capture(notebook["g"])
    finally:
        notebook.cell("f.close() if hasattr(f, 'close') else None")
    said = str(refused.value)
    assert REFUSED[made] in said
    assert 'Step "score": use -> f' in said or '"f" has what looks like a secret' in said


@pytest.mark.parametrize("code", CODE)
def test_code_that_would_fail_elsewhere_is_refused(notebook: Notebook, code: str) -> None:
    notebook.cell(code)
    notebook.cell("_ = g.to(use)")
    with pytest.raises(ExportError) as refused:
        capture(notebook["g"])
    assert CODE[code] in str(refused.value)
