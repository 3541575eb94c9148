"""Which layers can be pruned or rounded: a table and a picture."""

import io
import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from scenelet.utils.console import print_message
from scenelet.utils.files import csv_text, replace_files


@dataclass(frozen=True)
class LayerLoss:
    """Log loss of a network with one layer changed; `layer` is "whole" where none is."""

    layer: str
    change: str
    weights: int
    log_loss: float


def write_sensitivity(model: Path, losses: Sequence[LayerLoss]) -> None:
    """Write `NAME.sensitivity.csv` and `.png` beside the model file `NAME.scn`."""
    table, picture = (model.with_suffix(f".sensitivity.{kind}") for kind in ("csv", "png"))
    text = csv_text([field.name for field in fields(LayerLoss)], map(astuple, losses))
    replace_files({picture: _plot(losses), table: text})
    print_message(f"written: {table}, {picture}")


def _plot(losses: Sequence[LayerLoss]) -> bytes:
    """A row a layer, a column a change; the color is the log loss above the whole network's."""
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    whole, *changed = losses
    layers = list(dict.fromkeys(one.layer for one in changed))
    changes = list(dict.fromkeys(one.change for one in changed))
    more = {(one.layer, one.change): one.log_loss - whole.log_loss for one in changed}
    weights = {one.layer: one.weights for one in changed}
    grid = [[max(more.get((layer, change), math.nan), 1e-4) for change in changes] for layer in layers]
    figure = Figure(figsize=(3 + 1.1 * len(changes), 1.6 + 0.3 * len(layers)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(grid, aspect="auto", cmap="magma_r", norm=LogNorm(1e-3, 3, clip=True))
    axes.set_xticks(range(len(changes)), changes)
    axes.set_yticks(range(len(layers)), [f"{layer} ({weights[layer]:,})" for layer in layers])
    for row, layer in enumerate(layers):
        for column, change in enumerate(changes):
            if (layer, change) not in more:  # dense layers are not pruned
                continue
            value = more[layer, change]
            color = "white" if value > 0.2 else "black"
            axes.text(column, row, f"{value:+z.3f}", ha="center", va="center", color=color, fontsize=8)
    axes.set_title(f"log loss above the whole network's {whole.log_loss:.3f}, one layer changed", fontsize=10)
    figure.colorbar(image, ax=axes)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110, metadata={"Software": None})
    return data.getvalue()
