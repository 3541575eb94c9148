"""What a training run remembers in its folder, so that it can be resumed, compressed and reported.

The folder's files: `scenelet.config.run_folder`.
"""

import io
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError, field_validator
from torch import Tensor

from scenelet import __version__
from scenelet.config import NetworkConfig, RunConfig, Settings
from scenelet.config.run_folder import CURVES as CURVES
from scenelet.config.run_folder import METRICS as METRICS
from scenelet.config.run_folder import RECORD as RECORD
from scenelet.config.run_folder import SPLIT as SPLIT
from scenelet.config.run_folder import WEIGHTS as WEIGHTS
from scenelet.config.run_folder import check_run_exists
from scenelet.data.splits import Split, split_table
from scenelet.errors import RunError, UsageError
from scenelet.nn import create_model, model_settings
from scenelet.nn.blocks import to_channels_last
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.checkpoint import check_state_dict, read_checkpoint
from scenelet.training.module import History
from scenelet.utils.files import make_folder, replace_file, replace_files


class DataRecord(Settings):
    """Where the recordings of a run lie and what they were recognized as."""

    path: str
    audio_dir: str | None = None
    tau_3_class: bool = False
    description: str = ""
    synthetic: bool = False
    license: str = ""


class RunRecord(Settings):
    """`run.json`."""

    config: RunConfig
    recipe: str
    data: DataRecord
    labels: tuple[str, ...]
    train_counts: tuple[int, ...]
    versions: dict[str, str]
    teacher: dict[str, Any] | None = None
    """Where the run that taught this one lies ("run"), its recipe and its network; None: the labels alone."""

    @field_validator("teacher")
    @classmethod
    def _named(cls, teacher: dict[str, Any] | None) -> dict[str, Any] | None:
        if teacher is not None and not isinstance(teacher.get("run"), str):
            raise ValueError("its teacher has no run")
        return teacher


def versions() -> dict[str, str]:
    """Versions that a result depends on."""
    found = {name: version(name) for name in ("torch", "lightning", "numpy", "scipy", "soxr", "soundfile")}
    return {"scenelet": __version__, "python": platform.python_version(), **found}


def write_record(folder: Path, record: RunRecord, split: Split) -> None:
    """Begin a run folder: `split.csv`, then `run.json`, with which a run is begun.

    Raises:
        RunError: there is a `split.csv` already, and it is another.
        OutputError: they cannot be written.
    """
    make_folder(folder)
    path = folder / SPLIT
    if path.exists() and path.read_bytes() != split_table(split).encode(errors="surrogateescape"):
        raise RunError(f"{path}: is there without a run, and of another split; delete it, or choose another --out")
    replace_files({folder / SPLIT: split_table(split), folder / RECORD: record.model_dump_json(indent=2) + "\n"})


def check_same_split(folder: Path, split: Split, data: str) -> None:
    """Check that clips, labels and sides are still those of `split.csv`.

    Raises:
        RunError: recordings were added, removed, renamed or relabelled since the run began; a made
            split would then put clips on other sides without a word.
    """
    path = folder / SPLIT
    if not path.is_file() or path.read_bytes() != split_table(split).encode(errors="surrogateescape"):
        raise RunError(f"{folder}: the recordings in {data} are not those that {SPLIT} lists; put them back")


def read_record(folder: Path) -> RunRecord:
    """Read `run.json`.

    Raises:
        RunError: the folder is not a run, or its record is damaged.
    """
    check_run_exists(folder)
    path = folder / RECORD
    try:
        return RunRecord.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RunError(f"{path}: damaged ({error.errors()[0]['msg']}); train again into a new folder") from None


def build_network(config: RunConfig, classes: int, mean: Tensor, deviation: Tensor) -> StandardizedNetwork:
    """The run's network with fresh weights, drawn from the run's seed.

    Raises:
        UsageError: no network has this name, or it lacks a setting that was changed.
    """
    name = config.network.name
    taken = model_settings(name)
    settings = {key: value for key, value in config.network.model_dump(exclude={"name"}).items() if key in taken}
    for key in config.network.model_fields_set - taken - {"name"}:
        if getattr(config.network, key) != NetworkConfig.model_fields[key].default:
            raise UsageError(f"network.{key} is set, and {name} has no such setting")
    if config.augment.crop_frames and "frames" in taken:
        raise UsageError(
            f"augment.crop_frames is set, and {name} has dense layers that take whole windows; set it to 0"
        )
    shape = {"n_mels": config.features.n_mels, "frames": config.frames}  # for a network that has dense layers
    settings |= {key: value for key, value in shape.items() if key in taken}
    network = create_model(
        name,
        num_classes=classes,
        in_channels=config.features.n_channels,
        generator=torch.Generator().manual_seed(config.seed),
        **settings,
    )
    built = StandardizedNetwork(to_channels_last(network), mean, deviation)
    if config.augment.crop_frames:
        _check_frames(built, config)
    return built


def _check_frames(network: StandardizedNetwork, config: RunConfig) -> None:
    """Check that something is left of `augment.crop_frames` frames where the network has halved them again and again."""
    shape = 1, config.features.n_channels, config.features.n_mels, min(config.augment.crop_frames, config.frames)
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(shape))
    except RuntimeError:
        message = f"augment.crop_frames is {config.augment.crop_frames} frames, of which {config.network.name} leaves none; raise it"
        raise UsageError(message) from None
    finally:
        network.train()


def save_weights(folder: Path, network: StandardizedNetwork) -> None:
    """Write `model.pt`."""
    data = io.BytesIO()
    torch.save(network.state_dict(), data)
    replace_file(folder / WEIGHTS, data.getvalue())


def load_network(folder: Path, record: RunRecord) -> StandardizedNetwork:
    """The trained network of a finished run.

    Raises:
        RunError: training has not finished, or its weights are damaged or another network's.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise RunError(f"{folder}: this run has not finished; go on with `scenelet train ... --resume`")
    blank = torch.ones(record.config.features.n_mels)
    network = build_network(record.config, len(record.labels), blank, blank)
    weights = read_checkpoint(path)
    check_state_dict(path, weights, network.state_dict())
    network.load_state_dict(weights)
    return network.eval()


def write_metrics(folder: Path, metrics: dict[str, Any]) -> None:
    """Write `metrics.json`."""
    replace_file(folder / METRICS, json.dumps(metrics, indent=2) + "\n")


def read_metrics(folder: Path) -> dict[str, Any]:
    """Read `metrics.json` of a finished run.

    Raises:
        RunError: it is damaged.
    """
    path = folder / METRICS
    try:
        metrics: dict[str, Any] = json.loads(path.read_bytes())
        float(metrics["minutes"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise RunError(f"{path}: damaged; delete the folder {folder} and train again") from None
    return metrics


def plot_curves(folder: Path, history: History) -> None:
    """Draw `curves.png` from the notes of each epoch."""
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
