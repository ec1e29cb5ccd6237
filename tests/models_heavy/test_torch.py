"""TorchModel with the real PyTorch, on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nbgraph import Graph, GraphError, StepError
from nbgraph.errors import RequestError
from nbgraph.steps import TorchModel

torch = pytest.importorskip("torch")
ROWS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


class Net(torch.nn.Module):  # type: ignore[name-defined, misc]
    def __init__(self) -> None:
        super().__init__()
        self.line = torch.nn.Linear(3, 2)
        self.drop = torch.nn.Dropout(0.9)  # does nothing where the step has called eval()

    def forward(self, rows: Any) -> Any:
        return self.drop(self.line(rows))


@pytest.fixture
def net() -> Any:
    torch.manual_seed(0)
    return Net().eval()


@pytest.fixture
def expected(net: Any) -> Any:
    with torch.inference_mode():
        return pytest.approx(net(torch.tensor(ROWS)).numpy())


def graph_of(model: Any) -> Graph:
    graph = Graph("g")
    graph.to(model, "m").respond()
    return graph


def outputs(model: Any, body: Any = None) -> Any:
    return graph_of(model).run(body or {"inputs": ROWS})["outputs"]


def test_a_module_as_an_object(net: Any, expected: Any) -> None:
    assert outputs(TorchModel(model=net.train())) == expected


def test_weights_in_safetensors_and_as_a_state_dict(net: Any, expected: Any, tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(net.state_dict(), tmp_path / "net.safetensors")
    torch.save(net.state_dict(), tmp_path / "net.pt")
    models = [
        TorchModel(model=tmp_path / "net.safetensors", module=Net()),
        TorchModel(model=tmp_path / "net.pt", module=Net),
    ]
    assert [outputs(model) for model in models] == [expected, expected]


def test_an_exported_program(net: Any, expected: Any, tmp_path: Path) -> None:
    rows = torch.export.Dim("rows")
    program = torch.export.export(net, (torch.zeros(2, 3),), dynamic_shapes={"rows": {0: rows}})
    torch.export.save(program, tmp_path / "net.pt2")
    assert outputs(TorchModel(model=tmp_path / "net.pt2")) == expected


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning")
def test_a_torchscript_file(net: Any, expected: Any, tmp_path: Path) -> None:
    torch.jit.trace(net, torch.zeros(2, 3)).save(str(tmp_path / "net.ts"))
    assert outputs(TorchModel(model=tmp_path / "net.ts")) == expected


def test_tensors_of_the_protocol(net: Any, expected: Any) -> None:
    flat = [value for row in ROWS for value in row]
    body = {"inputs": [{"name": "rows", "shape": [2, 3], "datatype": "FP32", "data": flat}]}
    (found,) = outputs(TorchModel(model=net, outputs=["scores"]), body)
    assert (found["name"], found["datatype"], found["shape"]) == ("scores", "FP32", [2, 2])


def test_several_inputs_by_name_and_several_outputs() -> None:
    class Two(torch.nn.Module):  # type: ignore[name-defined, misc]
        def forward(self, a: Any, b: Any) -> Any:
            return {"sum": a + b, "product": a * b}

    tensors = [{"name": name, "shape": [2], "datatype": "FP32", "data": [2.0, 3.0]} for name in "ab"]
    found = outputs(TorchModel(model=Two()), {"inputs": tensors})
    assert {tensor["name"]: tensor["data"] for tensor in found} == {"sum": [4.0, 6.0], "product": [4.0, 9.0]}


def test_a_file_that_holds_code_is_not_read(tmp_path: Path) -> None:
    torch.save(Net(), tmp_path / "whole.pt")  # a pickled object, not weights
    with pytest.raises(GraphError, match='Step "m" can\'t be built: UnpicklingError'):
        graph_of(TorchModel(model=tmp_path / "whole.pt", module=Net)).ready()


def test_weights_want_a_module(net: Any, tmp_path: Path) -> None:
    torch.save(net.state_dict(), tmp_path / "net.pt")
    with pytest.raises(GraphError, match=r"holds weights; say what they belong to: TorchModel\(model=\.\.\., module"):
        graph_of(TorchModel(model=tmp_path / "net.pt")).ready()


def test_rows_that_are_no_numbers(net: Any) -> None:
    with pytest.raises(StepError) as caught:
        outputs(TorchModel(model=net), {"inputs": [["a"]]})
    assert isinstance(caught.value.__cause__, RequestError)


def test_an_unknown_dtype(net: Any) -> None:
    with pytest.raises(GraphError, match="dtype='floaty', which PyTorch does not know"):
        graph_of(TorchModel(model=net, dtype="floaty")).ready()
