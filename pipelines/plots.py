"""Small pictures for Dagster's pages."""

import base64
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Final

Curve = Sequence[Sequence[float]]

_COLUMNS: Final = 3
_ROW: Final = 1.7  # inches


def curves_picture(curves: Mapping[str, Curve]) -> str:
    """Draw curves of (step, value) points side by side, as a Markdown image with its own bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(curves) // _COLUMNS)
    # Fixed margins: a fitted layout costs several times what the drawing does.
    figure = Figure(figsize=(9, _ROW * rows), dpi=90)
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        rows, _COLUMNS, left=0.06, right=0.99, top=1 - 0.3 / (_ROW * rows),
        bottom=0.3 / (_ROW * rows), hspace=0.55, wspace=0.22,
    )  # fmt: skip
    for place, (name, points) in enumerate(curves.items()):
        axes = figure.add_subplot(grid[place])
        axes.plot([p[0] for p in points], [p[1] for p in points], linewidth=1.4)
        axes.set_title(name, loc="left", fontsize=9)
        axes.tick_params(labelsize=7)
        axes.locator_params(nbins=4)
        axes.grid(alpha=0.3)
    out = BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    told = ", ".join(curves)
    return f"![{told} by step](data:image/png;base64,{base64.b64encode(out.getvalue()).decode()})"
