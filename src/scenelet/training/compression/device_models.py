"""Model files of a run that standardizes by recording device: the same weights, with the bands of each device."""

from dataclasses import replace
from typing import Any

import numpy as np

from scenelet.data.device_bands import BandMap, band_maps
from scenelet.errors import UsageError
from scenelet.evaluation.metrics import classification_report
from scenelet.model.device_files import GENERAL, check_devices
from scenelet.model.file import encode_model
from scenelet.model.ops import INPUT, ScaleShift
from scenelet.model.scene_model import SceneModel
from scenelet.training.compression.build_model import RESULT_KEYS, BuiltModel
from scenelet.training.dataset import Dataset


def with_band_map(model: SceneModel, bands: BandMap) -> SceneModel:
    """Return the model with a map of the mel bands before its standardization, as one `ScaleShift`.

    The standardization (x scale + shift) of the mapped input (x a + b) is x (scale a) + (shift + scale b).
    """
    first = model.nodes[0]
    assert isinstance(first, ScaleShift)
    assert first.input == INPUT
    scale, shift = (model.arrays[name].astype(np.float64) for name in first.arrays)
    values = {
        first.scale: scale * bands.scale[:, None],
        first.shift: shift + scale * bands.shift[:, None],
    }
    return replace(model, arrays=model.arrays | {name: array.astype(np.float32) for name, array in values.items()})


def device_model_files(built: BuiltModel, dataset: Dataset) -> dict[str, bytes]:
    """Return the bytes of each model file of a run by device, that of other devices under "general".

    The results in a file are those on the held-out clips that it answers.

    Args:
        built: the compressed run, measured on features that are standardized by device.
        dataset: the data of the run.

    Raises:
        DataError: the name of a device cannot be a file's.
        UsageError: a file is larger than `prune.max_bytes`.
    """
    assert dataset.statistics is not None
    maps = band_maps(dataset.statistics)
    check_devices(maps, str(dataset.table.root))
    models = {GENERAL: built.model} | {device: with_band_map(built.model, bands) for device, bands in maps.items()}
    files = {}
    for name, model in models.items():
        results = {**model.results, "dense": {}, "compressed": _results(name, built, dataset)}
        provenance = model.provenance | ({} if name == GENERAL else {"device": name})
        files[name] = encode_model(replace(model, results=results, provenance=provenance))
    limit, largest = built.compression.settings.max_bytes, max(files, key=lambda name: len(files[name]))
    if limit is not None and (excess := len(files[largest]) - limit) > 0:
        raise UsageError(f"{largest}.scn would have {excess:,} bytes more than --max-bytes; lower it by as much")
    return files


def _results(name: str, built: BuiltModel, dataset: Dataset) -> dict[str, dict[str, Any]]:
    """Return the results of each held-out subset on the clips that the model of this name answers."""
    assert dataset.statistics is not None
    devices, found = dataset.statistics.devices, {}
    for subset, clips in dataset.held_out():
        answering = [GENERAL if clip.device not in devices else clip.device for clip in getattr(dataset.split, subset)]
        own = np.flatnonzero(np.array(answering) == name)
        if len(own):
            report = classification_report(clips.targets[own], built.probabilities[subset][own], dataset.labels)
            found[subset] = {key: report[key] for key in RESULT_KEYS}
    return found
