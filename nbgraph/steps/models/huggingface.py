"""HuggingFaceModel: a folder that `save_pretrained` wrote, as a step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbgraph.errors import GraphError, RequestError
from nbgraph.steps.models.server import ModelServer
from nbgraph.steps.optional import package

__all__ = ["HuggingFaceModel"]


class HuggingFaceModel(ModelServer):
    """A Transformers pipeline over a local folder; nothing is downloaded, no code of the folder is run.

    The weights are read from safetensors only. `options` of the pipeline go in as `pipeline={"top_k": 2}`.

    >>> from nbgraph import Graph, GraphError
    >>> graph = Graph("g")
    >>> _ = graph.to(HuggingFaceModel(model="no/such/folder", task="text-classification"), "mood")
    >>> try:
    ...     _ = graph.ready()
    ... except GraphError as error:
    ...     print("no folder" in str(error) or "pip install transformers" in str(error))
    True

    Parameters
    ----------
    model
        Folder that `save_pretrained` wrote.
    task
        Task of the pipeline.
    pipeline
        Further options of the pipeline.
    device
        Where it runs: `"cpu"`, `"cuda:0"`.
    """

    packages = ("transformers", "torch")

    platform = "transformers"

    def __init__(
        self,
        model: Any = None,
        model_path: str | Path | None = None,
        *,
        task: str | None = None,
        pipeline: dict[str, Any] | None = None,
        device: str = "cpu",
        **options: Any,
    ) -> None:
        super().__init__(model, model_path, **options)
        self.task, self.pipeline, self.device = task, dict(pipeline or {}), device

    def load(self) -> None:
        if self.model is not None:
            return
        transformers = package("transformers", "HuggingFaceModel", "transformers torch")
        folder = Path(self.model_path or "")
        if not self.model_path or not (folder / "config.json").is_file():
            raise GraphError(
                f'Model "{self.name}": there is no folder with a config.json at "{folder}"; '
                "save one with pipeline.save_pretrained(folder)."
            )
        self.model = transformers.pipeline(
            self.task,
            model=str(folder),
            device=self.device,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )

    def predict(self, request: dict[str, Any]) -> Any:
        assert self.model is not None
        inputs = request["inputs"]
        inputs = inputs.tolist() if hasattr(inputs, "tolist") else list(inputs)
        try:
            return list(self.model(inputs, **self.pipeline))
        except (TypeError, ValueError) as error:
            raise RequestError(f'Model "{self.name}" can\'t read these inputs: {error}') from error
