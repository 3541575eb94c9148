"""Training curves: `curves.png` of a run folder."""

import io
from pathlib import Path

from scenelet.config.run_folder import CURVES
from scenelet.training.module import History
from scenelet.utils.files import replace_file


def plot_curves(folder: Path, history: History) -> None:
    """Draw `curves.png`: loss by epoch, and validation accuracy or else the learning rate."""
    from matplotlib.figure import Figure

    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(8, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(epochs, [row["loss"] for row in history], label="training")
    left.set(xlabel="epoch", ylabel="loss")
    if "validation_log_loss" in history[0]:
        left.plot(epochs, [row["validation_log_loss"] for row in history], label="validation (log loss)")
        left.legend()
        right.plot(epochs, [100 * row["validation_macro_accuracy"] for row in history])
        right.set(xlabel="epoch", ylabel="validation macro accuracy, %")
    else:
        right.plot(epochs, [row["rate"] for row in history])
        right.set(xlabel="epoch", ylabel="learning rate")
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=120)
    replace_file(folder / CURVES, data.getvalue())
