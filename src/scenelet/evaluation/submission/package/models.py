"""Models of a package's module: one for all devices, and one of each device that has its own."""

import os
from pathlib import Path

from pydantic import ValidationError

from scenelet.config import NetworkConfig
from scenelet.errors import ModelFileError
from scenelet.evaluation.submission.package.form import DEVICE, RULE, SCENES
from scenelet.model.device_files import GENERAL, device_files
from scenelet.model.file import read_model
from scenelet.model.rules import apply_rule
from scenelet.model.scene_model import SceneModel
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
    files = device_files(path)
    for device, file in files.items():
        if device != GENERAL and DEVICE.fullmatch(device) is None:
            raise ModelFileError(f"{file}: {device!r} is not a device of the challenge; name it a, b, c or s1 to s10")
    return files


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


def excesses(model: SceneModel) -> list[str]:
    """Name the limits of the challenge that a model exceeds.

    >>> from scenelet.model.pretrained import built_in
    >>> excesses(read_model(built_in("esc10")))
    ['needs 111,735,058 multiply-accumulates; the limit is 30,000,000']
    """
    counted = apply_rule(RULE, model, 0)
    used = (
        (counted.bytes, counted.max_bytes, "bytes of parameters"),
        (counted.macs, counted.max_macs, "multiply-accumulates"),
    )
    return [
        f"needs {count:,} {unit}; the limit is {limit:,}"
        for count, limit, unit in used
        if count is not None and limit is not None and count > limit
    ]
