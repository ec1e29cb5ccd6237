"""TorchModel: a PyTorch module as a step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nbgraph.errors import GraphError, RequestError
from nbgraph.handler import Counterpart
from nbgraph.steps.models.server import ModelServer
from nbgraph.steps.optional import package

__all__ = ["TorchModel"]


class TorchModel(ModelServer):
    """A PyTorch module, given as an object, or as a path of what holds no pickled code.

    `.pt2` is what `torch.export.save` wrote, `.ts` a TorchScript file; `.safetensors` and `.pt` (read with
    `weights_only=True`) hold weights, which are put into the module given as `module`.

    >>> from nbgraph import Graph, GraphError
    >>> graph = Graph("g")
    >>> _ = graph.to(TorchModel(model="weights.safetensors"), "net")
    >>> try:
    ...     _ = graph.ready()
    ... except GraphError as error:
    ...     print("weights.safetensors" in str(error) or "pip install torch" in str(error))
    True

    Rows become one tensor of `dtype` on `device`; tensor requests with several inputs are passed by name.

    Parameters
    ----------
    module
        Module that weights are put into.
    dtype
        Type of the tensor.
    device
        Where it runs: `"cpu"`, `"cuda:0"`.
    """

    counterpart = Counterpart("PyTorchModelServer")
    packages = ("torch",)

    platform = "pytorch"

    def __init__(
        self,
        model: Any = None,
        model_path: str | Path | None = None,
        *,
        module: Any = None,
        dtype: str = "float32",
        device: str = "cpu",
        **options: Any,
    ) -> None:
        super().__init__(model, model_path, **options)
        self.module, self.dtype, self.device = module, dtype, device

    def load(self) -> None:
        self._torch = package("torch", "TorchModel")
        self._dtype = getattr(self._torch, self.dtype, None)
        if not isinstance(self._dtype, self._torch.dtype):
            raise GraphError(f'Model "{self.name}" has dtype={self.dtype!r}, which PyTorch does not know.')
        if self.model is None:
            self.model = self._read(self.get_model()[0])
        if isinstance(self.model, self._torch.nn.Module) and not _is_exported(self.model):
            self.model.to(self.device).eval()

    def predict(self, request: dict[str, Any]) -> Any:
        tensors = request.get("tensors") or {}
        several = tensors if len(tensors) > 1 else {}
        given = [] if several else [self._tensor(request["inputs"])]
        named = {name: self._tensor(array) for name, array in several.items()}
        assert self.model is not None
        with self._torch.inference_mode():
            return self._array(self.model(*given, **named))

    def _tensor(self, values: Any) -> Any:
        try:
            return self._torch.tensor(values, dtype=self._dtype, device=self.device)
        except (TypeError, ValueError) as error:
            raise RequestError(f'Model "{self.name}" takes rows of {self.dtype}: {error}') from None

    def _array(self, found: Any) -> Any:
        if isinstance(found, dict):
            return {name: self._array(value) for name, value in found.items()}
        if isinstance(found, list | tuple):
            return {f"output_{number}": self._array(value) for number, value in enumerate(found)}
        return found.detach().cpu().numpy()

    def _read(self, file: str) -> Any:
        suffix = Path(file).suffix.lower()
        if suffix == ".pt2":
            return self._torch.export.load(file).module()
        if suffix == ".ts":
            return self._torch.jit.load(file, map_location=self.device)
        if suffix not in (".safetensors", ".pt", ".pth"):
            raise GraphError(f'"{file}" is none of .pt2, .ts, .safetensors, .pt, which TorchModel reads.')
        if self.module is None:
            raise GraphError(f'"{file}" holds weights; say what they belong to: TorchModel(model=..., module=Net()).')
        if suffix == ".safetensors":
            weights = package("safetensors.torch", "A .safetensors model", "safetensors").load_file(file)
        else:
            weights = self._torch.load(file, map_location=self.device, weights_only=True)
        module = self.module() if isinstance(self.module, type) else self.module
        module.load_state_dict(weights)
        return module


def _is_exported(module: Any) -> bool:
    """What `torch.export` gives is already in the mode it was exported in, and refuses `eval()`."""
    return type(module).__module__.startswith("torch.fx")
