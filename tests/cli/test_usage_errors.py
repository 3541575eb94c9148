"""Invalid command lines end with a one-line error, a suggestion, and exit code 2."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scenelet import __version__
from scenelet.errors import missing_extra

Command = Callable[..., tuple[int, str, str]]

WRONG = {
    "trian": "no such command 'trian'. Did you mean 'train'? (see scenelet --help)",
    "submit wriet": "no such command 'wriet'. Did you mean 'write'? (see scenelet submit --help)",
    "train x --recpie y": "no such option: --recpie (Possible options: --recipe, --resume) (see scenelet train --help)",
    "info esc10 --quite": "no such option: --quite (Possible options: --quiet, --rule) (see scenelet info --help)",
    "train x": "missing option '--out' (see scenelet train --help)",
    "info": "missing argument 'model' (see scenelet info --help)",
    "info esc10 --format jsno": "invalid value for '--format': 'jsno' is not one of 'table', 'json' (see scenelet info",
    "predict esc10 a.wav --runtime onxruntime": "'onxruntime' is not one of 'onnxruntime', 'openvino'",
    "compress run --out m.scn --dtype int16": "'int16' is not one of 'auto', 'fp16', 'fp32', 'int8', 'int4'",
    "train x --out": "option '--out' requires an argument",
    "info esc10 more": "got unexpected extra argument",
    "demo --seed one": "invalid value for '--seed'",
    "fetch esc1 --out d": "no data set is named 'esc1'; there are esc10, esc50, tau2020-3class, tau2019, "
    "tau2020-mobile, tau2022-mobile; did",
    "reproduce tabel3 x": "did you mean 'table3'?",
}


@pytest.mark.parametrize("line", WRONG)
def test_wrong_usage_suggests_what_was_meant(command: Command, line: str) -> None:
    code, out, err = command(*line.split())
    assert (code, out) == (2, "")
    (sentence,) = err.splitlines()
    assert sentence.startswith("error: ")
    assert WRONG[line] in sentence


def test_no_arguments_prints_help(command: Command) -> None:
    code, out, err = command()
    assert code == 2
    assert "Commands:" in out + err
    assert "error" not in err


def test_version_is_printed(command: Command) -> None:
    assert command("--version") == (0, f"scenelet {__version__}\n", "")
    run = subprocess.run([sys.executable, "-m", "scenelet", "--version"], capture_output=True, text=True, check=True)
    assert run.stdout == f"scenelet {__version__}\n"


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("torch", "train"),
        ("sklearn.base", "train"),
        ("requests", "fetch"),
        ("uvicorn.config", "serve"),
        ("fastapi_offline", "serve"),
        ("sounddevice", "mic"),
        ("openvino", "openvino"),
    ],
)
def test_missing_extra_names_the_extra(module: str, extra: str) -> None:
    hint = str(missing_extra(ModuleNotFoundError(f"No module named {module!r}", name=module)))
    assert hint.startswith(f"this needs {module.partition('.')[0]}; ")
    assert f'pip install "scenelet[{extra}]"' in hint


def test_missing_extra_finds_the_module_in_the_message() -> None:
    lightning = ModuleNotFoundError("Neither `tensorboard` nor `tensorboardX` is available. Try one.")
    assert "scenelet[train]" in str(missing_extra(lightning))
    assert missing_extra(ModuleNotFoundError("No module named 'scenelet.nix'", name="scenelet.nix")) is None


def test_train_without_torch_names_the_extra(command: Command, monkeypatch: pytest.MonkeyPatch, tone_set: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "scenelet.training.train", raising=False)
    code, out, err = command("train", tone_set, "--out", tone_set.parent / "nix", "--fold", "1")
    assert (code, out) == (1, "")
    assert err == 'error: this needs torch; install it with: pip install "scenelet[train]", or ".[train]" in a clone\n'


def test_tilde_in_an_option_means_the_home_folder(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    assert command("export", "esc10", "--out=~/card.md")[0] == 0
    assert (tmp_path / "home" / "card.md").exists()
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["predict", "esc10", ""], "the argument after esc10"),
        (["predict", "", "a.wav"], "the argument after predict"),
        (["train", "data", "--out", ""], "the value of --out"),
        (["train", "data", "--out="], "the value of --out"),
        (["submit", "check", "", "meta.yaml"], "the argument after check"),
        ([""], "the argument after scenelet"),
        (["predict", "esc10", "--", ""], "the value of --"),
    ],
)
def test_empty_arguments_are_refused(command: Command, arguments: list[str], what: str) -> None:
    # an empty path would be the current folder
    assert command(*arguments) == (2, "", f"error: {what} is empty; is a shell variable unset?\n")
