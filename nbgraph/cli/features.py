"""The command line of feature stores: list, show, ingest, stats, history, delete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nbgraph.cli.document import names_in
from nbgraph.errors import FeatureError
from nbgraph.features import FeatureSet, FeatureStore

app = typer.Typer(no_args_is_help=True, help="Look after a feature store.")
Store = Annotated[Path, typer.Option("--store", envvar="NBGRAPH_STORE", help="the store's folder")]
Online = Annotated[str | None, typer.Option(help="where its online rows are, if not in the folder")]
Module = Annotated[
    Path | None, typer.Option("--module", help="the Python file that defines the functions of its graphs")
]
Allow = Annotated[list[str] | None, typer.Option(help="a module that its graphs may take functions from")]
Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Name = Annotated[str, typer.Argument(help="a set, as cards or cards@2")]


@app.command("list")
def list_(store: Store, online: Online = None, as_json: Json = False) -> None:
    """The sets and vectors of a store."""
    found = _opened(store, online)
    rows: list[dict[str, Any]] = [
        {"name": each.name, "kind": "set", "version": each.version, "features": len(each.columns),
         "rows_version": each.offline.version(), "online_version": found.online_version(each)}
        for each in found.sets.values()
    ]  # fmt: skip
    rows += [
        {"name": each.name, "kind": "vector", "version": each.version, "features": len(each.references)}
        for each in found.vectors.values()
    ]
    _print_rows(rows, as_json)


@app.command()
def show(name: Annotated[str, typer.Argument(help="a set or a vector")], store: Store, online: Online = None) -> None:
    """What a set or a vector is, as JSON."""
    opened = _opened(store, online)
    found = opened[name] if name in opened else _unknown(opened, name)
    told = found.document() | {"name": found.name, "version": found.version}
    if isinstance(found, FeatureSet):
        told |= {"columns": found.columns, "schema": found.schema}
    print(json.dumps(told, indent=2))


@app.command()
def ingest(
    name: Name,
    sources: Annotated[list[str], typer.Argument(help="files of Parquet, CSV or JSON lines")],
    store: Store,
    online: Online = None,
    id: Annotated[str | None, typer.Option(help="what tells that it came before; default: its content")] = None,
    skip: Annotated[bool, typer.Option("--skip", help="leave bad rows out, where one is an error else")] = False,
    module: Module = None,
    allow: Allow = None,
    as_json: Json = False,
) -> None:
    """Take the rows of files into a set; status 3 where some were left out."""
    found = _set(_opened(store, online, module, allow), name)
    done = found.ingest(sources, id=id, on_error="skip" if skip else "raise", progress=not as_json)
    told = {
        "name": done.name, "version": done.version, "online_version": done.online_version, "rows": done.rows,
        "written": done.written, "failed": done.failed, "skipped": done.skipped, "changes": done.changes,
    }  # fmt: skip
    print(json.dumps(told) if as_json else str(done))
    if done.failed:
        raise typer.Exit(3)


@app.command()
def stats(name: Name, store: Store, online: Online = None, as_json: Json = False) -> None:
    """What values the features of a set have."""
    _print(_set(_opened(store, online), name).stats().reset_index(), as_json)


@app.command()
def history(name: Name, store: Store, online: Online = None, as_json: Json = False) -> None:
    """What each version of a set was made by."""
    _print(_set(_opened(store, online), name).history(), as_json)


@app.command()
def delete(
    name: Name,
    key: Annotated[str, typer.Argument(help="the key as JSON; a text as it is")],
    store: Store,
    online: Online = None,
    before: Annotated[str | None, typer.Option(help="only rows before this moment")] = None,
) -> None:
    """Delete the rows of a key, offline and online."""
    try:
        value = json.loads(key)
    except ValueError:
        value = key
    print(_set(_opened(store, online), name).delete(value, before))


def _opened(
    store: Path, online: str | None, module: Path | None = None, allow: list[str] | None = None
) -> FeatureStore:
    if not (store / "store.sqlite").is_file():
        raise FeatureError(f"There is no feature store at {store}.")
    return FeatureStore(store, online, namespace=names_in(module) if module else {}, allow=allow or ())


def _set(store: FeatureStore, name: str) -> FeatureSet:
    found = store[name] if name in store else _unknown(store, name)
    if not isinstance(found, FeatureSet):
        raise FeatureError(f'"{name}" is a vector; rows are those of its sets: {", ".join(found.names)}.')
    return found


def _unknown(store: FeatureStore, name: str) -> Any:
    raise FeatureError(f'The store {store.path} has no "{name}"; it has: {", ".join(store) or "nothing"}.')


def _print(frame: Any, as_json: bool) -> None:
    print(frame.to_json(orient="records", date_format="iso") if as_json else frame.to_string(index=False))


def _print_rows(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(f"{row['kind']:7} {row['name']}@{row['version']}  {', '.join(f'{k} {v}' for k, v in [*row.items()][3:])}")
