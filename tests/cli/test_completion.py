"""Completion, requested like a shell: words in an environment variable, offers on stdout."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scenelet.cli import completion
from scenelet.config import setting_keys
from scenelet.config.recipes import list_recipes
from scenelet.evaluation.subset import SUBSETS

SCRIPT = """
import sys
from scenelet.cli import main
sys.argv[0] = "scenelet"
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""
HEAVY = {"torch", "onnxruntime", "onnx", "scipy", "lightning", "matplotlib"}


def offers(line: str, folder: Path) -> list[str]:
    """Return what bash offers at the end of a line, in a folder."""
    words = line.split(" ")
    request = {"_SCENELET_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=os.environ | request, cwd=folder, capture_output=True, text=True, check=True
    )
    assert "typer" in done.stderr.split()
    assert not set(done.stderr.split()) & HEAVY
    return done.stdout.split()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("mine.scn", "mine.toml", "mine.wav"):
        (tmp_path / name).touch()
    return tmp_path


def test_completion_offers_names(folder: Path) -> None:
    assert offers("scenelet tr", folder) == ["train"]
    assert offers("scenelet predict ", folder) == ["esc10", "mine.scn"]
    assert offers("scenelet predict esc10 mi", folder) == []  # paths are the shell's own
    assert offers("scenelet train x --recipe ", folder) == [*list_recipes(), "mine.toml"]
    assert offers("scenelet train x --set schedule.ep", folder) == ["schedule.epochs="]


def test_completion_offers_settings_and_choices(folder: Path) -> None:
    assert offers("scenelet train x --set ", folder) == [f"{key}=" for key in setting_keys()]
    assert offers("scenelet evaluate esc10 x --split t", folder) == ["test", "train"]
    assert offers("scenelet info esc10 --rule dcase2024", folder) == ["dcase2024"]
    assert offers("scenelet train x --rule dcase2020", folder) == ["dcase2020", "dcase2020_with_ssn"]
    assert offers("scenelet reproduce table", folder) == ["table2", "table3", "table4"]
    assert offers("scenelet compress run --dtype int", folder) == ["int8", "int4"]
    assert offers("scenelet compress run --max-bytes ", folder) == []


def test_completion_offers_data_sets(folder: Path) -> None:
    assert offers("scenelet fetch ", folder) == [
        "esc10",
        "esc50",
        "tau2020-3class",
        "tau2019",
        "tau2020-mobile",
        "tau2022-mobile",
    ]


def test_show_completion_prints_the_script(command: object, monkeypatch: pytest.MonkeyPatch) -> None:
    # Typer would look for the caller's shell, and a test must not depend on it
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    code, out, _ = command("--show-completion", "bash") if callable(command) else (1, "", "")
    assert (code, "_SCENELET_COMPLETE=complete_bash" in out) == (0, True)


def test_completion_offers_the_subsets_of_evaluate() -> None:
    assert tuple(completion.splits("")) == SUBSETS
