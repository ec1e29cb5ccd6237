"""MLRun's serving graph on both of its engines, through the mock server that it gives for notebooks."""

from __future__ import annotations

import mlrun
import work
from protocol import Run, one_by_one, serve

mlrun.utils.logger.set_logger_level("ERROR")


def chain(engine: str, steps: int) -> Run:
    function = mlrun.new_function("benchmark", kind="serving", image="none")
    step = function.set_topology("flow", engine=engine)
    for number in range(steps):
        step = step.to(name=f"step{number}", handler="plus")
    if engine == "async":
        step.respond()
    server = function.to_mock_server(namespace={"plus": work.plus})
    return one_by_one(lambda number: server.test(body=number + 1) - 1)  # a body of 0 would be a GET without a body


serve(
    {
        f"chain {steps} {engine}": lambda steps=steps, engine=engine: chain(engine, steps)
        for steps in (3, 20, 100)
        for engine in ("sync", "async")
    }
)
