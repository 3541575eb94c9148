"""Two processes on one run folder or one report: one of them gets an error, or both results are correct."""

import os
from pathlib import Path
from typing import Any

import pytest

from helpers.example_report import make_predictions, make_report
from helpers.killed_writer import tree
from scenelet.config import RunConfig
from scenelet.config.recipes import load_recipe
from scenelet.errors import OutputError, RunError
from scenelet.evaluation.report import write_report
from scenelet.training import train as train_module
from scenelet.training.train import train
from scenelet.utils.locks import file_lock

LABELS = ("indoor", "outdoor", "transportation")


@pytest.fixture
def config(tiny_settings: list[str]) -> RunConfig:
    return load_recipe("paper_short", [*tiny_settings, "schedule.epochs=1", 'split.fold="1"'])


@pytest.mark.parametrize("resume", [False, True])
def test_train_locked_run_folder_is_an_error(tone_set: Path, config: RunConfig, tmp_path: Path, resume: bool) -> None:
    run = tmp_path / "run"
    with file_lock(run / ".lock"), pytest.raises(OutputError, match="another process is training there"):
        train(tone_set, run, config, resume=resume)
    assert tree(run) == {}


def test_train_run_finished_by_another_process_is_an_error(
    tone_set: Path, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, prepare = tmp_path / "run", train_module.load_dataset

    def load_while_another_run_ends(*arguments: Any) -> Any:
        dataset = prepare(*arguments)
        run.mkdir()
        (run / "run.json").write_text("of the other")
        return dataset

    monkeypatch.setattr(train_module, "load_dataset", load_while_another_run_ends)
    with pytest.raises(RunError, match="exists already"):
        train(tone_set, run, config)
    assert tree(run) == {"run.json": b"of the other"}


def test_train_resume_never_overwrites_files_of_the_user(tone_set: Path, config: RunConfig, tmp_path: Path) -> None:
    (tmp_path / "split.csv").write_text("mine")
    with pytest.raises(RunError, match=r"split\.csv"):
        train(tone_set, tmp_path, config, resume=True)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="exists already"):
        train(tone_set, tmp_path, config, resume=True)
    assert tree(tmp_path) == {"split.csv": b"mine", "thesis.txt": b"mine"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the other process is forked")
def test_write_report_twice_at_once_leaves_one_report(tmp_path: Path) -> None:
    results = [make_predictions(LABELS, 12, seed) for seed in (0, 1)]
    reports = [make_report(predictions, LABELS) for predictions in results]

    def write(which: int, folder: Path, times: int = 1) -> None:
        for _ in range(times):
            write_report(folder, reports[which], results[which], LABELS, pages={"report.html": str(which)})

    for which in (0, 1):
        write(which, tmp_path / str(which))
    other = os.fork()
    if other == 0:
        code = 1
        try:
            write(1, tmp_path / "both", times=30)
            code = 0
        finally:
            os._exit(code)
    for _ in range(30):
        write(0, tmp_path / "both")
        with file_lock(tmp_path / "both" / ".report.html.lock"):
            assert tree(tmp_path / "both") in (tree(tmp_path / "0"), tree(tmp_path / "1"))
    assert os.waitpid(other, 0)[1] == 0
