"""Images: the picture that a value makes of itself, or that an array is; small in a list, in full size on request.

Pillow scales them: whose picture it is has it; without it, what is too large is had on request alone.
"""

from __future__ import annotations

import base64
import io
from typing import Any, NamedTuple

from nbgraph.introspection import attribute, has_attribute

TYPES = {"_repr_png_": "image/png", "_repr_jpeg_": "image/jpeg", "_repr_svg_": "image/svg+xml"}
SIDE = 320  # pixels of a small picture
SMALL = 12_000  # bytes that are left as they are
LOOKED_AT = 4_000_000  # numbers of an array that figures are made of


class Image(NamedTuple):
    """A picture as bytes; `is_small` where the whole one is larger."""

    words: str
    type: str
    data: bytes
    is_small: bool = False


def picture(value: Any, *, whole: bool = False) -> Image | None:
    """The picture that a value makes of itself. An SVG is shown as an image, in which no script runs.

    >>> class Dot:
    ...     def _repr_svg_(self): return "<svg/>"
    >>> picture(Dot()), picture(1)
    (Image(words='Dot', type='image/svg+xml', data=b'<svg/>', is_small=False), None)
    """
    name = type(value).__name__
    module = type(value).__module__.partition(".")[0]
    if module == "PIL" and has_attribute(value, "thumbnail"):
        return _scaled(value, f"{name} {value.width} × {value.height}, {value.mode}", whole=whole)
    if module == "matplotlib" and has_attribute(value, "savefig"):
        stream = io.BytesIO()
        value.savefig(stream, format="png", dpi=120 if whole else 60, bbox_inches="tight")
        return Image(name, "image/png", stream.getvalue(), is_small=not whole)
    for method, type_ in TYPES.items():
        made = made_by(value, method)
        if isinstance(made, str):
            made = made.encode() if type_.endswith("xml") else base64.b64decode(made)
        if isinstance(made, bytes) and made:
            return Image(name, type_, made) if whole or len(made) <= SMALL else _of_bytes(name, type_, made)
    return None


def made_by(value: Any, name: str) -> Any:
    """What the method gives, without the metadata; classes are not asked, only what is made from them."""
    method = attribute(type(value), name)
    if not callable(method) or isinstance(value, type):
        return None
    made = method(value)
    return made[0] if isinstance(made, tuple) else made


def array_picture(value: Any, *, whole: bool = False) -> Image | None:
    """An array of bytes in the shape of a picture, as one; None where it is none, or Pillow is not there."""
    shape = tuple(value.shape)
    is_picture = len(shape) in (2, 3) and min(shape[:2]) >= 8 and (len(shape) == 2 or shape[2] in (3, 4))
    if not is_picture or str(value.dtype).rpartition(".")[2] != "uint8":
        return None
    try:
        import numpy
        from PIL import Image as Pillow
    except ImportError:
        return None
    image = Pillow.fromarray(numpy.ascontiguousarray(value))
    return _scaled(image, f"{shape[1]} × {shape[0]}", whole=whole)


def array_figures(value: Any) -> str:
    """Least, mean and greatest number of an array, and how many are missing; empty where there are none to be had.

    >>> import numpy
    >>> array_figures(numpy.array([1.0, 2.0, numpy.nan]))
    ': min 1, mean 1.5, max 2, NaN 1'
    """
    try:
        import numpy

        numbers = numpy.asarray(value)
    except Exception:  # a tensor elsewhere than in this memory
        return ""
    if numbers.dtype.kind not in "biuf" or not 0 < numbers.size <= LOOKED_AT:
        return ""
    missing = int(numpy.isnan(numbers).sum()) if numbers.dtype.kind == "f" else 0
    if missing:
        numbers = numbers[~numpy.isnan(numbers)]
    if not numbers.size:
        return f": NaN {missing}"
    least, mean, most = (f"{float(one):.4g}" for one in (numbers.min(), numbers.mean(dtype=float), numbers.max()))
    return f": min {least}, mean {mean}, max {most}{f', NaN {missing}' if missing else ''}"


def _of_bytes(name: str, type_: str, data: bytes) -> Image:
    """A picture that came as bytes, made small where that can be done."""
    try:
        from PIL import Image as Pillow

        return _scaled(Pillow.open(io.BytesIO(data)), name, whole=False)
    except Exception:  # an SVG, or no Pillow
        return Image(name, type_, data)


def _scaled(image: Any, words: str, *, whole: bool) -> Image:
    is_small = not whole and max(image.size) > SIDE
    if is_small:
        image = image.copy()
        image.thumbnail((SIDE, SIDE))
    has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    is_drawn = image.mode in ("1", "P") or has_alpha
    stream = io.BytesIO()
    if is_drawn:
        image.save(stream, "PNG")
    else:
        image.convert("RGB").save(stream, "JPEG", quality=90 if whole else 75)
    return Image(words, "image/png" if is_drawn else "image/jpeg", stream.getvalue(), is_small)
