"""Write an inference package: its Python files from templates, the models, the test list and a dummy clip."""

import io
import shutil
import string
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

import numpy as np
import soundfile

from scenelet import __version__
from scenelet.errors import DataError, ModelFileError, OutputError, UsageError
from scenelet.evaluation.submission.package.form import (
    CHECKPOINTS,
    CLIP_SECONDS,
    COMPLEXITY,
    DUMMY,
    LABEL,
    LABEL_FORM,
    MAX_MODULES,
    README,
    REQUIREMENTS,
    RESOURCES,
    RULE,
    SETUP,
    TEST_LIST,
    WHEELS,
    list_fault,
    module_names,
)
from scenelet.evaluation.submission.package.models import excesses, model_files, read_models
from scenelet.evaluation.submission.package.wheel import wheel_fault
from scenelet.model.device_files import GENERAL
from scenelet.utils.files import make_folder, partial_path, write_new_file

DUMMY_RATE, DUMMY_LEVEL, DUMMY_SEED = 44_100, 0.1, 0
PYTHON = ">=3.11"
TORCHINFO = "1.8.0"


def package_files(
    models: Sequence[Path], label: str, test_list: Path, wheel: Path | None = None
) -> dict[str, bytes | str]:
    """Return the content of each file of a package, by its path.

    Args:
        models: for each module a `.scn` file, or a folder with `general.scn` and `DEVICE.scn` files; 1 to 4.
        label: the submission's label without its number, `Lastname_Institute_task1`.
        test_list: `test.csv` of the challenge, the test clips of the development set: tab-separated, with `filename`.
        wheel: a wheel of this version of scenelet, which the package then contains; None: an index has it.

    Raises:
        UsageError: the label is invalid, there are no or too many models, or the wheel is not of this version.
        ModelFileError: as `scenelet.evaluation.submission.package.models.read_models`, or a model exceeds a limit.
        DataError: the test list cannot be read, or has another form.
    """
    if LABEL.fullmatch(label) is None:
        raise UsageError(f"--label {label}: must be {LABEL_FORM}")
    if not 1 <= len(models) <= MAX_MODULES:
        raise UsageError(f"{len(models)} models; give 1 to {MAX_MODULES}, one for each module")
    names = module_names(label, len(models))
    files: dict[str, bytes | str] = {
        f"{label}/__init__.py": f'"""Inference package of a DCASE 2025 Task 1 submission, {label}."""\n',
        f"{label}/{RESOURCES}/__init__.py": "",
        f"{label}/{RESOURCES}/{TEST_LIST}": _read_list(test_list),
        f"{label}/{RESOURCES}/{DUMMY}": _dummy(),
        f"{label}/{CHECKPOINTS}/__init__.py": "",
    }
    for name, path in zip(names, models, strict=True):
        files[f"{label}/{name}.py"] = _template("module")
        _check_limits(path)
        for device, file in model_files(path).items():
            files[f"{label}/{CHECKPOINTS}/{name}/{device}.scn"] = file.read_bytes()
    source = f"scenelet[train]=={__version__}"
    if wheel is not None:
        files[f"{WHEELS}/{wheel.name}"] = _read_wheel(wheel)
        source = f"./{WHEELS}/{wheel.name}[train]"
    files |= fixed_files(label)
    # pandas is what the baseline's evaluate_submission.py needs in addition
    files[REQUIREMENTS] = f"{source}\ntorchinfo=={TORCHINFO}\npandas\n"
    files[README] = _template("readme", label=label, version=__version__, **_readme_parts(names, models, wheel))
    return files


def fixed_files(label: str) -> dict[str, str]:
    """Return the content of each file that depends on the label only, by its path: installation and complexity."""
    values = {"label": label, "python": PYTHON, "max_bytes": f"{RULE.max_bytes:_}", "max_macs": f"{RULE.max_macs:_}"}
    return {SETUP: _template("setup", **values), COMPLEXITY: _template("complexity", **values)}


def write_package(folder: Path, files: Mapping[str, bytes | str]) -> None:
    """Write the files of a package to a new folder, all or none.

    Raises:
        OutputError: the folder exists or cannot be written.
    """
    if folder.exists() or folder.is_symlink():
        raise OutputError(f"{folder}: exists already and is not overwritten; delete it, or give another --out")
    make_folder(folder.parent)
    temporary = partial_path(folder)
    try:
        for name, data in files.items():
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_new_file(path, data)
        temporary.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror}); choose another --out") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_limits(path: Path) -> None:
    for device, model in read_models(path).items():
        if found := excesses(model):
            raise ModelFileError(f"{model_files(path)[device]}: {found[0]}; give a smaller model")


def _template(name: str, **values: str) -> str:
    text = resources.files(__package__).joinpath("templates", f"{name}.txt").read_text("utf-8")
    return string.Template(text).substitute(values)


def _read_list(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give the challenge's {TEST_LIST}") from None
    if (fault := list_fault(data)) is not None:
        raise DataError(f"{path}: {fault}; give the challenge's {TEST_LIST}")
    return data


def _read_wheel(path: Path) -> bytes:
    if not path.name.startswith(f"scenelet-{__version__}-") or path.suffix != ".whl":
        raise UsageError(f"{path}: is not a wheel of scenelet {__version__}, scenelet-{__version__}-*.whl; give one")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); give a wheel of scenelet") from None
    if (fault := wheel_fault(path.name, data)) is not None:
        raise UsageError(f"{path}: {fault}; give one that `python -m build` or `pip wheel` wrote")
    return data


def _dummy() -> bytes:
    """Return a WAV of noise as long as a clip. A silent one would not pass through the network."""
    noise = np.random.default_rng(DUMMY_SEED).normal(0, DUMMY_LEVEL, round(CLIP_SECONDS * DUMMY_RATE))
    file = io.BytesIO()
    soundfile.write(file, noise.clip(-1, 1), DUMMY_RATE, subtype="PCM_16", format="WAV")
    return file.getvalue()


def _readme_parts(names: Sequence[str], models: Sequence[Path], wheel: Path | None) -> dict[str, str]:
    modules = []
    for name, path in zip(names, models, strict=True):
        own = [device for device in model_files(path) if device != GENERAL]
        devices = f"a general model, and models of the devices {', '.join(own)}" if own else "a general model"
        modules.append(f"- `{name}`: {devices}")
    if wheel is None:
        install = (
            f"This downloads scenelet {__version__} from the package index. If the index does not have this version,"
            " write the package\nagain with `scenelet submit package --wheel scenelet.whl`, which puts a wheel into it."
        )
    else:
        install = f"scenelet itself is in `{WHEELS}/`. The other requirements come from the package index."
    return {"modules": "\n".join(modules), "install": install}
