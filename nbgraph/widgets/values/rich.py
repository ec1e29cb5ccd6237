"""Rich: the picture or the page that a value makes of itself, in a form that can do no harm in a view."""

from __future__ import annotations

import base64
import io
from typing import Any

from nbgraph.introspection import attribute, has_attribute
from nbgraph.widgets.values.table_pages import is_table

PAGE = 40_000  # characters of HTML
TYPES = {"_repr_png_": "image/png", "_repr_jpeg_": "image/jpeg", "_repr_svg_": "image/svg+xml"}


def picture(value: Any) -> tuple[str, bytes] | None:
    """Its type and bytes. An SVG is shown as an image, in which no script runs and which loads nothing.

    >>> class Dot:
    ...     def _repr_svg_(self): return "<svg/>"
    >>> picture(Dot()), picture(1)
    (('image/svg+xml', b'<svg/>'), None)
    """
    if type(value).__module__.partition(".")[0] == "matplotlib" and has_attribute(value, "savefig"):
        stream = io.BytesIO()
        value.savefig(stream, format="png", dpi=60)
        return "image/png", stream.getvalue()
    for name, type_ in TYPES.items():
        made = _made(value, name)
        if isinstance(made, str):
            made = made.encode() if type_.endswith("xml") else base64.b64decode(made)
        if isinstance(made, bytes) and made:
            return type_, made
    return None


def html(value: Any) -> str:
    """The page it makes of itself, empty without one; it is shown in a frame that runs and loads nothing."""
    made = _made(value, "_repr_html_")
    is_still = isinstance(made, str) and "<script" not in made  # what a script would draw is empty without it
    return str(made) if is_still and len(str(made)) <= PAGE else ""


def is_rich(value: Any) -> bool:
    """Whether a notebook would show more of it than words; tables are shown here in pages."""
    if isinstance(value, type) or is_table(value):
        return False
    names = ("_repr_mimebundle_", "_ipython_display_", "_repr_html_", *TYPES)
    return any(callable(attribute(type(value), name)) for name in names)


def rendered(value: Any) -> Any:
    """An output area that holds what a cell would show of the value."""
    import ipywidgets
    from IPython.core.formatters import DisplayFormatter
    from IPython.core.getipython import get_ipython
    from IPython.utils.capture import capture_output

    shell = get_ipython()
    formatter: Any = (shell.display_formatter if shell is not None else None) or DisplayFormatter()
    with capture_output(stdout=False, stderr=False) as captured:  # some show themselves when they are asked
        made = formatter.format(value)
    bundles = [(output.data, output.metadata) for output in captured.outputs] or [made]
    return ipywidgets.Output(
        outputs=tuple({"output_type": "display_data", "data": data, "metadata": more or {}} for data, more in bundles)
    )


def _made(value: Any, name: str) -> Any:
    """What the method gives, without the metadata; classes are not asked, only what is made from them."""
    method = attribute(type(value), name)
    if not callable(method) or isinstance(value, type):
        return None
    made = method(value)
    return made[0] if isinstance(made, tuple) else made
