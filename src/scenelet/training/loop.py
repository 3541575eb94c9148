"""Run a `SceneModule` under Lightning: precision, checkpoints, logs, progress, resume."""

import io
import logging
import os
import warnings
from pathlib import Path
from typing import Any, Literal

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO

from scenelet.config import TrainerConfig
from scenelet.errors import RunError, SceneletError
from scenelet.nn import cpp_build as compiled
from scenelet.nn.sync_norm import synchronize
from scenelet.training import divergence
from scenelet.training.checkpoint import MEND, check_checkpoint, read_checkpoint
from scenelet.training.distributed import ExitOnSigterm, check_devices, lightning_options, process_group
from scenelet.training.module import SceneModule
from scenelet.utils.console import RateLimiter, print_message, progress_bar
from scenelet.utils.files import make_folder, replace_file
from scenelet.utils.process import keep_freed_memory

Precision = Literal["auto", "fp32", "bf16"]
CHECKPOINTS, LOGS = "checkpoints", "logs"
LAST = "last.ckpt"
BEST = "best.ckpt"
ONE_DEVICE = TrainerConfig()


def run_trainer(
    module: SceneModule,
    precision: Precision,
    folder: Path | None = None,
    resume: bool = False,
    select_best: bool = False,
    description: str = "Training",
    verbose: bool = True,
    trainer: TrainerConfig = ONE_DEVICE,
) -> None:
    """Train `module` in place, for its schedule's epochs.

    Args:
        module: what to train.
        precision: "auto" takes bf16 where `native_bf16` finds it.
        folder: a run folder for checkpoints after every epoch and logs; None writes nothing.
        resume: go on from the folder's last finished epoch, when there is one.
        select_best: end with the weights of the best epoch on validation (macro accuracy, earliest on a tie).
        description: shown beside the progress bar.
        verbose: say a line an epoch where there is no terminal for the bar, and not only one now and then.
        trainer: how many devices; `module.rank` says which of their processes this one is. The first one of a
            machine starts its own command again for its other devices, and all of them come here.

    Raises:
        RunError: training diverged, in the batch that the folder's `diverged.json` tells of, or a process has ended
            before the others.
        SystemExit: in a process that follows, when training failed.
    """
    rank = module.rank
    check_devices(trainer)
    keep_freed_memory()
    if verbose and not (torch.cuda.is_available() or torch.backends.mps.is_available() or compiled.library()):
        print_message("note: no C++ compiler (g++, clang++) that works was found; training takes longer without")
    callbacks: list[Callback] = [] if rank.is_single else [ExitOnSigterm()]
    callbacks += [] if rank.is_worker else [_Progress(description, verbose)]
    begun = _Begun()
    callbacks.append(begun)
    loggers: list[Any] = []
    last: Path | None = None
    if folder is not None:
        checkpoints = folder / CHECKPOINTS
        if not rank.is_worker:
            (folder / divergence.FILE).unlink(missing_ok=True)
        if select_best:  # before "last": a run killed between the two redoes this epoch
            callbacks.append(_checkpoint(checkpoints, "best", monitor="validation_macro_accuracy", mode="max"))
        callbacks.append(_checkpoint(checkpoints, "last"))
        last = checkpoints / LAST if resume and has_checkpoint(folder) else None
        if last is not None:
            check_checkpoint(last, module.state_dict())
        attempt = len(list((folder / LOGS).glob("csv/version_*")))
        loggers = [
            CSVLogger(folder / LOGS, "csv", attempt),
            TensorBoardLogger(folder / LOGS, "tensorboard", attempt),
        ]
    with warnings.catch_warnings():
        # Lightning advises on data loaders, loggers and devices; none of it is about the user's data
        warnings.simplefilter("ignore")
        lightnings = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
        levels = [logger.level for logger in lightnings]
        for logger in lightnings:
            logger.setLevel(logging.ERROR)
        options = lightning_options(trainer, rank)
        runner = lightning.Trainer(
            max_epochs=module.schedule.epochs,
            precision="bf16-mixed" if takes_bf16(precision) else "32-true",
            callbacks=callbacks,
            logger=loggers,
            enable_checkpointing=folder is not None,
            enable_progress_bar=False,
            enable_model_summary=False,
            reload_dataloaders_every_n_epochs=1,
            log_every_n_steps=1,
            num_sanity_val_steps=0,
            plugins=[*options.pop("plugins", ()), _WholeCheckpoints()],
            **options,
        )
        try:
            synchronize(module.network, module.sync_norms and not rank.is_single)
            with process_group(runner, rank):
                runner.fit(module, ckpt_path=last, weights_only=True if last else None)
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            if last is None or begun.yet or isinstance(error, SceneletError | torch.cuda.OutOfMemoryError):
                raise
            raise RunError(f"{last}: cannot be gone on with ({error}); {MEND}") from error
        except SystemExit:  # what Lightning makes of an interrupt
            if rank.is_worker:
                raise
            raise KeyboardInterrupt from None
        except divergence.DivergedError as error:
            if folder is None or rank.is_worker:
                raise
            raise RunError(f"{error} ({divergence.write(folder, error.divergence)} lists them)") from None
        finally:
            synchronize(module.network, False)
            for logger, level in zip(lightnings, levels, strict=True):
                logger.setLevel(level)
        if folder is not None and select_best and not rank.is_worker:
            check_checkpoint(folder / CHECKPOINTS / BEST, module.state_dict())
            module.load_state_dict(read_checkpoint(folder / CHECKPOINTS / BEST)["state_dict"])
        module.use_averaged_weights()
    module.network.to("cpu").eval()


def has_checkpoint(folder: Path) -> bool:
    """Whether a run folder has a finished epoch to go on from."""
    return (folder / CHECKPOINTS / LAST).exists()


def takes_bf16(precision: Precision) -> bool:
    """Whether a training computes in bf16."""
    return precision == "bf16" or (precision == "auto" and native_bf16())


def native_bf16() -> bool:
    """Whether this machine multiplies bf16 in hardware; a CPU without it is slower with bf16 than without."""
    if torch.backends.mps.is_available():
        return False  # Lightning trains there, and the CPU's abilities say nothing about it
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not hasattr(torch.cpu, "get_capabilities"):  # before PyTorch 2.10
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def _checkpoint(folder: Path, name: str, **options: Any) -> ModelCheckpoint:
    return ModelCheckpoint(
        folder, name, save_on_train_epoch_end=True, every_n_epochs=1, enable_version_counter=False, **options
    )


class _WholeCheckpoints(TorchCheckpointIO):
    """A checkpoint is there whole or not at all.

    Lightning's own is written in the system's temporary folder, from where it is copied bit by bit when that is on
    another disk; and what a kill leaves there stays.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        data = io.BytesIO()
        torch.save(checkpoint, data)
        make_folder(Path(path).parent)
        replace_file(Path(path), data.getvalue())

    def load_checkpoint(self, path: Any, *options: Any, **named: Any) -> dict[str, Any]:
        """What is stored; that of the best epoch names where the run lies now, or a moved one would forget it."""
        found: dict[str, Any] = super().load_checkpoint(path, *options, **named)
        rank = os.path.realpath(Path(path).parent)
        for state in found["callbacks"].values():
            if "best_model_path" in state:
                for key in ("best_model_path", "kth_best_model_path", "last_model_path"):
                    state[key] = _moved(state[key], rank)
                state["best_k_models"] = {_moved(name, rank): s for name, s in state["best_k_models"].items()}
                state["dirpath"] = rank
        return found


def _moved(path: str, rank: str) -> str:
    return os.path.join(rank, os.path.basename(path)) if path else path


class _Begun(Callback):
    """Knows whether the training has begun; what fails before that, fails over the checkpoint."""

    yet = False

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self.yet = True


class _Progress(Callback):
    """One bar over all epochs, with the time left and the last figures; plain lines where there is no terminal."""

    def __init__(self, description: str, verbose: bool) -> None:
        self.bar, self.description, self.verbose = progress_bar(), description, verbose
        self.lines = RateLimiter()

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        if trainer.current_epoch and self.verbose:
            print_message(f"resuming after epoch {trainer.current_epoch} of {trainer.max_epochs}")
        total = (trainer.max_epochs or 0) * trainer.num_training_batches
        self.task = self.bar.add_task(self.description, total=total, completed=trainer.global_step, note="")
        self.bar.start()

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        self.bar.advance(self.task)

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        # the module notes an epoch after the callbacks were told that it ended
        self._show(module)

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self._show(module)

    def _show(self, module: lightning.LightningModule) -> None:
        assert isinstance(module, SceneModule)
        if not module.history:
            return
        figures = module.history[-1]
        note = f"epoch {figures['epoch']:.0f} of {module.schedule.epochs}  loss {figures['loss']:.3f}"
        if "validation_macro_accuracy" in figures:
            note += f"  validation {100 * figures['validation_macro_accuracy']:.1f} %"
        self.bar.update(self.task, note=note)
        if self.bar.disable and (self.verbose or self.lines.due()):
            print_message(f"{self.description}: {note}")

    def on_fit_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self.bar.stop()

    def on_exception(self, trainer: lightning.Trainer, module: lightning.LightningModule, error: BaseException) -> None:
        self.bar.stop()
        if isinstance(error, KeyboardInterrupt) and self.verbose:
            hint = "; --resume goes on from there" if trainer.checkpoint_callback is not None else ""
            print_message(f"interrupted in epoch {trainer.current_epoch + 1} of {trainer.max_epochs}{hint}")
