"""Every setting of scenelet, typed and checked: what a recipe file says and a run folder remembers.

A setting that is not listed here is refused, so a misspelt key never passes in silence.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError, model_validator

from scenelet.config.frontend import FeatureConfig as FeatureConfig
from scenelet.config.frontend import Settings as Settings
from scenelet.config.frontend import WindowConfig as WindowConfig
from scenelet.errors import UsageError, did_you_mean

Stride = Annotated[int, Field(ge=1, le=32)]


class NetworkConfig(Settings):
    """Which network, and its free choices; see `scenelet.nn.list_models()`."""

    name: str = "shared_resnet"
    width: int = Field(64, ge=1)
    sub_bands: int = Field(2, ge=1)
    affine: Literal["all", "sub"] = "all"
    repeats: int = Field(3, ge=1)
    shared: bool = True
    stem_stride: tuple[Stride, Stride] = Field(
        (2, 2), description="shared_resnet: in frequency and time; the stem's kernel grows with it"
    )
    rho: int = Field(5, ge=4, le=7, description="cp_resnet: bounds the receptive field")
    blocks: int = Field(2, ge=1, le=8, description="bc_resnet: of the first two stages; the others have twice as many")
    init: Literal["kaiming", "zero_residual"] = "kaiming"


class MixingConfig(Settings):
    """Mixing of the clips of a training batch with each other."""

    combine: Literal["none", "one_of", "all"] = Field(
        "one_of", description="one_of: draw one mixer per batch; all: apply one after the other"
    )
    freqmix: bool = True
    freqmix_alpha: float = Field(1.0, gt=0)
    freqmix_position: Literal["center", "start", "wrap"] = "center"
    freqmix_bands: int = Field(1, ge=1)
    freqmix_per_sample: bool = Field(False, description="draw the bands for each sample, not once per batch")
    mixup: bool = True
    mixup_alpha: float = Field(0.3, gt=0)
    mixup_domain: Literal["decibels", "power"] = Field(
        "decibels", description="power: add the powers of both sounds, as if both were played equally loud"
    )
    cutmix: bool = False
    cutmix_alpha: float = Field(1.0, gt=0)
    epoch_fraction: float = Field(1.0, ge=0, le=1, description="fraction of the epochs that mix; the last ones do not")


class AugmentConfig(Settings):
    """Random changes of each clip of a training batch."""

    time_roll: int = Field(50, ge=0, description="maximum circular shift in frames, either way")
    time_stretch: float = Field(0.0, ge=0, lt=1, description="maximum change of speed, as a fraction")
    crop_frames: int = Field(0, ge=0, description="train on this many neighboring frames of a window; 0: on all")
    frequency_shift: int = Field(0, ge=0, description="maximum shift in mel bands, up or down")
    gain_db: float = Field(0.0, ge=0, le=60, description="maximum gain in dB, either way")
    filter_augment_db: float = Field(
        0.0, ge=0, le=60, description="maximum of a gain in dB that varies over frequency, either way"
    )
    frequency_mask: int = Field(0, ge=0, description="maximum number of neighboring mel bands that are masked")
    time_mask: int = Field(0, ge=0, description="maximum number of neighboring frames that are masked")


class LossConfig(Settings):
    """Cross-entropy, or the class-balanced focal loss of the paper's Eq. 2."""

    name: Literal["cross_entropy", "class_balanced_focal"] = "cross_entropy"
    beta: float = Field(0.999, ge=0, lt=1)
    gamma: float = Field(1.0, ge=0)
    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    normalize_weights: bool = Field(False, description="weights sum to the number of classes")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="cross_entropy: share of a label spread over all classes"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "LossConfig":
        if self.label_smoothing and self.name != "cross_entropy":
            raise ValueError("label_smoothing needs name = 'cross_entropy'")
        return self


class ScheduleConfig(Settings):
    """Epochs, batch and learning rate."""

    epochs: int = Field(100, ge=1)
    batch_size: int = Field(16, ge=2)
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = Field(0.0, ge=0)
    name: Literal["hold_decay_hold", "one_cycle", "linear"] = "one_cycle"
    learning_rate: float = Field(1e-3, gt=0, description="maximum learning rate")
    min_learning_rate: float = Field(1e-6, gt=0)
    hold_epochs: int = Field(50, ge=0, description="hold_decay_hold: epochs at `learning_rate` first")
    decay_epochs: int = Field(200, ge=1, description="hold_decay_hold: epochs of exponential decay")
    warmup_fraction: float = Field(0.3, gt=0, lt=1, description="one_cycle: share of the steps that rise")
    ema_epochs: float = Field(
        0.0, ge=0, description="average the weights over about so many epochs, at most a quarter; 0: the last ones"
    )


class SplitConfig(Settings):
    """How test and validation clips are chosen. A cut that scenelet makes never parts a group."""

    model_config = ConfigDict(coerce_numbers_to_str=True)  # a fold is a name, also where it is a number

    fold: str | None = Field(
        None, description="the fold held out as test, or several: 1+2; None: the data's own split, or a made one"
    )
    city: str | None = Field(
        None, description="the city held out as test, instead of a fold: its clips against all others"
    )
    test_fraction: float = Field(0.2, gt=0, lt=1, description="of the groups, when the data has no split")
    validation_fraction: float = Field(0.0, ge=0, lt=1, description="of the training groups of each class")
    imbalance: float = Field(
        1.0, ge=1, description="makes training uneven: so many times fewer clips of the last label than of the first"
    )
    seed: int = Field(0, ge=0, description="of made splits; not of training")

    @model_validator(mode="after")
    def _consistent(self) -> "SplitConfig":
        if self.fold is not None and self.city is not None:
            raise ValueError("hold out a fold or a city, not both")
        return self


class PruneConfig(Settings):
    """Global L1 pruning, the format of the weights, and the fine-tuning under both."""

    sparsity: float = Field(0.6, ge=0, lt=1)
    max_bytes: int | None = Field(
        None, ge=1, description="bytes on disk, instead of a sparsity: the smallest sparsity whose file fits is found"
    )
    dtype: Literal["fp16", "fp32", "int8", "int4", "auto"] = Field(
        "fp16", description="of weights; auto: with a budget, the one that loses least on validation"
    )
    ramp_fraction: float = Field(
        0.0, ge=0, le=1, description="share of the epochs over which the sparsity grows; 0: all at once, before them"
    )
    epochs: int = Field(200, ge=0)
    learning_rate: float = Field(1e-4, gt=0)
    min_learning_rate: float = Field(1e-6, gt=0)
    ema_epochs: float = Field(0.0, ge=0, description="as `schedule.ema_epochs`, of the fine-tuning")
    seed: int = Field(0, ge=0, description="of the fine-tuning's order, rolls and mixing, beside the run's seed")
    mixing: Literal["as_trained", "none"] = "as_trained"
    loss: Literal["as_trained", "cross_entropy"] = "as_trained"
    self_distillation: float = Field(
        0.0, ge=0, le=1, description="share of each label that is what the network said before it was pruned"
    )

    @property
    def changes_nothing(self) -> bool:
        """The network is stored as it is: no weight is set to zero or becomes a whole number."""
        return self.max_bytes is None and self.sparsity == 0 and self.dtype in ("fp16", "fp32")

    @model_validator(mode="after")
    def _consistent(self) -> "PruneConfig":
        if self.dtype == "auto" and self.max_bytes is None:
            raise ValueError("dtype 'auto' needs max_bytes: without a limit there is nothing to choose by")
        return self


class TrainerConfig(Settings):
    """On how many devices a network is trained; the batches are the same ones on any number."""

    devices: int = Field(1, ge=1, description="GPUs, or processes where there is none, of each machine")
    num_nodes: int = Field(1, ge=1, description="machines; every one of them has as many devices")
    sync_batchnorm: bool = Field(
        True, description="batch norms take their statistics in training from the whole batch, not from each device"
    )

    @property
    def world_size(self) -> int:
        """Devices of all machines."""
        return self.devices * self.num_nodes


class RunConfig(Settings):
    """A whole training run, from features to pruning: what a recipe holds."""

    features: FeatureConfig = FeatureConfig()
    window: WindowConfig = WindowConfig()
    network: NetworkConfig = NetworkConfig()
    mixing: MixingConfig = MixingConfig()
    augment: AugmentConfig = AugmentConfig()
    loss: LossConfig = LossConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    split: SplitConfig = SplitConfig()
    prune: PruneConfig = PruneConfig()
    trainer: TrainerConfig = TrainerConfig()
    checkpoint: Literal["last", "validation"] = Field(
        "last", description="which epoch's weights are kept; validation needs split.validation_fraction"
    )
    distillation: float = Field(
        0.5, ge=0, le=1, description="share of each label that is what the teacher says, where there is one (--teacher)"
    )
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> "RunConfig":
        if self.checkpoint == "validation" and self.split.validation_fraction == 0:
            raise ValueError("checkpoint = 'validation' needs split.validation_fraction above 0")
        decibels = not self.features.log_before_mel and self.features.power == 2
        loud = (
            self.augment.gain_db
            or self.augment.filter_augment_db
            or (self.mixing.mixup and self.mixing.mixup_domain == "power")
        )
        if loud and not decibels:
            raise ValueError(
                "augment.gain_db, augment.filter_augment_db and mixing.mixup_domain = 'power' need features in decibels"
                " of power: set features.log_before_mel = false and features.power = 2"
            )
        if self.window.samples(self.features.sample_rate) <= self.features.n_fft // 2:
            raise ValueError("window.seconds is shorter than half of features.n_fft")
        return self

    @property
    def frames(self) -> int:
        """Frames of a window's features."""
        return self.features.n_frames(self.window.samples(self.features.sample_rate))


def build_config(values: dict[str, Any], source: str) -> RunConfig:
    """Nested plain values -> checked `RunConfig`.

    Raises:
        UsageError: an unknown key (with the closest known one) or a value out of range; the
            sentence names `source` and the key.
    """
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise UsageError(f"{source}: unknown setting {key!r}{did_you_mean(key, setting_keys())}") from None
        where = f"setting {key!r}: " if key else ""
        choices = re.findall(r"'(.*?)'", first["msg"]) if first["type"] == "literal_error" else ()
        near = did_you_mean(str(first["input"]), choices)
        raise UsageError(f"{source}: {where}{first['msg'].removeprefix('Value error, ')}{near}") from None


def setting_keys() -> list[str]:
    """Every dotted key that `--set` and recipe files know, e.g. `schedule.epochs`."""
    keys: list[str] = []
    for name, field in RunConfig.model_fields.items():
        if isinstance(field.default, Settings):
            keys += [f"{name}.{inner}" for inner in type(field.default).model_fields]
        else:
            keys.append(name)
    return keys
