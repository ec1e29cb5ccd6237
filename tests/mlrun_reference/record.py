"""Write the specs that MLRun makes of the cases, and its own mock server's answers: `python record.py answers.json`."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

warnings.filterwarnings("ignore")

import cases  # noqa: E402
import mlrun  # noqa: E402
from answers import plain  # noqa: E402

SECONDS = 10  # for one case


def answered(name: str, case: cases.Case) -> dict[str, Any]:
    """The spec, and what came of each body, or that it failed."""
    function = mlrun.new_function(name.replace("_", "-")[:40], kind="serving", project="nbgraph")
    options = {"allow_cyclic": True} if "cycle" in name else {}
    graph = function.set_topology(case.topology, **({"engine": case.engine} if case.engine else {}), **options)
    case.build(graph)
    for step in getattr(graph, "steps", {}).values():
        if getattr(step, "function", None):
            Path("child.py").write_text("")
            function.add_child_function(step.function, "./child.py", "image")
    spec = json.loads(json.dumps(graph.to_dict(), default=str))
    cases.SEEN.clear()
    server = function.to_mock_server(namespace=vars(cases), current_function="*")
    found = [_asked(server, body, case) for body in case.bodies]
    if case.topology == "flow":
        server.wait_for_completion()
    lines = cases.OUTPUT.read_text().splitlines() if cases.OUTPUT.exists() else []
    return {"spec": spec, "answers": [] if case.is_stream else found, "seen": plain(cases.SEEN), "file": lines}


def _asked(server: Any, body: Any, case: cases.Case) -> Any:
    ask = {"path": "/", **case.ask}
    try:
        return plain(server.test(body=body, silent=False, **ask))
    except Exception:
        return {"failed": True}


def _too_long(number: int, frame: Any) -> None:
    raise TimeoutError(f"no answer within {SECONDS} s")


def main(path: str) -> None:
    there = os.path.abspath(path)
    signal.signal(signal.SIGALRM, _too_long)
    os.makedirs(os.path.dirname(there), exist_ok=True)
    found = {}
    for name, case in cases.CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            signal.alarm(SECONDS)  # some versions wait for ever where an event goes nowhere
            try:
                found[name] = answered(name, case)
            except Exception as error:  # a version that does not know it yet
                found[name] = {"unknown": f"{type(error).__name__}: {error}"[:200]}
            signal.alarm(0)
            os.chdir("/")
    with open(there, "w") as file:
        json.dump({"mlrun": mlrun.__version__, "cases": found}, file, indent=1)
        file.write("\n")
    print(f"MLRun {mlrun.__version__}: {sum('spec' in case for case in found.values())} of {len(found)} cases recorded")


if __name__ == "__main__":
    main(sys.argv[1])
    sys.stdout.flush()
    os._exit(0)  # threads of what never answered
