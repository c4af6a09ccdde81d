"""Small pictures for Dagster's pages."""

import base64
from collections.abc import Sequence
from io import BytesIO


def curve_picture(name: str, points: Sequence[Sequence[float]]) -> str:
    """Draw (step, value) points as a Markdown image that carries its own bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 2.2), dpi=90, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([p[0] for p in points], [p[1] for p in points], linewidth=1.4)
    axes.set_xlabel("step")
    axes.set_title(name, loc="left", fontsize=10)
    axes.grid(alpha=0.3)
    out = BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return f"![{name}](data:image/png;base64,{base64.b64encode(out.getvalue()).decode()})"
