"""The command `nbgraph`: run, draw, export, deploy and look after a saved graph, with the words of the notebook."""

from __future__ import annotations

import sys

import typer

from nbgraph.cli.deploy import deploy, export, serve
from nbgraph.cli.features import app as features
from nbgraph.cli.graph import draw, run
from nbgraph.cli.job import job
from nbgraph.cli.operation import catalog, logs, mend, monitor, prune, scale, status, stop
from nbgraph.errors import NbgraphError

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Run, draw, export and deploy saved graphs.")
for command in (run, draw, export, deploy, job, catalog, status, logs, monitor, scale, mend, prune, stop):
    app.command()(command)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(serve)
app.add_typer(features, name="features")


def main() -> None:
    """Run the command; what is wrong is told in a line, with status 1."""
    try:
        app()
    except (NbgraphError, OSError) as error:
        print(f"nbgraph: {error}", file=sys.stderr)
        raise SystemExit(1) from None
