"""Rich: the picture or the page that a value makes of itself, in a form that can do no harm in a view."""

from __future__ import annotations

from typing import Any

from nbgraph.introspection import attribute
from nbgraph.widgets.values.image import TYPES, made_by
from nbgraph.widgets.values.table_pages import is_table

PAGE = 40_000  # characters of HTML


def html(value: Any) -> str:
    """The page it makes of itself, empty without one; it is shown in a frame that runs and loads nothing."""
    made = made_by(value, "_repr_html_")
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
