"""Plain progress lines of a training: the estimate, the time left, and how often they are printed."""

from types import SimpleNamespace
from typing import Any

import pytest

from scenelet.training.module import SceneModule
from scenelet.training.progress import TrainingProgress
from scenelet.utils import console
from scenelet.utils.console import progress_only, quiet

BATCHES, CLIPS = 10, 320


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(variable, raising=False)
    console.stderr.cache_clear()


def run(epochs: int, seconds_per_batch: float, first_epoch: int = 0, validation: Any = None) -> None:
    """Report a training whose first batch takes 100 s and whose other batches take `seconds_per_batch`."""
    now = [0.0]
    progress = TrainingProgress("Training", clock=lambda: now[0])
    trainer: Any = SimpleNamespace(
        max_epochs=epochs, num_training_batches=BATCHES, current_epoch=first_epoch, global_step=first_epoch * BATCHES
    )
    module = SceneModule.__new__(SceneModule)
    module.__dict__ |= {"history": [], "schedule": SimpleNamespace(epochs=epochs), "validation": validation}
    module.batches = lambda epoch: SimpleNamespace(clips=range(CLIPS), size=CLIPS)
    progress.on_train_start(trainer, module)
    for epoch in range(first_epoch, epochs):
        trainer.current_epoch = epoch
        progress.on_train_epoch_start(trainer, module)
        for batch in range(BATCHES):
            now[0] += 100.0 if (epoch, batch) == (first_epoch, 0) else seconds_per_batch
            progress.on_train_batch_end(trainer)
        module.history.append({"epoch": epoch + 1, "loss": 0.5, "validation_macro_accuracy": 0.75})
    progress.on_train_end(trainer, module)
    progress.on_fit_end(trainer, module)


def test_progress_prints_an_estimate_and_a_line_per_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    run(3, 2.0, validation=range(8))
    assert capsys.readouterr().err.splitlines() == [
        "Training: epoch 1 of 3, batch 1 of 10",
        "an epoch takes about 20 s (16 clips/s), the training about 54 s more",
        "Training: epoch 1 of 3  loss 0.500  validation 75.0 % of 8 clips  about 40 s left",
        "Training: epoch 2 of 3  loss 0.500  validation 75.0 % of 8 clips  about 20 s left",
        "Training: epoch 3 of 3  loss 0.500  validation 75.0 % of 8 clips",
    ]


def test_progress_of_a_resumed_training_counts_only_its_own_time(capsys: pytest.CaptureFixture[str]) -> None:
    run(3, 2.0, first_epoch=2)
    assert capsys.readouterr().err.splitlines() == [
        "resuming after epoch 2 of 3",
        "Training: epoch 3 of 3, batch 1 of 10",
        "an epoch takes about 20 s (16 clips/s), the training about 14 s more",
        "Training: epoch 3 of 3  loss 0.500",
    ]


def test_progress_of_a_short_training_has_no_estimate(capsys: pytest.CaptureFixture[str]) -> None:
    run(3, 0.3)
    assert "takes about" not in capsys.readouterr().err


def test_progress_within_a_long_epoch_prints_batches(capsys: pytest.CaptureFixture[str]) -> None:
    run(1, 20.0)
    lines = capsys.readouterr().err.splitlines()
    assert lines[2:5] == [
        "Training: epoch 1 of 1, batch 3 of 10  about 2 min left",
        "Training: epoch 1 of 1, batch 5 of 10  about 2 min left",
        "Training: epoch 1 of 1, batch 7 of 10  about 60 s left",
    ]


def test_progress_only_prints_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_only():
        run(6, 1.0)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "Training: epoch 1 of 6, batch 1 of 10",
        "Training: epoch 4 of 6, batch 1 of 10  about 29 s left",
    ]
    with quiet():
        run(6, 1.0)
    assert not capsys.readouterr().err
