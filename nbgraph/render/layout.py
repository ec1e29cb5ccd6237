"""Layout: the graphviz engine as a process, DOT in, a picture out; the last pictures are cached."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path

from nbgraph.errors import NbgraphError

ENGINE = "graphviz-pure"
SECONDS = 60  # far more than any graph that a person can look at needs


@lru_cache(maxsize=32)
def laid_out(dot: str, form: str) -> bytes:
    """The picture of a DOT text in a form of graphviz: `svg`, `png`.

    >>> laid_out("digraph { a -> b }", "svg").startswith(b"<?xml")
    True
    """
    run = subprocess.run(
        [str(engine()), f"-T{form}"], input=dot.encode(), capture_output=True, timeout=SECONDS, check=False
    )
    if run.returncode or not run.stdout:
        raise NbgraphError(
            f"The layout engine {engine()} could not draw the graph: {run.stderr.decode(errors='replace').strip()}"
        )
    return run.stdout


def engine() -> Path:
    """The engine of the graphviz-pure wheel, else `dot` of the machine."""
    suffix = ".exe" if sys.platform == "win32" else ""
    for folder in (sysconfig.get_path("scripts"), str(Path(sys.executable).parent)):
        if (path := Path(folder, ENGINE + suffix)).is_file():
            return path
    found = shutil.which(ENGINE) or shutil.which("dot")
    if found is None:
        raise NbgraphError(
            f"No layout engine was found: neither {ENGINE} beside {sys.executable} nor dot on the PATH. "
            f"Install one: pip install {ENGINE}"
        )
    return Path(found)
