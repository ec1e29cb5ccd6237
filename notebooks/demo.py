"""`make demo`: runs the cells of 01_flights.ipynb in the terminal, so that both tell one story with one graph."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from rich.console import Console
from rich.markdown import Markdown
from rich.padding import Padding
from rich.syntax import Syntax

NOTEBOOK = Path(__file__).with_name("01_flights.ipynb")


def main() -> int:
    console = Console(width=None if sys.stdout.isatty() else 120)
    shell = InteractiveShell.instance(history_load_length=0)
    shell.history_manager.enabled = False  # a demo leaves no trace in the history of whoever runs it
    started = time.monotonic()
    try:
        is_done = all(tell(cell, shell, console) for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"])
    except KeyboardInterrupt:
        is_done = False
    finally:
        stop_what_runs(shell.user_ns)
    if is_done:
        seconds = time.monotonic() - started
        console.print(f"\n[bold]The whole of {NOTEBOOK.name} in {seconds:.0f} s; nothing is left running.[/]")
    return 0 if is_done else 1


def tell(cell: dict[str, Any], shell: InteractiveShell, console: Console) -> bool:
    """Show the text, or show the code and run it; False where it failed."""
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        console.print(Padding(Markdown(source), (1, 0, 0, 0)))
        return True
    language = "text" if source.startswith("%%") else "python"
    code = Syntax(source, language, theme="ansi_dark", background_color="default", word_wrap=True)
    console.print(Padding(code, (1, 0, 1, 2)))
    return bool(shell.run_cell(source, store_history=True).success)


def stop_what_runs(names: dict[str, Any]) -> None:
    """An interrupted demo must not leave its deployment behind; stopping twice does no harm."""
    if "deployment" in names:
        names["deployment"].stop()


if __name__ == "__main__":
    sys.exit(main())
