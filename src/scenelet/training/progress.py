"""Progress of a training: one bar over all epochs, or plain lines if stderr is not a terminal."""

from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from scenelet.training.module import SceneModule
from scenelet.utils.console import RateLimiter, print_message, print_progress, progress_bar, shows_messages


class TrainingProgress(Callback):
    """Lightning callback that shows the time left and the metrics of the last epoch.

    Args:
        description: label of the bar.
    """

    def __init__(self, description: str) -> None:
        self.bar, self.description = progress_bar(), description
        self.limiter = RateLimiter()

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Show the bar, which is partly filled if training resumes."""
        if trainer.current_epoch:
            print_message(f"resuming after epoch {trainer.current_epoch} of {trainer.max_epochs}")
        total = (trainer.max_epochs or 0) * trainer.num_training_batches
        self.task = self.bar.add_task(self.description, total=total, completed=trainer.global_step, note="")
        self.bar.start()

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Advance the bar by one batch."""
        self.bar.advance(self.task)

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Show the previous epoch: the module records an epoch only after the callbacks' `on_train_epoch_end`."""
        self._show(module)

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Show the last epoch."""
        self._show(module)

    def _show(self, module: lightning.LightningModule) -> None:
        assert isinstance(module, SceneModule)
        if not module.history:
            return
        row = module.history[-1]
        note = f"epoch {row['epoch']:.0f} of {module.schedule.epochs}  loss {row['loss']:.3f}"
        if "validation_macro_accuracy" in row:
            note += f"  validation {100 * row['validation_macro_accuracy']:.1f} %"
        self.bar.update(self.task, note=note)
        if self.bar.disable and (shows_messages() or self.limiter.due()):
            print_progress(f"{self.description}: {note}")

    def on_fit_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Remove the bar."""
        self.bar.stop()

    def on_exception(self, trainer: lightning.Trainer, module: lightning.LightningModule, error: BaseException) -> None:
        """Remove the bar and, after an interrupt, print how to resume."""
        self.bar.stop()
        if isinstance(error, KeyboardInterrupt):
            hint = "; resume with --resume" if trainer.checkpoint_callback is not None else ""
            print_message(f"interrupted in epoch {trainer.current_epoch + 1} of {trainer.max_epochs}{hint}")
