"""The Lightning module: one training step, the learning rate, what is noted after each epoch."""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from scenelet.config import ScheduleConfig
from scenelet.evaluation.metrics import classification_report
from scenelet.nn.dropout import reseed
from scenelet.nn.sync_norm import average_running_statistics
from scenelet.training.batches import EpochBatches, LabelledFeatures
from scenelet.training.distributed import all_reduce_mean, gather_probabilities
from scenelet.training.divergence import DivergedError, Divergence
from scenelet.training.ranks import SINGLE, Rank
from scenelet.training.schedule import learning_rate

History = list[dict[str, float]]
Masks = Mapping[str, Tensor]
"""Parameter name -> 0/1 tensor of kept weights."""


class SceneModule(lightning.LightningModule):
    """Trains a network that takes raw log-mel and gives logits.

    Args:
        network: the network.
        loss: of logits and label weights, both (batch, classes).
        schedule: epochs, optimizer and learning rate.
        batches: epoch -> its batches.
        validation: clips to measure after each epoch, or None.
        masks: asked for at the start of each epoch, with the network and the epoch; held through its steps.
        quantize: weights of a convolution or dense layer -> those that a step computes with, whose gradient moves the
            ones that they were made of (straight-through, Bengio et al. 2013); None: the weights themselves.
        teacher: another network, and the share of each label that is its softmax on the same batch (Hinton et al.
            2015, at temperature 1); None: labels as they are.
        place: which of the processes this is, when several train together; `batches` are then its shares.
        joint_norms: whether the norms' statistics are of all processes; else their running ones are averaged over the
            processes at the end of each epoch.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: nn.Module,
        schedule: ScheduleConfig,
        batches: Callable[[int], EpochBatches],
        validation: LabelledFeatures | None = None,
        masks: Callable[[nn.Module, int], Masks] | None = None,
        quantize: Callable[[Tensor], Tensor] | None = None,
        teacher: tuple[nn.Module, float] | None = None,
        rank: Rank = SINGLE,
        sync_norms: bool = True,
    ) -> None:
        super().__init__()
        self.network, self.loss = network, loss
        self.schedule, self.batches, self.validation = schedule, batches, validation
        self.masks_of, self.quantize = masks, quantize
        self.masks: Masks = {}
        self._unrounded: list[Tensor] = []
        self.teacher = teacher  # in a tuple, so that it is no part of this module, its checkpoints or its modes
        self.rank, self.sync_norms = rank, sync_norms
        self.averaged: AveragedModel | None = None
        if schedule.ema_epochs:
            # at most a quarter of the training, so that of the weights it began from exp(-4) = 2 % is left
            epochs = min(schedule.ema_epochs, schedule.epochs / 4)
            decay = math.exp(-1 / (epochs * len(batches(0))))
            average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
            self.averaged = AveragedModel(network, multi_avg_fn=average, use_buffers=True)
            self.averaged.requires_grad_(False)  # what waits for gradients would wait for its
        self.history: History = []
        self._losses: list[Tensor] = []
        self._started = 0.0

    def train_dataloader(self) -> EpochBatches:
        """The batches of the epoch that is about to start."""
        return self.batches(self.current_epoch)

    def configure_optimizers(self) -> Any:
        """Adam or AdamW under the schedule's learning rate, which changes every step."""
        kind = torch.optim.Adam if self.schedule.optimizer == "adam" else torch.optim.AdamW
        # only AdamW decouples the decay; norms and biases are not decayed
        decayed = {id(weight) for weight in self._layer_weights()}
        weights = [p for p in self.network.parameters() if id(p) in decayed]
        others = [p for p in self.network.parameters() if id(p) not in decayed]
        groups = [
            {"params": weights, "weight_decay": self.schedule.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        optimizer = kind(groups, lr=1.0, fused=True)
        steps = len(self.batches(0))
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate(self.schedule, step, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        """Begin to note this epoch, under its masks; dropout draws from its randomness, like everything else."""
        self._losses, self._started = [], time.perf_counter()
        if self.masks_of is not None:
            self.masks = self.masks_of(self.network, self.current_epoch)
            self._apply_masks()
        reseed(self.network, self.batches(self.current_epoch).dropout_seed())

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        """Loss of one batch, or what this device's share of it adds to the mean over the devices."""
        x, y = batch
        self._round()
        if self.teacher is not None:
            network, share = self.teacher
            with torch.no_grad():
                y = (1 - share) * y + share * network.to(x.device)(x).float().softmax(1)
        loss: Tensor = self.loss(self.network(x).float(), y)
        if not self.rank.is_single:
            loss = loss * self.batches(self.current_epoch).weight(index)
        self._losses.append(loss.detach())
        return loss

    def on_before_backward(self, loss: Tensor) -> None:
        """Stop at the batch whose loss is not finite; where asking would make a device wait, the epoch's end does."""
        if self.rank.is_single and loss.device.type == "cpu" and not math.isfinite(float(loss.detach())):
            # weights that its step found so are the gradient's of the batch before it, whose loss was finite
            index = len(self._losses) - 1
            raise self._diverged(torch.stack(self._losses), index if self._finite() else max(0, index - 1))

    def _finite(self) -> bool:
        return all(bool(torch.isfinite(p).all()) for p in self.network.parameters())

    def _diverged(self, losses: Tensor, index: int) -> DivergedError:
        batches = self.batches(self.current_epoch)
        step = self.current_epoch * len(batches) + index
        return DivergedError(
            Divergence(
                epoch=self.current_epoch + 1,
                batch=index + 1,
                batches=len(batches),
                rate=learning_rate(self.schedule, step, len(batches)),
                losses=tuple(losses[:index].tolist()),
                clips=batches.names(index),
            )
        )

    def on_after_backward(self) -> None:
        """Put back the weights that were rounded for the step: the optimizer moves these."""
        with torch.no_grad():
            for weight, unrounded in zip(self._layer_weights(), self._unrounded, strict=False):
                weight.copy_(unrounded)
        self._unrounded = []

    def on_train_batch_end(self, *_: Any) -> None:
        """Put pruned weights back to zero, where the optimizer's momentum moved them; go on with the average."""
        self._apply_masks()
        if self.averaged is not None:
            self.averaged.update_parameters(self.network)

    def averaged_network(self) -> nn.Module:
        """The network to keep: with averaged weights, where the schedule asks for them."""
        return self.network if self.averaged is None else self.averaged.module

    def use_averaged_weights(self) -> None:
        """Give `network` the weights of `averaged_network`, under the masks; they are not rounded."""
        if self.masks_of is not None and not self.masks:  # resumed after the last epoch: none began here
            self.masks = self.masks_of(self.network, self.schedule.epochs - 1)
        self.network.load_state_dict(self.averaged_network().state_dict())
        self._apply_masks()  # an average holds weights from before they were pruned

    def _layer_weights(self) -> list[Tensor]:
        """Of convolutions and dense layers: what is decayed and rounded."""
        layers = (module for module in self.network.modules() if isinstance(module, nn.Conv2d | nn.Linear))
        return [layer.weight for layer in layers]

    @torch.no_grad()
    def _apply_masks(self) -> None:
        for name, mask in self.masks.items():
            weight = self.network.get_parameter(name)
            weight.mul_(mask.to(weight.device))

    @torch.no_grad()
    def _round(self) -> None:
        """Round the weights in place, remembering what they were."""
        if self.quantize is None:
            return
        weights = self._layer_weights()
        self._unrounded = [weight.detach().clone() for weight in weights]
        for weight in weights:
            weight.copy_(self.quantize(weight))

    def on_train_epoch_end(self) -> None:
        """Note the epoch in `history`, and hand it to the loggers."""
        losses = torch.stack(self._losses)
        # as a last one: weights that are not finite though all losses are
        checked = torch.cat([losses, losses.new_tensor([0.0 if self._finite() else math.nan])])
        if not self.rank.is_single:
            if not self.sync_norms:
                average_running_statistics(self.network)
                if self.averaged is not None:
                    average_running_statistics(self.averaged)
            # one that is not finite makes the mean so, and all devices end together
            checked = all_reduce_mean(checked)
            losses = checked[:-1]
        if not bool(torch.isfinite(checked).all()):
            first = int((~torch.isfinite(checked)).nonzero()[0])
            raise self._diverged(losses, min(first, len(losses) - 1))
        loss = float(losses.mean())
        last_step = (self.current_epoch + 1) * len(self._losses) - 1
        rate = learning_rate(self.schedule, last_step, len(self._losses))
        row = {"epoch": self.current_epoch + 1, "rate": rate, "loss": loss}
        if self.validation is not None:
            probabilities = gather_probabilities(self.averaged_network(), self.validation.features, self.rank)
            labels = [str(k) for k in range(self.validation.classes)]
            measured = classification_report(self.validation.targets, probabilities, labels)
            row |= {f"validation_{key}": measured[key] for key in ("accuracy", "macro_accuracy", "log_loss")}
        row["seconds"] = time.perf_counter() - self._started
        self.history.append(row)
        self.log_dict(row)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the history with the weights."""
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the history up again."""
        self.history = checkpoint["history"]
