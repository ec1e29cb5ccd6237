"""Models as a user writes them in a module; a deployed graph brings them along."""

from __future__ import annotations

from typing import Any

from nbgraph.steps import ModelServer


class Shout(ModelServer):
    def predict(self, request: dict[str, Any]) -> list[str]:
        return [text.upper() for text in request["inputs"]]

    def op_hello(self, event: Any) -> dict[str, str]:
        return {"hello": self.name}

    def explain(self, request: dict[str, Any]) -> list[str]:
        return ["upper case"] * len(request["inputs"])


class Broken(ModelServer):
    def predict(self, request: dict[str, Any]) -> Any:
        raise RuntimeError("the model is broken")
