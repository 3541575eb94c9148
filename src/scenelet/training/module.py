"""The Lightning module: one training step, the learning rate, and the history of epochs."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from scenelet.config import ScheduleConfig
from scenelet.evaluation.metrics import classification_report
from scenelet.nn.dropout import reseed
from scenelet.nn.stored_weights import prune_to
from scenelet.training.batches import EpochBatches, LabelledFeatures
from scenelet.training.distillation import Distillation
from scenelet.training.distributed import all_reduce_mean, gather_probabilities
from scenelet.training.divergence import DivergedError, Divergence
from scenelet.training.optimizer import build_optimizer, moving_average
from scenelet.training.ranks import SINGLE, Rank
from scenelet.training.schedule import learning_rate
from scenelet.training.window_loader import WindowLoader, build_loader

History = list[dict[str, float]]


class SceneModule(lightning.LightningModule):
    """Lightning module that trains a network from raw log-mel to logits.

    Args:
        network: network to train.
        loss: function of logits and label weights, both (batch, classes).
        schedule: epochs, optimizer and learning rate.
        batches: function from an epoch, counted from 0, to its batches (of this process, in a distributed training).
        validation: clips to evaluate after each epoch, or None.
        sparsity: function from an epoch to the sparsity of a network with `scenelet.nn.stored_weights`, or None.
        distillation: teachers and their part in the loss, or None.
        rank: rank of this process in a distributed training.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        schedule: ScheduleConfig,
        batches: Callable[[int], EpochBatches],
        validation: LabelledFeatures | None = None,
        sparsity: Callable[[int], float] | None = None,
        distillation: Distillation | None = None,
        rank: Rank = SINGLE,
    ) -> None:
        super().__init__()
        self.network, self.loss = network, loss
        self.schedule, self.batches, self.validation = schedule, batches, validation
        self.sparsity = sparsity
        self.distillation = distillation
        self.rank = rank
        self.averaged = moving_average(network, schedule, len(batches(0))) if schedule.ema_epochs else None
        self.history: History = []
        self.windows: WindowLoader | None = None  # loader of the training windows, while the training runs
        self._losses: list[Tensor] = []
        self._started = 0.0

    def configure_optimizers(self) -> Any:
        """Return the optimizer, and a scheduler that sets the learning rate of every step."""
        optimizer, scheduler = build_optimizer(self.network, self.schedule, len(self.batches(0)))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    # Start of an epoch

    def train_dataloader(self) -> EpochBatches:
        """Return the batches of the epoch that is about to start, on the device of the network."""
        batches = self.batches(self.current_epoch)
        if self.windows is None and not batches.waveforms:
            self.windows = build_loader(batches.clips.features, self.device)
        return replace(batches, windows=self.windows, device=self.device)

    def on_train_epoch_start(self) -> None:
        """Prune to the sparsity of this epoch, and seed dropout from the run's seed and the epoch."""
        self._losses, self._started = [], time.perf_counter()
        if self.distillation is not None:
            self.distillation.to(self.device)
        if self.sparsity is not None:
            prune_to(self.network, self.sparsity(self.current_epoch))
        reseed(self.network, self.batches(self.current_epoch).dropout_seed())

    # One training step. Lightning calls these methods in this order:
    #
    #   1. training_step        batch, forward pass, teachers, loss
    #   2. on_before_backward   stop if the loss is not finite
    #      (Lightning)          backward pass
    #      (Lightning)          optimizer step, then the scheduler's next learning rate
    #   3. on_train_batch_end   moving average of the weights

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Return the loss of one batch, or this device's contribution to the mean loss over the devices."""
        x, y = batch
        with parametrize.cached():  # a shared convolution is pruned and rounded once
            logits = self.network(x).float()
        distillation = self.distillation
        loss: Tensor = self.loss(logits, y) if distillation is None else distillation.loss(self.loss, logits, x, y)
        if not self.rank.is_single:
            loss = loss * self.batches(self.current_epoch).weight(index)
        self._losses.append(loss.detach())
        return loss

    def on_before_backward(self, loss: Tensor) -> None:
        """Raise `DivergedError` if the loss is not finite.

        On a GPU and in distributed training, this check would make the device wait. `on_train_epoch_end` does it there.
        """
        if self.rank.is_single and loss.device.type == "cpu" and not math.isfinite(float(loss.detach())):
            index = len(self._losses) - 1
            # if the weights are not finite either, the gradient of the previous batch broke them
            raise self._diverged(torch.stack(self._losses), index if self._weights_are_finite() else max(0, index - 1))

    def on_train_batch_end(self, *_: Any) -> None:
        """Update the moving average."""
        if self.averaged is not None:
            self.averaged.update(self.network)

    # End of an epoch

    def on_train_epoch_end(self) -> None:
        """Check that the epoch is finite, evaluate validation, and append a row to `history`."""
        losses = self._finite_losses()
        steps = len(self._losses)
        row = {
            "epoch": self.current_epoch + 1,
            "rate": learning_rate(self.schedule, (self.current_epoch + 1) * steps - 1, steps),
            "loss": float(losses.mean()),
        }
        if self.validation is not None:
            probabilities = gather_probabilities(self.averaged_network(), self.validation.features, self.rank)
            labels = [str(k) for k in range(self.validation.classes)]
            report = classification_report(self.validation.targets, probabilities, labels)
            row |= {f"validation_{key}": report[key] for key in ("accuracy", "macro_accuracy", "log_loss")}
        row["seconds"] = time.perf_counter() - self._started
        self.history.append(row)
        self.log_dict(row)

    def _finite_losses(self) -> Tensor:
        """Return the epoch's losses, averaged over the devices, or raise `DivergedError`."""
        losses = torch.stack(self._losses)
        # one more value stands for weights that are not finite although all losses are
        checked = torch.cat([losses, losses.new_tensor([0.0 if self._weights_are_finite() else math.nan])])
        if not self.rank.is_single:
            # a value that is not finite on one device is not finite in the mean, so all devices stop together
            checked = all_reduce_mean(checked)
            losses = checked[:-1]
        if not bool(torch.isfinite(checked).all()):
            first = int((~torch.isfinite(checked)).nonzero()[0])
            raise self._diverged(losses, min(first, len(losses) - 1))
        return losses

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the history with the weights."""
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the history, and continue the moving average."""
        self.history = checkpoint["history"]
        if self.averaged is not None:
            self.averaged.started = True

    def on_fit_end(self) -> None:
        """Release the windows, which may occupy the memory of a GPU."""
        self.windows = None

    # Result

    def averaged_network(self) -> nn.Module:
        """Return the network with averaged weights if the schedule asks for them, and `network` otherwise."""
        return self.network if self.averaged is None else self.averaged.network

    def use_averaged_weights(self) -> None:
        """Copy the weights of `averaged_network` into `network`."""
        self.network.load_state_dict(self.averaged_network().state_dict())

    # Helpers

    def _weights_are_finite(self) -> bool:
        # one value, because the host waits for a GPU at each conversion to bool
        return bool(torch.stack([torch.isfinite(p).all() for p in self.network.parameters()]).all())

    def _diverged(self, losses: Tensor, index: int) -> DivergedError:
        """Return the error for batch `index` of this epoch."""
        batches = self.batches(self.current_epoch)
        step = self.current_epoch * len(batches) + index
        divergence = Divergence(
            epoch=self.current_epoch + 1,
            batch=index + 1,
            batches=len(batches),
            rate=learning_rate(self.schedule, step, len(batches)),
            losses=tuple(losses[:index].tolist()),
            clips=batches.names(index),
        )
        return DivergedError(divergence)
