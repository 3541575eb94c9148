"""Modules of a package: functions that the challenge cannot call, and models of another folder."""

from importlib import resources
from pathlib import Path

import pytest

from scenelet.evaluation.submission.package.check_module import check_module

STEM = "Path(__file__).stem"
FOLDER = 'm.py, CHECKPOINT: must be Path(__file__).parent / "ckpts" / Path(__file__).stem, the folder of the'
DEFAULT = "must have a default for"


def faults(folder: Path, old: str = "", new: str = "") -> list[str]:
    templates = resources.files("scenelet.evaluation.submission.package") / "templates"
    text = (templates / "module.txt").read_text()
    assert old in text
    (folder / "m.py").write_text(text.replace(old, new, 1))
    return [str(fault) for fault in check_module(folder / "m.py", "m.py")]


@pytest.mark.parametrize(
    ("old", "new"),
    [("", ""), (STEM, '"m"'), ("use_cuda=True):", "use_cuda=False, threads=1, *, seed=0, **more):")],
)
def test_module_without_a_fault(tmp_path: Path, old: str, new: str) -> None:
    assert faults(tmp_path, old, new) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("load_model(model_file_path=None)", "load_model(model_file_path)", f"load_model: {DEFAULT} model_file_path"),
        ("model_file_path=None, use_cuda=True", "model_file_path, use_cuda", f"{DEFAULT} model_file_path, use_cuda"),
        ("use_cuda=True):", "use_cuda):  # no", "is not a Python module (SyntaxError)"),
        ("use_cuda=True", "use_cuda=True, *, seed", f"predict: {DEFAULT} seed, which the challenge may leave out"),
        ("(model, device_id)", "(model, device_id, seed)", f"get_model_for_device: {DEFAULT} seed"),
        ("device_ids, model)", "model)", "must take file_paths, device_ids, model; it takes file_paths, model"),
        ("device_ids, model)", "device_ids, model, /)", "model, which must not be positional-only"),
        ("use_cuda=True", "*, use_cuda=True", "it takes file_paths, device_ids, model_file_path"),
        ("def predict", "async def predict", "m.py, predict: is missing; it must be a function of file_paths"),
        (STEM, '"nowhere"', FOLDER),
        ("CHECKPOINT = Path", "OTHER = Path", FOLDER),
        ("\n\n\ndef load_model", '\nCHECKPOINT: Path = Path("x")\n\n\ndef load_model', FOLDER),
    ],
)
def test_each_fault_is_named(tmp_path: Path, old: str, new: str, fault: str) -> None:
    (found,) = faults(tmp_path, old, new)
    assert fault in found
