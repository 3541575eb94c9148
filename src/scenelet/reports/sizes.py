"""Models beside each other: how much accuracy for how many bytes."""

import io
from collections.abc import Sequence

from scenelet.describe import Summary

LIMITS_KB = {64: "64 kB", 128: "128 kB", 500: "500 kB"}


def plot_sizes(rows: Sequence[Summary]) -> bytes:
    """PNG of macro accuracy against kB on disk; models of unknown accuracy are left out."""
    from matplotlib.figure import Figure

    known = [row for row in rows if row.accuracy is not None]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for row in known:
        assert row.accuracy is not None
        axes.plot(row.disk_bytes / 1000, 100 * row.accuracy, "o", color="tab:blue")
        axes.annotate(row.name, (row.disk_bytes / 1000, 100 * row.accuracy), (5, 4), textcoords="offset points", size=8)
    axes.set_xscale("log")
    axes.margins(0.15)  # room for the names
    low, high = axes.get_xlim()
    for limit, name in LIMITS_KB.items():
        if low <= limit <= high:
            axes.axvline(limit, color="grey", linewidth=0.8, linestyle="--")
            axes.annotate(
                name, (limit, 0.01), (3, 0), xycoords=("data", "axes fraction"), textcoords="offset points", size=8
            )
    ticks = [size for size in (8, 16, 32, 64, 128, 250, 500, 1000, 2000, 4000) if low <= size <= high]
    axes.set_xticks(ticks, [str(size) for size in ticks])
    axes.minorticks_off()
    axes.set(xlabel="file, kB on disk", ylabel="macro accuracy, %, as its file says")
    axes.grid(alpha=0.3)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110, metadata={"Software": None})
    return data.getvalue()
