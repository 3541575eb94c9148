"""Progress of a training: one bar over all epochs, or plain lines if stderr is not a terminal."""

import time
from collections.abc import Callable
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from scenelet.training.module import SceneModule
from scenelet.utils.console import LINE_SECONDS, print_message, print_progress, progress_bar, shows_messages
from scenelet.utils.text import duration, pluralize

MIN_TIMED_SECONDS, MIN_TIMED_STEPS = 3.0, 2
"""Training that is timed before the estimate is printed."""
MIN_SECONDS_LEFT = 10.0
"""Remaining time below which no estimate is printed."""


class TrainingProgress(Callback):
    """Lightning callback that shows the time left and the metrics of the last epoch.

    It times the first seconds of the training and prints one line with the expected duration and the clips per second.
    If stderr is not a terminal, it prints a line for every epoch, and at least one every 30 s. Under `progress_only` it
    prints only the latter.

    Args:
        description: label of the bar.
        clock: a clock that never goes back, in seconds.
    """

    def __init__(self, description: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.bar, self.description, self.clock = progress_bar(), description, clock
        self.last_line = clock()
        self.done = self.total = 0  # batches
        self.clips = 0  # of an epoch
        self.timed_from: tuple[float, int] | None = None  # time and batch
        self.is_estimated = False

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Show the bar, which is partly filled if training resumes."""
        assert isinstance(module, SceneModule)
        self.clips = module.batches(0).size
        if trainer.current_epoch:
            print_message(f"resuming after epoch {trainer.current_epoch} of {trainer.max_epochs}")
        self.done, self.total = trainer.global_step, (trainer.max_epochs or 0) * int(trainer.num_training_batches)
        self.task = self.bar.add_task(self.description, total=self.total, completed=self.done, note="")
        self.bar.start()

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Advance the bar by one batch."""
        self.bar.advance(self.task)
        self.done += 1
        if self.timed_from is None:  # the first step compiles code and allocates memory, so it is not timed
            self.timed_from = self.clock(), self.done
        elif not self.is_estimated:
            self._print_estimate(trainer)
        batch = self.done - trainer.current_epoch * int(trainer.num_training_batches)
        if batch < trainer.num_training_batches and self._line_is_due():
            epoch = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
            self._print_line(f"{epoch}, batch {batch:,} of {trainer.num_training_batches:,}")

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Show the previous epoch: the module records an epoch only after the callbacks' `on_train_epoch_end`."""
        self._show(module)

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Show the last epoch."""
        self._show(module)

    def on_fit_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Remove the bar."""
        self.bar.stop()

    def on_exception(self, trainer: lightning.Trainer, module: lightning.LightningModule, error: BaseException) -> None:
        """Remove the bar and, after an interrupt, print how to resume."""
        self.bar.stop()
        if isinstance(error, KeyboardInterrupt):
            hint = "; resume with --resume" if trainer.checkpoint_callback is not None else ""
            print_message(f"interrupted in epoch {trainer.current_epoch + 1} of {trainer.max_epochs}{hint}")

    def _show(self, module: lightning.LightningModule) -> None:
        assert isinstance(module, SceneModule)
        if not module.history:
            return
        row = module.history[-1]
        note = f"epoch {row['epoch']:.0f} of {module.schedule.epochs}  loss {row['loss']:.3f}"
        if module.validation is not None:
            clips = pluralize(len(module.validation), "clip")
            note += f"  validation {100 * row['validation_macro_accuracy']:.1f} % of {clips}"
        self.bar.update(self.task, note=note)
        if self.bar.disable and (shows_messages() or self._line_is_due()):
            self._print_line(note)

    def _print_estimate(self, trainer: lightning.Trainer) -> None:
        left = self._seconds_left()
        assert self.timed_from is not None
        if left is None or self.clock() - self.timed_from[0] < MIN_TIMED_SECONDS:
            return
        self.is_estimated = True
        if left >= MIN_SECONDS_LEFT:
            epoch = left / (self.total - self.done) * int(trainer.num_training_batches)
            speed = f"{self.clips / epoch:,.0f} clips/s"
            print_message(f"an epoch takes about {duration(epoch)} ({speed}), the training about {duration(left)} more")

    def _seconds_left(self) -> float | None:
        """Return the expected remaining time, or None if too few steps were timed."""
        if self.timed_from is None or self.done - self.timed_from[1] < MIN_TIMED_STEPS:
            return None
        started, first = self.timed_from
        return (self.clock() - started) / (self.done - first) * (self.total - self.done)

    def _line_is_due(self) -> bool:
        return self.bar.disable and self.clock() - self.last_line >= LINE_SECONDS

    def _print_line(self, note: str) -> None:
        self.last_line, left = self.clock(), self._seconds_left()
        print_progress(f"{self.description}: {note}" + (f"  about {duration(left)} left" if left else ""))
