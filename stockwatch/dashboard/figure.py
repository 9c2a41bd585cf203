"""A chart as plotly.js takes it: traces and a layout, as plain JSON.

plotly's own Python classes check each value on its way, 30 ms a figure: a tenth of what the page may take until a price is on
the screen. So they check the figures in the tests (test_charts.py), and not at each tick.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NO_TEMPLATE = {"data": {"scatter": [{"type": "scatter"}]}}  # plotly's "none"


def _layout() -> dict[str, Any]:
    return {"template": NO_TEMPLATE, "xaxis": {}, "yaxis": {}, "shapes": [], "annotations": []}


@dataclass
class Figure:
    """The same words as plotly's; what is told later replaces what was told."""

    data: list[dict[str, Any]] = field(default_factory=list)
    layout: dict[str, Any] = field(default_factory=_layout)

    def add_trace(self, kind: str, **trace: Any) -> None:
        """candlestick, bar or scatter, and what plotly.js knows of it."""
        self.data.append({"type": kind, **trace})

    def update_layout(self, **told: Any) -> None:
        """Of the layout itself."""
        self.layout.update(told)

    def update_xaxes(self, **told: Any) -> None:
        """Of the horizontal axis."""
        self.layout["xaxis"].update(told)

    def update_yaxes(self, **told: Any) -> None:
        """Of the vertical axis."""
        self.layout["yaxis"].update(told)

    def add_shape(self, **shape: Any) -> None:
        """A line of the layout."""
        self.layout["shapes"].append(shape)

    def add_hline(self, y: float, line: dict[str, Any]) -> None:
        """A level line from edge to edge."""
        self.add_shape(type="line", x0=0, x1=1, xref="x domain", y0=y, y1=y, yref="y", line=line)

    def add_annotation(self, **note: Any) -> None:
        """A text of the layout."""
        self.layout["annotations"].append(note)
