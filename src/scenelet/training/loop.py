"""Run a `SceneModule` under Lightning: precision, checkpoints, logs, errors, resume."""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from scenelet.config import TrainerConfig
from scenelet.errors import RunError
from scenelet.nn import cpp_build
from scenelet.training.checkpoint import AtomicCheckpointIO, check_checkpoint, read_checkpoint
from scenelet.training.distributed import SameDataCheck, check_devices, lightning_options, process_group
from scenelet.training.divergence import DIVERGENCE_FILE, DivergedError, write_divergence
from scenelet.training.module import SceneModule
from scenelet.training.precision import Precision, resolve_precision
from scenelet.training.progress import TrainingProgress
from scenelet.utils.console import print_message

CHECKPOINTS, LOGS = "checkpoints", "logs"
LAST = "last.ckpt"
BEST = "best.ckpt"
ONE_DEVICE = TrainerConfig()
LIGHTNING_PRECISION: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def run_trainer(
    module: SceneModule,
    precision: Precision,
    folder: Path | None = None,
    resume: bool = False,
    select_best: bool = False,
    description: str = "Training",
    trainer: TrainerConfig = ONE_DEVICE,
    callbacks: Sequence[Callback] = (),
) -> None:
    """Train `module` in place, for the epochs of its schedule.

    Args:
        module: module to train.
        precision: "auto" uses bf16 or fp16 if the machine multiplies it fast, see `scenelet.training.precision`.
        folder: run folder for logs and a checkpoint after every epoch; None writes nothing.
        resume: continue after the last complete epoch of the folder, if there is one.
        select_best: end with the weights of the best epoch on validation (macro accuracy, the earliest on a tie).
        description: label of the progress bar.
        trainer: number of devices; `module.rank` is the rank of this process. On each machine, the first process starts
            its own command again for the other devices, and all of them call this function.
        callbacks: further Lightning callbacks, on the first process.

    Raises:
        RunError: training diverged in the batch that the folder's `diverged.json` names, or another process has ended.
        SystemExit: training failed, and this process is a worker.
    """
    rank = module.rank
    check_devices(trainer)
    if not (torch.cuda.is_available() or torch.backends.mps.is_available() or cpp_build.library()):
        print_message("note: no working C++ compiler (g++, clang++) was found; training is slower without one")
    callbacks = [] if rank.is_worker else [TrainingProgress(description), *callbacks]
    if not rank.is_single:
        clips = module.batches(0).clips
        callbacks.append(SameDataCheck(clips.names, clips.targets, module.network))
    resume_from: Path | None = None
    if folder is not None:
        callbacks += _checkpoint_callbacks(folder / CHECKPOINTS, select_best)
        if not rank.is_worker:
            (folder / DIVERGENCE_FILE).unlink(missing_ok=True)
        if resume and has_checkpoint(folder):
            resume_from = folder / CHECKPOINTS / LAST
            check_checkpoint(resume_from, module.state_dict())
    with _silence_lightning():
        runner = _lightning_trainer(module, precision, folder, callbacks, trainer)
        try:
            with process_group(runner, rank):
                runner.fit(module, ckpt_path=resume_from, weights_only=True if resume_from else None)
        except DivergedError as error:
            if folder is None or rank.is_worker:
                raise
            raise RunError(f"{error} ({write_divergence(folder, error.divergence)} lists them)") from None
        except SystemExit:  # Lightning turns an interrupt into it
            if rank.is_worker:
                raise
            raise KeyboardInterrupt from None
    if folder is not None and select_best and not rank.is_worker:
        best = folder / CHECKPOINTS / BEST
        check_checkpoint(best, module.state_dict())
        module.load_state_dict(read_checkpoint(best)["state_dict"])
    module.use_averaged_weights()
    module.network.to("cpu").eval()


def has_checkpoint(folder: Path) -> bool:
    """Return True if a run folder holds a complete epoch from which training can resume."""
    return (folder / CHECKPOINTS / LAST).exists()


def _lightning_trainer(
    module: SceneModule, precision: Precision, folder: Path | None, callbacks: list[Callback], trainer: TrainerConfig
) -> lightning.Trainer:
    options = lightning_options(trainer, module.rank)
    return lightning.Trainer(
        max_epochs=module.schedule.epochs,
        precision=LIGHTNING_PRECISION[resolve_precision(precision)],
        benchmark=True if torch.cuda.is_available() else None,  # cuDNN times its kernels, as shapes hardly change
        callbacks=callbacks,
        logger=_loggers(folder / LOGS) if folder is not None else [],
        enable_checkpointing=folder is not None,
        enable_progress_bar=False,
        enable_model_summary=False,
        reload_dataloaders_every_n_epochs=1,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        plugins=[*options.pop("plugins", ()), AtomicCheckpointIO()],
        **options,
    )


def _checkpoint_callbacks(folder: Path, select_best: bool) -> list[Callback]:
    # "best" comes before "last": if a process is killed between the two, the epoch is repeated
    best = [_checkpoint(folder, "best", monitor="validation_macro_accuracy", mode="max")] if select_best else []
    return [*best, _checkpoint(folder, "last")]


def _checkpoint(folder: Path, name: str, **options: Any) -> ModelCheckpoint:
    return ModelCheckpoint(
        folder, name, save_on_train_epoch_end=True, every_n_epochs=1, enable_version_counter=False, **options
    )


def _loggers(folder: Path) -> list[Any]:
    attempt = len(list(folder.glob("csv/version_*")))
    return [CSVLogger(folder, "csv", attempt), TensorBoardLogger(folder, "tensorboard", attempt)]


@contextlib.contextmanager
def _silence_lightning() -> Iterator[None]:
    """Suppress Lightning's messages: they are about data loaders, loggers and devices, never about the user's data."""
    # not undone: `warnings.catch_warnings` would undo what other threads set during the hours of a training
    warnings.filterwarnings("ignore", module=r"lightning\.")
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
