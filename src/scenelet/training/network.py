"""Networks of runs: build one from the settings, save and load its weights."""

import io
from pathlib import Path

import torch
from torch import Tensor

from scenelet.config import NetworkConfig, RunConfig
from scenelet.config.run_folder import WEIGHTS, RunRecord
from scenelet.errors import RunError, UsageError
from scenelet.nn import create_model, model_settings
from scenelet.nn.blocks import to_channels_last
from scenelet.nn.ensemble import Ensemble
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.checkpoint import check_state_dict, read_checkpoint
from scenelet.utils.files import replace_file


def build_network(config: RunConfig, classes: int, mean: Tensor, deviation: Tensor) -> StandardizedNetwork:
    """Build the run's network. Its weights are drawn from the run's seed.

    Args:
        config: the settings of the run.
        classes: the number of classes.
        mean: (n_mels,) mean of each mel band over the training clips, dB.
        deviation: (n_mels,) standard deviation of each mel band, dB.

    Raises:
        UsageError: there is no network of this name, or it lacks a setting that was changed.
    """
    name = config.network.name
    known = model_settings(name)
    settings = {key: value for key, value in config.network.model_dump(exclude={"name"}).items() if key in known}
    for key in config.network.model_fields_set - known - {"name", "members"}:
        if getattr(config.network, key) != NetworkConfig.model_fields[key].default:
            raise UsageError(f"network.{key} is set, and {name} has no such setting")
    if config.augment.crop_frames and "frames" in known:
        raise UsageError(
            f"augment.crop_frames is set, and {name} has dense layers that take complete windows; set it to 0"
        )
    shape = {"n_mels": config.features.n_mels, "frames": config.frames}  # networks with dense layers need it
    settings |= {key: value for key, value in shape.items() if key in known}
    settings |= {"num_classes": classes, "in_channels": config.features.n_channels}
    generator = torch.Generator().manual_seed(config.seed)  # each member draws its own weights from it
    members = [create_model(name, generator=generator, **settings) for _ in range(config.network.members)]
    network = members[0] if len(members) == 1 else Ensemble(members)
    standardized = StandardizedNetwork(to_channels_last(network), mean, deviation)
    if config.augment.crop_frames:
        _check_cropped_frames(standardized, config)
    return standardized


def build_blank_network(config: RunConfig, classes: int) -> StandardizedNetwork:
    """Build the run's network without the statistics of any data, to learn its size or to load weights into it."""
    bands = torch.ones(config.features.n_mels)
    return build_network(config, classes, bands, bands)


def save_weights(folder: Path, network: StandardizedNetwork) -> None:
    """Write `model.pt`."""
    data = io.BytesIO()
    torch.save(network.state_dict(), data)
    replace_file(folder / WEIGHTS, data.getvalue())


def load_network(folder: Path, record: RunRecord) -> StandardizedNetwork:
    """Load the trained network of a finished run.

    Raises:
        RunError: training has not finished, or the weights are damaged or belong to another network.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise RunError(f"{folder}: this run has not finished; resume it with `scenelet train ... --resume`")
    network = build_blank_network(record.config, len(record.labels))
    weights = read_checkpoint(path)
    check_state_dict(path, weights, network.state_dict())
    network.load_state_dict(weights)
    return network.eval()


def _check_cropped_frames(network: StandardizedNetwork, config: RunConfig) -> None:
    """Check that a crop of `augment.crop_frames` frames is long enough for the strides of the network."""
    shape = 1, config.features.n_channels, config.features.n_mels, min(config.augment.crop_frames, config.frames)
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(shape))
    except RuntimeError:
        raise UsageError(
            f"augment.crop_frames is {config.augment.crop_frames}, and the strides of {config.network.name} leave no"
            " frame of so few; raise it"
        ) from None
    finally:
        network.train()
