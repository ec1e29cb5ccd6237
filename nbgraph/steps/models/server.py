"""ModelServer: a model as a step, with the hooks of MLRun's model servers."""

from __future__ import annotations

import inspect
import threading
import time
from asyncio import wrap_future
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from nbgraph.errors import GraphError, RequestError, own
from nbgraph.event import Event
from nbgraph.handler import Counterpart, Handler
from nbgraph.steps.arguments import whole_signature
from nbgraph.steps.models.files import file_of
from nbgraph.steps.models.inference import Inference, inference_of
from nbgraph.steps.models.metadata import about, schema_of
from nbgraph.steps.models.microbatch import MicroBatch, can_join
from nbgraph.steps.models.request import ModelRequest, asked
from nbgraph.steps.runtime.loop_thread import run_now
from nbgraph.types import Section, Shape, StepKind

__all__ = ["ModelServer"]

HOOKS = ("preprocess", "validate", "predict", "explain", "postprocess", "logged_results")
Loading = Literal["now", "lazy", "async"]


class ModelServer(Handler):
    """A model as a step: override `predict`, and what else your model needs.

    >>> from nbgraph import Graph
    >>> class Tenfold(ModelServer):
    ...     def predict(self, request):
    ...         return [row[0] * 10 for row in request["inputs"]]
    >>> graph = Graph("g")
    >>> _ = graph.to(Tenfold(), "ten").respond()
    >>> graph.run([4]), graph.run({"inputs": [[1], [2]]})
    (40, {'model_name': 'ten', 'outputs': [10, 20]})
    >>> graph.run(None, path="/v2/models/ten/ready", method="GET")
    {'name': 'ten', 'ready': True}

    The order for a request is `preprocess`, `validate`, `predict` or `explain`, `postprocess`; each may be async. A
    method `op_loss(event)` answers `/v2/models/ten/loss`. `load` is called once: when the graph is made ready
    (`load="now"`), at the first request ("lazy"), or in the background ("async"; `ready` is False until it is done).
    With `max_batch`, requests that arrive within `max_wait` seconds are predicted together. `track` gets a record of
    every request, made from `logged_results`. Further arguments are kept for `get_param`.

    Parameters
    ----------
    model
        The model itself, or a path.
    model_path
        Path of a file or folder, MLRun's name for it.
    version
        Version that callers see.
    load
        When it is loaded: `"now"` (when the graph is made ready), `"lazy"` (at the first request), `"async"`
        (in the background).
    max_batch
        Requests that are predicted together at most; None: each alone.
    max_wait
        Seconds that a request waits for others.
    inputs
        Description of the inputs in the model's metadata.
    outputs
        Description of the outputs in the model's metadata.
    allow_pickle
        Whether a pickle is read, which runs code of whoever wrote it.
    track
        Function that gets a record of every request.
    **params
        Further arguments, kept for `get_param`.
    """

    section = Section.MODELS
    kind = StepKind.MODEL
    counterpart = Counterpart("V2ModelServer")
    io = "model files"
    shape = Shape.EVENT
    platform = "python"

    def __init_subclass__(cls) -> None:
        cls.__signature__ = whole_signature(cls)
        super().__init_subclass__()

    def __init__(
        self,
        model: Any = None,
        model_path: str | Path | None = None,
        *,
        version: str | None = None,
        load: Loading = "now",
        max_batch: int | None = None,
        max_wait: float = 0.005,
        inputs: Sequence[Any] | None = None,
        outputs: Sequence[Any] | None = None,
        allow_pickle: bool = False,
        track: Callable[[dict[str, Any]], None] | None = None,
        name: str | None = None,
        context: Any = None,
        **params: Any,
    ) -> None:
        if load not in ("now", "lazy", "async"):
            raise GraphError(f'{type(self).__name__} got load={load!r}; expected "now", "lazy" or "async".')
        if max_batch is not None and (type(max_batch) is not int or max_batch < 1):
            raise GraphError(f"{type(self).__name__} got max_batch={max_batch!r}; expected rows, at least 1.")
        self.version = version
        self.answers_to(name or type(self).__name__)
        self.context, self.params, self.allow_pickle = context, params, allow_pickle
        is_path = isinstance(model, str | Path)
        self.model = None if is_path else model
        self.model_path = str(model) if is_path else None if model_path is None else str(model_path)
        self.inputs, self.outputs = schema_of(inputs), schema_of(outputs)
        self._load_when, self._max_batch, self._max_wait, self._track = load, max_batch, max_wait, track
        self._failure: BaseException | None = None
        self._batch: MicroBatch | None = None
        self._loaded: threading.Event | None = None
        self._awaited = frozenset(name for name in dir(type(self)) if _is_async_hook(type(self), name))
        if self._awaited or max_batch is not None:
            self.do = self._do_async  # type: ignore[method-assign]  # decided once, not at each event

    # --- hooks to override ---

    def load(self) -> None:
        """Make `self.model` ready; here for a model that came as an object."""
        if self.model_path is not None and type(self).predict is ModelServer.predict:
            raise GraphError(f'{type(self).__name__} has no load() that reads "{self.model_path}"; write one.')

    def preprocess(self, request: dict[str, Any], operation: str) -> Any:
        return request

    def validate(self, request: dict[str, Any], operation: str) -> Any:
        inputs = request.get("inputs")
        if not isinstance(inputs, list) and not hasattr(inputs, "shape") and "tensors" not in request:
            raise RequestError(f'"inputs" is {type(inputs).__name__}; expected a list of rows.')
        return request

    def predict(self, request: dict[str, Any]) -> Any:
        """Outputs, one for each of `request["inputs"]`."""
        raise GraphError(f"{type(self).__name__} has no predict(request); write one that returns a list of outputs.")

    def explain(self, request: dict[str, Any]) -> Any:
        raise RequestError(
            f'Model "{self.name}" does not explain; give {type(self).__name__} an explain(request).', 501
        )

    def postprocess(self, response: dict[str, Any]) -> Any:
        return response

    def logged_results(self, request: dict[str, Any], response: Any, operation: str) -> tuple[Any, Any]:
        """What `track` is to keep of the inputs and outputs; None for all of them."""
        return None, None

    # --- for the hooks to use ---

    @property
    def is_bare(self) -> bool:
        """Whether no hook is overridden before or after `predict`, so that an ensemble may call it directly."""
        around = ("preprocess", "validate", "postprocess", "do")
        is_plain = all(getattr(type(self), hook) is getattr(ModelServer, hook) for hook in around)
        return is_plain and self._load_when == "now" and not (self._track or self._awaited or self._max_batch)

    takes_arrays = False  # whether rows that are lists may as well come as one array, by `predict_array`

    def predict_array(self, array: Any) -> Any:
        """The outputs for the rows of an array."""
        return self.predict({"inputs": array})

    @property
    def ready(self) -> bool:
        """Whether the model is loaded."""
        return self._loaded is not None and self._loaded.is_set() and self._failure is None

    def answers_to(self, name: str) -> None:
        """Set the name, such as "m1" or "m1:v2", by which requests address the model."""
        self.name, _, version = name.partition(":")
        self.version = self.version or version or None

    @property
    def is_loading(self) -> bool:
        """Whether it is still loading in the background."""
        return self._load_when == "async" and not self.ready

    def get_param(self, name: str, default: Any = None) -> Any:
        """An argument that the step was given beside the named ones."""
        return self.params.get(name, default)

    def get_model(self, suffix: str = "") -> tuple[str, dict[str, str]]:
        """The file at `model_path`, or the one of that suffix in the folder there; and the folder's other files."""
        if self.model_path is None:
            raise GraphError(f'Model "{self.name}" has no path; give {type(self).__name__} model_path=...')
        return file_of(self.model_path, suffix)

    def set_metric(self, name: str, value: float) -> None:
        """Report a metric."""
        if self.context is not None:
            self.context.metric(name, value)

    @property
    def operations(self) -> list[str]:
        """What the model can be asked for."""
        own = [name.removeprefix("op_") for name in dir(type(self)) if name.startswith("op_")]
        return ["infer", "predict", "infer_dict", "explain", *own]

    def metadata(self) -> dict[str, Any]:
        """The model's metadata as the protocol has it."""
        return {
            "name": self.name,
            "versions": [self.version] if self.version else [],
            "platform": self.platform,
            "inputs": self.inputs,
            "outputs": self.outputs,
        }

    # --- the step ---

    def post_init(self) -> None:
        self._loaded, self._failure = threading.Event(), None
        self._loading = threading.Lock()
        if self._max_batch is not None:
            if "predict" in self._awaited:
                raise GraphError(f'Model "{self.name}" has max_batch, which needs a predict that is not async.')
            self._batch = MicroBatch(self.predict, self._max_batch, self._max_wait)
        if self._load_when == "now":
            self.load()
            self._loaded.set()
        elif self._load_when == "async":
            threading.Thread(target=self._load_once, daemon=True, name=f"nbgraph-load-{self.name}").start()

    def do(self, event: Event) -> Any:
        return run_now(self._answer(event))

    async def _do_async(self, event: Event) -> Event:
        return await self._answer(event)

    async def _answer(self, event: Event) -> Event:
        wanted = asked(event)
        if wanted.is_about:
            return event.with_body(about(wanted, {self.name: self}, self.name))
        if wanted.model is not None and not self._is_meant(wanted):
            if wanted.by_path and isinstance(event.body, Mapping) and "inputs" in event.body:
                raise RequestError(f'There is no model "{wanted.model}"; this is "{self.name}".', 404)
            wanted = ModelRequest("infer")
        self._raise_unless_loaded(event)
        if wanted.is_inference or wanted.operation == "explain":
            return event.with_body(await self._inferred(event, wanted))
        return event.with_body(await self._operated(event, wanted.operation))

    def _is_meant(self, wanted: ModelRequest) -> bool:
        return wanted.model == self.name and wanted.version in (None, self.version)

    async def _operated(self, event: Event, operation: str) -> Any:
        hook = getattr(self, f"op_{operation}", None)
        if hook is None:
            known = ", ".join([*self.operations, "ready"])
            raise RequestError(f'Model "{self.name}" has no operation "{operation}"; it has {known}.', 404)
        return await self._call(f"op_{operation}", event)

    async def _inferred(self, event: Event, wanted: ModelRequest) -> Any:
        began = time.perf_counter() if self._track else 0.0
        inference = inference_of(event, wanted)
        operation = "explain" if wanted.operation == "explain" else "infer"
        if wanted.operation == "infer_dict":
            inference.request["inputs"] = self._listed(inference.request["inputs"])
        try:
            request = await self._call("preprocess", inference.request, operation)
            request = await self._call("validate", request, operation)
            outputs = await self._predicted(request, operation)
            names = [output["name"] for output in self.outputs]
            response = inference.response(self.name, outputs, self.version, names)
            response = await self._call("postprocess", response)
        except own() as error:
            self._tracked(event.id, inference, None, operation, began, error)
            raise
        self._tracked(event.id, inference, response, operation, began)
        return inference.answered(response)

    async def _predicted(self, request: dict[str, Any], operation: str) -> Any:
        if operation == "explain":
            return await self._call("explain", request)
        if self._batch is not None and can_join(request):
            return await wrap_future(self._batch.submit(request))
        return await self._call("predict", request)

    async def _call(self, hook: str, *arguments: Any) -> Any:
        result = getattr(self, hook)(*arguments)
        return await result if hook in self._awaited else result

    def _listed(self, rows: Any) -> list[list[Any]]:
        """Records as lists, in the order of the model's inputs."""
        names = [field["name"] for field in self.inputs]
        if not names:
            raise RequestError(
                f'Model "{self.name}" has no input schema, which infer_dict needs; give it inputs=[...].'
            )
        try:
            return [[row[name] for name in names] for row in rows]
        except (KeyError, TypeError):
            raise RequestError(f'"inputs" must be a list of records with {", ".join(names)}.') from None

    def _tracked(
        self,
        id: str,
        inference: Inference,
        response: Any,
        operation: str,
        began: float,
        error: BaseException | None = None,
    ) -> None:
        if self._track is None:
            return
        inputs, outputs = self.logged_results(inference.request, response, operation)
        found = response.get("outputs") if isinstance(response, Mapping) else response
        record = {
            "event_id": id,
            "model": self.name,
            "version": self.version,
            "operation": operation,
            "inputs": inference.request.get("inputs") if inputs is None else inputs,
            "outputs": found if outputs is None else outputs,
            "seconds": time.perf_counter() - began,
        }
        self._track(record if error is None else {**record, "error": f"{type(error).__name__}: {error}"})

    # --- loading ---

    def _raise_unless_loaded(self, event: Event) -> None:
        """Callers over HTTP get 503 and try again; events that flow through the graph wait."""
        if self._loaded is None:
            raise GraphError(f'Model "{self.name}" was not made ready: call post_init(), or use it in a graph.')
        if self._loaded.is_set() and self._failure is None:
            return
        if event.method is not None and self._load_when == "async" and not self._loaded.is_set():
            raise RequestError(f'Model "{self.name}" is still being loaded; try again in a moment.', 503)
        self._load_once()
        if self._failure is not None:
            failure = self._failure
            raise RequestError(f'Model "{self.name}" can\'t be loaded: {failure}', 503) from failure

    def _load_once(self) -> None:
        assert self._loaded is not None
        with self._loading:
            if self._loaded.is_set():
                return
            try:
                self.load()
            except own() as error:
                self._failure = error
            self._loaded.set()


def _is_async_hook(kind: type, name: str) -> bool:
    return (name in HOOKS or name.startswith("op_")) and inspect.iscoroutinefunction(getattr(kind, name))
