"""VotingEnsemble: all models answer, and their votes are counted or averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

from nbgraph.errors import GraphError, NbgraphError, RequestError, own
from nbgraph.event import Event
from nbgraph.handler import Counterpart, is_watched
from nbgraph.steps.context import copier_of
from nbgraph.steps.models.inference import Inference, RequestForm, array_of_rows, inference_of, plain
from nbgraph.steps.models.request import ModelRequest
from nbgraph.steps.models.server import ModelServer
from nbgraph.steps.routers.fan_out import FanOut, executor_of
from nbgraph.steps.routers.route import MLRUN_ONLY, RouteCallError
from nbgraph.steps.routers.router import Router
from nbgraph.steps.routers.weights import normalised

__all__ = ["VotingEnsemble"]

VOTE_TYPES = {"classification": "vote", "vote": "vote", "regression": "mean", "mean": "mean", None: None}


class VotingEnsemble(Router):
    """The models' common answer: the class that most of them vote for, or the mean of their numbers.

    >>> from nbgraph import Graph
    >>> graph = Graph("g")
    >>> _ = graph.to(VotingEnsemble(weights={"m1": 3, "m2": 1}), "both")
    >>> _ = graph.step("both").add_route("m1", "([x * 1.0 for x in event['inputs']])")
    >>> _ = graph.step("both").add_route("m2", "([x * 5.0 for x in event['inputs']])")
    >>> graph.run({"inputs": [1, 2]})
    {'model_name': 'both', 'outputs': [2.0, 4.0]}
    >>> graph.run({"inputs": [1, 2]}, path="/v2/models/m2/infer")
    [5.0, 10.0]

    `vote_type` is "classification" (or "vote"), "regression" (or "mean"), or None: then texts, booleans and whole
    numbers are classes, and numbers with a point, even 3.0, are averaged, as are lists of them (probabilities).
    `weights` are normalised. `executor_type` is None for one after another, "thread" or "process". A tie goes to the
    class whose first vote came from the earliest route. Asked by its own name, or none, the ensemble answers; asked by
    the name of a route, that model. Models may answer by names, `{"prediction": [...]}`: `prediction_col_name` is
    the one that counts, and with `format_response_with_col_name_flag` the ensemble answers so too.

    Parameters
    ----------
    vote_type
        `"classification"`, `"regression"`, or None: by what the models answer.
    weights
        Weight of each model's vote.
    executor_type
        How routes are called: `"array"` (one after another), `"thread"`, `"process"`.
    prediction_col_name
        Name of the answer that counts, where models answer by names.
    format_response_with_col_name_flag
        Whether the ensemble answers by that name too.
    """

    counterpart = Counterpart(
        "VotingEnsemble",
        unused=MLRUN_ONLY,
        note="without vote_type, whole numbers with a point (3.0) are averaged, and weights are normalised",
    )

    def __init__(
        self,
        routes: Mapping[str, Any] | None = None,
        *,
        vote_type: str | None = None,
        weights: Mapping[str, float] | None = None,
        executor_type: str | None = None,
        prediction_col_name: str = "prediction",
        format_response_with_col_name_flag: bool = False,
        name: str | None = None,
        context: Any = None,
    ) -> None:
        super().__init__(routes, name=name, context=context)
        self._column_name, self._names_column = prediction_col_name, format_response_with_col_name_flag
        if vote_type not in VOTE_TYPES:
            raise GraphError(
                f'Ensemble "{self.name}" got vote_type={vote_type!r}; expected "classification", "regression" or None.'
            )
        self.vote_type, self.weights = VOTE_TYPES[vote_type], weights
        shares = normalised(self.name, weights or dict.fromkeys(self.routes, 1.0), self.routes) if self.routes else {}
        if missing := [name for name in self.routes if name not in shares]:
            raise GraphError(f'Ensemble "{self.name}" has no weight for {", ".join(missing)}; give each route one.')
        self._weights = [shares[name] for name in self.routes]
        self._all = list(self.branches.values())
        self._executor = executor_of(self.name, executor_type)
        self._fan = FanOut(self._all, dict.fromkeys(self.branches, self._executor), copier_of(context))
        self._bare: list[ModelServer] = []  # all models, where nothing stands before or after their `predict`
        self._by_array: list[ModelServer] = []  # the same, where each takes rows as an array

    def logic(self, predictions: Sequence[Sequence[Any]], weights: Sequence[float]) -> list[Any]:
        """One answer a row: `predictions` has a row for each input, and in it what each model says."""
        vote_type = self.vote_type or ("vote" if predictions and all(map(_is_class, predictions[0])) else "mean")
        if vote_type == "vote":
            return [_voted(row, weights) for row in predictions]
        return [_mean(row, weights) for row in predictions]

    @property
    def models(self) -> dict[str, Any]:
        return {**super().models, self.name: self}

    def about(self, wanted: ModelRequest) -> Any:
        if wanted.operation != "list":
            return super().about(wanted)
        return {**super().about(wanted), "weights": dict(zip(self.branches, self._weights, strict=True))}

    async def routed(self, event: Event, wanted: ModelRequest) -> Any:
        if wanted.model not in (None, self.name):
            return await super().routed(event, wanted)
        if not wanted.is_inference:
            raise RequestError(
                f'Ensemble "{self.name}" has no operation "{wanted.operation}"; ask one of {", ".join(self.branches)}.',
                404,
            )
        inference = inference_of(event, wanted)
        if self._bare and not is_watched() and wanted.operation != "infer_dict":
            columns = self._predicted(inference.request)
        else:
            columns = await self._answered(event, wanted, inference)
        return inference.answer(self.name, self._told(self._decided(columns)), self.version)

    def post_init(self) -> None:
        super().post_init()
        bare = [branch.target for branch in self._all if branch.is_bare]
        if len(bare) < len(self._all) or self._executor != "array":
            return
        self._bare = bare
        around = ("preprocess", "postprocess", "routed")
        if not all(getattr(type(self), hook) is getattr(VotingEnsemble, hook) for hook in around):
            return
        if all(model.takes_arrays for model in bare):
            self._by_array = bare

    def do(self, event: Event) -> Any:
        """The most common question, rows and nothing else, is answered without any detour."""
        body = event.body
        if (
            self._by_array
            and not is_watched()
            and event.path == "/"
            and type(body) is dict
            and len(body) == 1
            and "inputs" in body
        ):
            array = array_of_rows(body["inputs"])
            if array is not None:
                outputs = self._told(self._decided([self._asked(model, array) for model in self._by_array]))
                return event.with_body({"model_name": self.name, "outputs": outputs})
        return super().do(event)

    def _decided(self, columns: Sequence[Sequence[Any]]) -> list[Any]:
        """The ensemble's answer for each input, from what each model predicts for all."""
        if len(set(map(len, columns))) > 1:
            counts = ", ".join(f"{name} {len(column)}" for name, column in zip(self.branches, columns, strict=True))
            raise NbgraphError(f'The models of ensemble "{self.name}" gave different numbers of predictions: {counts}.')
        return self.logic(list(zip(*columns, strict=True)), self._weights)

    def _told(self, outputs: list[Any]) -> Any:
        return {self._column_name: outputs} if self._names_column else outputs

    def _column(self, name: str, outputs: Any) -> list[Any]:
        """What one model predicts for each input."""
        found = plain(outputs)
        if isinstance(found, Mapping) and self._column_name in found:
            found = plain(found[self._column_name])
        if not isinstance(found, list | tuple):
            raise NbgraphError(
                f'Model "{name}" gave {type(found).__name__}; expected a list, one prediction an input, or a dict that '
                f'has it as "{self._column_name}" (prediction_col_name).'
            )
        return list(found)

    def _predicted(self, request: dict[str, Any]) -> list[list[Any]]:
        """What the models predict, each called directly."""
        self._bare[0].validate(request, "infer")
        return [self._asked(model, None, request) for model in self._bare]

    def _asked(self, model: ModelServer, array: Any, request: Mapping[str, Any] | None = None) -> list[Any]:
        """What one model predicts for the rows of an array, or of a request."""
        try:
            outputs = model.predict_array(array) if request is None else model.predict({**request})
            return self._column(model.name, outputs)
        except RequestError:
            raise
        except own() as error:
            raise RouteCallError(model.name, error) from error

    async def _answered(self, event: Event, wanted: ModelRequest, inference: Inference) -> list[list[Any]]:
        """What the models answer to the event, through all their hooks."""
        question = _question(event, wanted, inference)
        results = await self._fan.results([(branch, question) for branch in self._all])
        is_one = inference.form is RequestForm.ONE
        return [
            [_outputs(result)] if is_one else self._column(branch.name, _outputs(result))
            for branch, result in zip(self._all, results, strict=True)
        ]


def _outputs(result: Any) -> Any:
    return result["outputs"] if isinstance(result, Mapping) and "outputs" in result else result


def _question(event: Event, wanted: ModelRequest, inference: Inference) -> Event:
    """What each model is asked: the same inputs, named after nobody."""
    is_plain = inference.form is not RequestForm.TENSORS and event.path == "/" and wanted.model is None
    if is_plain and wanted.operation == "infer":
        return event
    body: Any = event.body
    if inference.form in (RequestForm.TENSORS, RequestForm.REQUEST):
        body = {name: value for name, value in inference.request.items() if name in ("inputs", "parameters")}
        if wanted.operation == "infer_dict":
            body["operation"] = "infer_dict"
    question = event.with_body(body)
    question.path = "/"
    return question


def _is_class(value: Any) -> bool:
    return type(value) is int or isinstance(value, str | bytes | Integral)


def _voted(row: Sequence[Any], weights: Sequence[float]) -> Any:
    if row.count(row[0]) == len(row):
        return row[0]
    votes: dict[Any, float] = {}
    for value, weight in zip(row, weights, strict=True):
        votes[value] = votes.get(value, 0.0) + weight
    most = max(votes.values())
    return next(value for value, count in votes.items() if count >= most - 1e-12)  # sums of weights are not exact


def _mean(row: Sequence[Any], weights: Sequence[float]) -> Any:
    if isinstance(row[0], list | tuple):
        return [_mean(values, weights) for values in zip(*row, strict=True)]
    return sum(value * weight for value, weight in zip(row, weights, strict=True))
