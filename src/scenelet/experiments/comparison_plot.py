"""Plot of a comparison, next to the paper's results."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scenelet.evaluation.bootstrap import binomial_half_width
from scenelet.utils.files import replace_file

OWN_COLOR, PAPER_COLOR = "#1f6f8b", "#999999"


def write_plot(folder: Path, compared: Mapping[str, Any]) -> None:
    """Write `NAME.png`, a plot of the result of `scenelet.experiments.comparison.compare`, into a folder that exists.

    Raises:
        OutputError: the file cannot be written.
    """
    replace_file(folder / f"{compared['name']}.png", _plot(compared))


def _plot(compared: Mapping[str, Any]) -> bytes:
    """Plot a point and its interval per row, and the paper's results on an axis of their own, since the data differ."""
    from matplotlib.figure import Figure

    rows = list(reversed([*compared["rows"], *([compared["mean_row"]] if compared["mean_row"] else [])]))
    with_paper = any(row["paper"] for row in rows)
    figure = Figure(figsize=(10 if with_paper else 7.5, 1.5 + 0.36 * len(rows)), layout="constrained")
    axes = figure.subplots(1, 2 if with_paper else 1, sharey=True, squeeze=False)[0]
    for y, row in enumerate(rows):
        if "macro_accuracy" in row:
            axes[0].errorbar(*_bar(row["macro_accuracy"], y), fmt="o", color=OWN_COLOR, capsize=3)
            dots = [100 * trial["macro_accuracy"] for trial in row["by_trial"]]
            if len(dots) > 1:
                axes[0].plot(dots, [y] * len(dots), ".", color=OWN_COLOR, alpha=0.3)
        if row["paper"]:
            value = row["paper"]["accuracy"] / 100
            half = binomial_half_width(value, compared["paper_clips"]) if compared["paper_clips"] else 0.0
            interval = {"value": value, "low": value - half, "high": value + half}
            axes[1].errorbar(*_bar(interval, y), fmt="s", color=PAPER_COLOR, capsize=3)
    figure.suptitle(f"{compared['title']}; recipe {compared['recipe']}", fontsize=10, wrap=True)
    axes[0].set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes[0].set(xlabel="macro accuracy, %", title="measured here (small dots: single trials)")
    if with_paper:
        axes[1].set(xlabel="accuracy, %", title=f"the paper, on {compared['paper_data']} (different scale)")
    for axis in axes:
        axis.set_ylim(-0.6, len(rows) - 0.4)
        axis.grid(axis="x", alpha=0.3)
    data = io.BytesIO()
    # without Matplotlib's version in the file, the same results give the same bytes
    figure.savefig(data, format="png", dpi=110, metadata={"Software": None})
    return data.getvalue()


def _bar(interval: Mapping[str, float], y: int) -> tuple[float, int, None, list[list[float]]]:
    """Return x, y, y error and x error for `errorbar`."""
    value = 100 * interval["value"]
    low, high = (value if interval[end] is None else 100 * interval[end] for end in ("low", "high"))
    return value, y, None, [[max(value - low, 0.0)], [max(high - value, 0.0)]]
