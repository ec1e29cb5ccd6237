"""Graphs that the tests of the debugger run."""

from nbgraph import Graph


async def wait(body):
    return body + 1


def routed(**options):
    """A router of two routes, one of them a router itself, whose calls are counted."""
    calls = []

    def made(name, value):
        calls.append(name)
        return {name: value}

    graph = Graph("votes")
    graph.to(dict).to("ParallelRun", "both", **options).add_route(
        "plus", lambda body: made("plus", body["n"] + 1)
    ).add_route("deep", "ModelRouter", routes={"times": lambda body: made("times", body["n"] * 9)})
    graph.step("both").to(sorted, "names")
    return graph, calls
