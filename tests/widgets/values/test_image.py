"""Pictures in previews: small ones in bounds, the whole one on request, arrays with their figures."""

import base64
import io

import numpy
import pytest

from nbgraph.widgets.values.preview import part, shown


class Picture:
    """Makes a picture of itself that is too large for a preview."""

    def _repr_svg_(self):
        return f"<svg><!--{'x' * 200_000}--></svg>"


def noise(width: int, height: int):
    return numpy.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=numpy.uint8)


def size_of(image: dict) -> tuple[int, int]:
    pillow = pytest.importorskip("PIL.Image")
    return pillow.open(io.BytesIO(base64.b64decode(image["data"]))).size


def test_a_photograph_is_small_in_a_preview_and_whole_on_request():
    pillow = pytest.importorskip("PIL.Image")
    photograph = pillow.fromarray(noise(1200, 900))
    small, whole = shown({"photo": photograph})["items"][0][1], part({"photo": photograph}, [0], 0)
    assert (small["text"], size_of(small), small["more"], size_of(whole), whole.get("more")) == (
        "Image 1200 × 900, RGB", (320, 240), 1, (1200, 900), None,
    )  # fmt: skip


def test_an_array_has_its_figures_and_is_a_picture_where_it_can_be_one():
    figures = shown(numpy.array([[1.0, numpy.nan], [2.0, 6.0]]))
    picture = shown(noise(40, 30))
    assert figures["text"] == "ndarray float64 (2, 2): min 1, mean 3, max 6, NaN 1"
    assert size_of(picture["picture"]) == (40, 30)


def test_what_is_too_large_for_a_preview_is_had_on_request():
    image, whole = shown(Picture()), part(Picture(), [], 0)
    assert (image["data"], image["more"], len(base64.b64decode(whole["data"]))) == ("", 1, 200_018)
