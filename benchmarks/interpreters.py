"""The interpreters that contenders run with: their pins conflict, so competitors live in folders of their own."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = HERE.parent / ".bench"


@cache
def interpreter(name: str | None) -> str | None:
    """The Python that has the packages of requirements/NAME.txt; None where they could not be installed."""
    if name is None:
        return sys.executable
    requirements = HERE / "requirements" / f"{name}.txt"
    python, stamp = FOLDER / name / "bin" / "python", FOLDER / name / "stamp"
    if stamp.is_file() and stamp.read_text() == requirements.read_text():
        return str(python)
    print(f"Installing what benchmarks/requirements/{name}.txt names into .bench/{name} (once)", file=sys.stderr)
    try:
        subprocess.run([sys.executable, "-m", "venv", FOLDER / name], check=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", "-r", requirements], check=True)
    except subprocess.CalledProcessError as error:
        print(f"Without {name}: {error}", file=sys.stderr)
        return None
    stamp.write_text(requirements.read_text())
    return str(python)
