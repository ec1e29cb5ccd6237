"""HuggingFaceModel with the real Transformers: a small model is trained here, saved to a folder, and served from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nbgraph import Graph, GraphError
from nbgraph.steps import HuggingFaceModel

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

GOOD, BAD = ["good flight", "lovely crew", "good lovely food"], ["awful delay", "bad seat", "bad awful crew"]
WORDS = sorted({word for text in GOOD + BAD for word in text.split()})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers that has learnt six sentences."""
    torch.manual_seed(0)
    where = tmp_path_factory.mktemp("mood")
    (where / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]))
    tokenizer = transformers.BertTokenizer.from_pretrained(str(where))
    config = transformers.BertConfig(
        vocab_size=5 + len(WORDS), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=32, id2label={0: "bad", 1: "good"}, label2id={"bad": 0, "good": 1},
    )  # fmt: skip
    model = transformers.BertForSequenceClassification(config)
    given = tokenizer(BAD + GOOD, return_tensors="pt", padding=True)
    wanted = torch.tensor([0] * len(BAD) + [1] * len(GOOD))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(60):
        optimizer.zero_grad()
        model(**given, labels=wanted).loss.backward()
        optimizer.step()
    model.eval().save_pretrained(where, safe_serialization=True)
    tokenizer.save_pretrained(where)
    return where


def graph_of(model: Any) -> Graph:
    graph = Graph("g")
    graph.to(model, "mood").respond()
    return graph


def test_texts_are_classified_from_a_local_folder(folder: Path) -> None:
    graph = graph_of(HuggingFaceModel(model=folder, task="text-classification"))
    found = graph.run({"inputs": ["lovely flight", "awful seat"]})
    assert [output["label"] for output in found["outputs"]] == ["good", "bad"]
    assert graph.run("good crew")["label"] == "good"


def test_options_of_the_pipeline(folder: Path) -> None:
    graph = graph_of(HuggingFaceModel(model=folder, task="text-classification", pipeline={"top_k": 2}))
    assert [output["label"] for output in graph.run("good flight")] == ["good", "bad"]


def test_tensors_of_the_protocol(folder: Path) -> None:
    graph = graph_of(HuggingFaceModel(model=folder, task="text-classification"))
    texts = {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["good flight", "bad delay"]}
    (found,) = graph.run({"inputs": [texts]}, path="/v2/models/mood/infer")["outputs"]
    assert (found["datatype"], found["shape"], '"label": "good"' in found["data"][0]) == ("BYTES", [2], True)


def test_weights_that_are_pickled_are_not_read(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(GraphError, match="safetensors"):
        graph_of(HuggingFaceModel(model=tmp_path, task="text-classification")).ready()


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"there is no folder with a config\.json"):
        graph_of(HuggingFaceModel(model=tmp_path)).ready()
