"""Functions of a DCASE 2025 inference package, whose modules call them with their own models.

`scenelet.evaluation.submission.package` writes such packages. The functions have the names, arguments and results of
the challenge's baseline, CPJKU/dcase2025_task1_inference.
"""

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from scenelet.audio.log_mel import LogMel
from scenelet.audio.silence import is_silent
from scenelet.audio.windows import windows
from scenelet.config import FeatureConfig, RunConfig, WindowConfig
from scenelet.errors import ModelFileError, UsageError
from scenelet.evaluation.submission.package.models import model_files, read_models
from scenelet.model.device_files import GENERAL
from scenelet.nn.stored_network import StoredNetwork
from scenelet.training.network import build_blank_network
from scenelet.training.source import read_source
from scenelet.utils.parallel import cpu_count, map_threads

BATCH_CLIPS = 64

Input = tuple[Tensor, Tensor]
"""Log-mel (windows, channels, n_mels, frames) of a clip, and whether each window has sound (windows,)."""


class DeviceNetworks(nn.Module):
    """Networks of a submission: the general one, and those of devices that have their own.

    Args:
        general: the network of all other devices.
        devices: device -> network.
    """

    def __init__(self, general: nn.Module, devices: dict[str, nn.Module]) -> None:
        super().__init__()
        self.general, self.devices = general, nn.ModuleDict(devices)

    def get_model_for_device(self, device_id: str) -> nn.Module:
        """Return the network of a device, the general one if it has none of its own."""
        if device_id not in self.devices:
            return self.general
        return self.devices[device_id]


class PackagedModel(nn.Module):
    """Model of a submission: the networks, and what turns clips into their input.

    Attributes:
        model: the networks.
        class_order: the classes in the order of the logits.
    """

    def __init__(
        self, model: DeviceNetworks, class_order: Sequence[str], features: FeatureConfig, window: WindowConfig
    ) -> None:
        super().__init__()
        self.model, self.class_order = model, list(class_order)
        self.features, self.window = features, window
        self._log_mel = LogMel(features)

    def read(self, path: str | os.PathLike[str]) -> Input:
        """Read a clip.

        Raises:
            AudioError: as `scenelet.audio.io.blocks`.
        """
        cuts = windows(path, self.features, self.window)
        samples = list(cuts)
        log_mel = torch.stack([torch.from_numpy(self._log_mel(cut)) for cut in samples])
        has_sound = [cuts.no_sound is None and not is_silent(cut, self.features.sample_rate) for cut in samples]
        return log_mel, torch.tensor(has_sound)


def load_model(model_file_path: str | os.PathLike[str]) -> PackagedModel:
    """Load the models of all devices.

    Args:
        model_file_path: a `.scn` file, or a folder with `general.scn` and `DEVICE.scn` files.

    Raises:
        ModelFileError: as `scenelet.evaluation.submission.package.models.read_models`, or a network cannot be restored.
    """
    path = Path(model_file_path)
    models, networks = read_models(path), dict[str, nn.Module]()
    for device, file in model_files(path).items():
        source, model = read_source(file), models[device]
        network = build_blank_network(source.apply(RunConfig()), len(model.labels))
        try:
            networks[device] = StoredNetwork(network, model).eval()
        except ModelFileError as error:
            raise ModelFileError(f"{file}: {error}; give another model") from None
    general = models[GENERAL]
    container = DeviceNetworks(networks.pop(GENERAL), networks)
    return PackagedModel(container, general.labels, general.features, general.window).eval()


def get_model_for_device(model: PackagedModel, device_id: str) -> nn.Module:
    """Return the network of a device: log-mel (batch, channels, n_mels, frames) -> logits (batch, 10)."""
    return model.model.get_model_for_device(device_id)


def load_inputs(
    file_paths: Sequence[str | os.PathLike[str]], device_ids: Sequence[str], model: PackagedModel
) -> list[Tensor]:
    """Compute the log-mel of each clip, (windows, channels, n_mels, frames) in float32; a clip of 1 s has one window.

    Args:
        file_paths: the clips.
        device_ids: the device of each clip. The input does not depend on it.
        model: the result of `load_model`.

    Raises:
        UsageError: the lists have different lengths.
        AudioError: as `PackagedModel.read`.
    """
    _check_lengths(file_paths, device_ids)
    return [log_mel for log_mel, _ in map_threads(model.read, file_paths, cpu_count())]


def predict(
    file_paths: Sequence[str | os.PathLike[str]],
    device_ids: Sequence[str],
    model_file_path: str | os.PathLike[str],
    use_cuda: bool = True,
) -> tuple[list[Tensor], list[str]]:
    """Classify clips with the models of their devices.

    The softmax of a clip's logits equals the probabilities of `scenelet predict`. A silent clip has equal logits.

    Args:
        file_paths: the clips.
        device_ids: the device of each clip; a device without a model of its own gets the general one.
        model_file_path: as `load_model`.
        use_cuda: compute on the GPU if there is one.

    Returns:
        The logits of each clip, (10,) in float32 on the CPU, and the classes in their order.

    Raises:
        UsageError: as `load_inputs`.
        ModelFileError: as `load_model`.
        AudioError: as `PackagedModel.read`.
    """
    _check_lengths(file_paths, device_ids)
    place = torch.device("cuda" if use_cuda and torch.cuda.is_available() else "cpu")
    model = load_model(model_file_path).to(place)
    results: list[Tensor] = []
    # a batch at a time, since the inputs of an evaluation set do not fit into memory
    clips = zip(device_ids, map_threads(model.read, file_paths, cpu_count()), strict=True)
    while batch := list(itertools.islice(clips, BATCH_CLIPS)):
        found: list[Tensor] = [torch.empty(0)] * len(batch)
        for device in dict.fromkeys(device for device, _ in batch):
            indices = [index for index, (own, _) in enumerate(batch) if own == device]
            inputs = [batch[index][1] for index in indices]
            for index, logits in zip(indices, _logits(model, device, inputs, place), strict=True):
                found[index] = logits
        results += found
    return results, model.class_order


def _logits(model: PackagedModel, device_id: str, inputs: Sequence[Input], place: torch.device) -> Iterator[Tensor]:
    """Yield the logits of clips of one device. They are the logarithm of the sum of their windows' probabilities."""
    network = get_model_for_device(model, device_id)
    log_mel = torch.cat([values for values, _ in inputs]).to(place)
    rows = network(log_mel).log_softmax(1).cpu().split([len(values) for values, _ in inputs])
    for row, (_, has_sound) in zip(rows, inputs, strict=True):
        yield row[has_sound].logsumexp(0) if has_sound.any() else torch.zeros(row.shape[1])


def _check_lengths(file_paths: Sequence[object], device_ids: Sequence[object]) -> None:
    if len(file_paths) != len(device_ids):
        raise UsageError(
            f"{len(file_paths)} files and {len(device_ids)} devices; give as many devices as files, and `unknown` if"
            " one is not known"
        )
