"""Models of a package's module: one for all devices, and one of each device that has its own."""

import os
from pathlib import Path

from pydantic import ValidationError

from scenelet.config import NetworkConfig
from scenelet.errors import ModelFileError
from scenelet.evaluation.submission.package.form import (
    CLIP_SECONDS,
    DEVICE,
    GENERAL,
    MAX_BYTES,
    MAX_MACS,
    SCENES,
)
from scenelet.model.costs import macs
from scenelet.model.file import read_model
from scenelet.model.scene_model import SceneModel
from scenelet.model.sizes import sizes
from scenelet.utils.text import first_few


def model_files(path: Path) -> dict[str, Path]:
    """Find the model files of a module: device -> file, the general model first.

    Args:
        path: a `.scn` file, which is the general model, or a folder with `general.scn` and `DEVICE.scn` files.

    Raises:
        ModelFileError: the folder has no general model, or a file's name is not a device of the challenge.
    """
    if not path.is_dir():
        return {GENERAL: path}
    files = {file.stem: file for file in sorted(path.glob("*.scn"))}
    if GENERAL not in files:
        raise ModelFileError(f"{path}: has no {GENERAL}.scn, the model of unknown devices; add it")
    general = files.pop(GENERAL)
    for device, file in files.items():
        if DEVICE.fullmatch(device) is None:
            raise ModelFileError(f"{file}: {device!r} is not a device of the challenge; name it a, b, c or s1 to s10")
    return {GENERAL: general, **files}


def read_models(path: str | os.PathLike[str]) -> dict[str, SceneModel]:
    """Read the models of a module and check that they fit together: device -> model, the general model first.

    Raises:
        ModelFileError: as `model_files`; a file cannot be read or does not name its network; its labels are not the
            ten scenes; or its labels or features differ from those of the general model.
    """
    models: dict[str, SceneModel] = {}
    for device, file in model_files(Path(path)).items():
        model = models[device] = read_model(file)
        if set(model.labels) != set(SCENES):
            raise ModelFileError(
                f"{file}: its labels are {first_few(model.labels)}; the package needs a model of the challenge's ten"
                f" scenes, {SCENES[0]} to {SCENES[-1]}"
            )
        general = models[GENERAL]
        if (model.labels, model.features, model.window) != (general.labels, general.features, general.window):
            raise ModelFileError(
                f"{file}: its labels, features or windows are not those of {GENERAL}.scn; train both with the same"
                " settings"
            )
        try:
            NetworkConfig.model_validate(model.provenance.get("network"))
        except ValidationError:
            raise ModelFileError(
                f"{file}: does not name its network; give a file that `scenelet compress` wrote"
            ) from None
    return models


def parameter_bytes(model: SceneModel) -> int:
    """Return the bytes of a model's parameters, zeros included, by their types.

    >>> from scenelet.model.pretrained import built_in
    >>> parameter_bytes(read_model(built_in("esc10")))
    123159
    """
    return sizes(model, 0)["dcase2022"]


def clip_macs(model: SceneModel) -> int:
    """Count the multiply-accumulates of a model for a clip of 1 s, as torchinfo counts them.

    torchinfo counts the parameters of a norm once, and no log-mel. A clip may need several windows.

    >>> from scenelet.model.pretrained import built_in
    >>> clip_macs(read_model(built_in("esc10")))
    111735058
    """
    rate = model.features.sample_rate
    norms = model.counts.batch_norm + model.counts.sub_spectral_norm
    biases = sum(array.size for name, array in model.arrays.items() if name.endswith(".bias"))
    windows = model.window.count(round(CLIP_SECONDS * rate), rate)
    return windows * (macs(model.nodes, model.array_shapes, model.input_shape) + norms + biases)


def excesses(model: SceneModel) -> list[str]:
    """Name the limits of the challenge that a model exceeds.

    >>> from scenelet.model.pretrained import built_in
    >>> excesses(read_model(built_in("esc10")))
    ['needs 111,735,058 multiply-accumulates; the limit is 30,000,000']
    """
    used = (
        (parameter_bytes(model), MAX_BYTES, "bytes of parameters"),
        (clip_macs(model), MAX_MACS, "multiply-accumulates"),
    )
    return [f"needs {count:,} {unit}; the limit is {limit:,}" for count, limit, unit in used if count > limit]
