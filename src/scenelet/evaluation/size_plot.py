"""A plot that compares the accuracy of several models with their size."""

import io
from collections.abc import Sequence

from scenelet.errors import UsageError
from scenelet.model.summary import ModelSummary

LIMITS_KB = {64: "64 kB", 128: "128 kB", 500: "500 kB"}


def plot_sizes(rows: Sequence[ModelSummary]) -> bytes:
    """Plot macro accuracy against kB on disk as a PNG, without the models of unknown accuracy.

    Raises:
        UsageError: no model has a known accuracy.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    known = [row for row in rows if row.accuracy is not None]
    if not known:
        raise UsageError("--plot: no model file here stores an accuracy; give files written by `scenelet compress`")
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for row in known:
        assert row.accuracy is not None
        point = row.disk_bytes / 1000, 100 * row.accuracy
        axes.plot(*point, "o", color="tab:blue", fillstyle="full" if row.subset == "test" else "none")
        axes.annotate(row.name, point, (5, 4), textcoords="offset points", size=8, parse_math=False)
    axes.set_xscale("log")
    axes.margins(0.15)  # space for the names
    low, high = axes.get_xlim()
    for limit, name in LIMITS_KB.items():
        if low <= limit <= high:
            axes.axvline(limit, color="grey", linewidth=0.8, linestyle="--")
            axes.annotate(
                name, (limit, 0.01), (3, 0), xycoords=("data", "axes fraction"), textcoords="offset points", size=8
            )
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high > 4 * low else range(1, 10)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    validation = ", hollow: on validation" if any(row.subset != "test" for row in known) else ""
    axes.set(xlabel="file, kB on disk", ylabel=f"macro accuracy, %, as stored in the file{validation}")
    axes.grid(alpha=0.3)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110, metadata={"Software": None})
    return data.getvalue()
