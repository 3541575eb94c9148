"""Start of a run from trained weights: `train --from`."""

import os
from pathlib import Path

import numpy as np
import torch

from scenelet.config import RunConfig
from scenelet.config.run_folder import is_begun, is_finished, read_record
from scenelet.data.splits import make_split, split_hash
from scenelet.errors import ModelFileError, UsageError
from scenelet.nn.restore import estimate_statistics, restore_weights
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.dataset import Dataset
from scenelet.training.head import dense_layers
from scenelet.training.network import build_blank_network, build_network, load_network
from scenelet.training.probabilities import MIN_BATCH
from scenelet.training.source import Source, read_source
from scenelet.utils.console import print_message, spinner

MAX_STATISTICS_WINDOWS = 512  # windows of the training data from which the statistics of norms are estimated


def find_source(out: Path, source: str | os.PathLike[str] | None, resume: bool) -> Source | None:
    """Read the source of a run; without `source`, that of the run that is resumed.

    Raises:
        UsageError: the run was started from another source, or from none.
        SceneletError: as `read_source`.
    """
    stored = read_record(out).source if resume and is_begun(out) else None
    if resume and source is not None and stored is None and is_begun(out):
        raise UsageError(f"{out}: was started without --from; resume it without")
    if source is None and stored is not None and not is_finished(out):
        source = stored.path
    if source is None:
        return None
    found = read_source(source)
    if stored is not None and stored.sha256 != found.record.sha256:
        raise UsageError(
            f"{out}: was started from other weights than {found.record.path} holds now; resume it with {stored.path}"
            " as it was then, or train again"
        )
    return found


def check_freeze(config: RunConfig, source: Source | None, has_teachers: bool) -> None:
    """Check that a run can fit its last layer only, if its settings say so.

    Args:
        config: settings of the run.
        source: the weights that it starts from.
        has_teachers: whether it is distilled.

    Raises:
        UsageError: other settings contradict that.
    """
    if not config.transfer.freeze:
        return
    if source is None:
        raise UsageError("transfer.freeze is true, and there are no trained weights to freeze; name some with --from")
    if has_teachers:
        raise UsageError("a frozen network learns nothing from --teacher; leave it out, or set transfer.freeze=false")
    if config.trainer.world_size > 1:
        raise UsageError("the last layer of a frozen network is fitted on one device; set trainer.devices to 1")


def start_network(source: Source, config: RunConfig, dataset: Dataset) -> StandardizedNetwork:
    """Build the network of a run with the weights of its source, and print what is reused.

    The last layer keeps the rows of the classes that both have. The others are drawn from the run's seed.

    Args:
        source: the weights.
        config: the settings of the run, see `Source.apply`.
        dataset: the data of the run.

    Raises:
        SceneletError: the weights do not fit the network that the source names.
        UsageError: the network is to be frozen, and does not end in a dense layer.
    """
    frozen = config.transfer.freeze
    with spinner("Reading the trained weights"):
        trained = _source_network(source, config)
        if config.data.standardize == "device":  # the layers then get the standardized bands of each device
            for own, values in zip((trained.mean, trained.std), dataset.band_statistics(), strict=True):
                own.copy_(torch.from_numpy(values))
        if not frozen and not _has_statistics(source):
            features = dataset.train.features
            rows = features.rows()
            chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), MAX_STATISTICS_WINDOWS)).astype(int)]
            batches = np.split(chosen, range(MIN_BATCH, len(chosen), MIN_BATCH))
            estimate_statistics(trained, (torch.from_numpy(features.load(batch)) for batch in batches))
    classes = len(dataset.labels)
    network = build_network(config, classes, trained.mean, trained.std)
    if frozen:
        dense_layers(network)
    larger = build_blank_network(config, classes + 1).state_dict()
    state, old = network.state_dict(), trained.state_dict()
    shared = [label for label in dataset.labels if label in source.record.labels]
    for name, values in state.items():
        if values.shape == larger[name].shape:
            values.copy_(old[name])
        else:  # a layer with a row for each class
            for label in shared:
                values[dataset.labels.index(label)] = old[name][source.record.labels.index(label)]
    kept = "frozen, with a new last layer" if frozen else f"{len(shared)} of {classes} classes kept"
    print_message(f"from {source.record.name}: all layers but the last{', ' if frozen else '; '}{kept}")
    if source.data == dataset.table.describe() and source.split_hash not in _split_hashes(config, dataset):
        print_message(
            f"warning: {source.record.name} was trained on this data with another split, so it may have seen test"
            " clips; the accuracy is too high then"
        )
    return network


def _split_hashes(config: RunConfig, dataset: Dataset) -> set[str]:
    """Return the hash of the split, and of the same split with the clips of all devices."""
    all_devices = make_split(dataset.table, config.split.model_copy(update={"device": None}))
    return {split_hash(dataset.split), split_hash(all_devices)}


def _has_statistics(source: Source) -> bool:
    """Return False if the norms lack the statistics of a training, as in a model file and in a run frozen from one."""
    return source.model is None and not read_record(Path(source.record.path)).config.transfer.freeze


def _source_network(source: Source, config: RunConfig) -> StandardizedNetwork:
    path = Path(source.record.path)
    if source.model is None:
        return load_network(path, read_record(path))
    network = build_blank_network(config, len(source.record.labels)).eval()
    try:
        restore_weights(network, source.model)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}; give another source") from None
    return network
