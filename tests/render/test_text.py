"""The outline in words."""

from nbgraph.render import outline
from tests.render.drawings import fraud, saved


def test_the_outline_says_everything_in_words():
    assert outline(fraud(), status={"clean": "done"}) == saved("fraud.txt", outline(fraud(), status={"clean": "done"}))
