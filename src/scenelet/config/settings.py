"""Every setting of a run, typed and checked. Recipe files and `run.json` hold these settings.

A setting that is not listed here is an error, so a misspelled key is never ignored.
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
    """The network and its size; `scenelet.nn.list_models()` lists the networks."""

    name: str = Field("shared_resnet", description="name of the network")
    width: int = Field(64, ge=1, description="base number of channels")
    sub_bands: int = Field(2, ge=1, description="sub-bands of each SubSpectralNorm")
    affine: Literal["all", "sub"] = Field(
        "all", description="all: one scale and shift per channel in SubSpectralNorm; sub: one per channel and sub-band"
    )
    repeats: int = Field(3, ge=1, description="shared_resnet: applications of each shared block")
    shared: bool = Field(True, description="shared_resnet: repeated blocks share their convolution weights")
    stem_stride: tuple[Stride, Stride] = Field(
        (2, 2), description="shared_resnet: stride of the stem in frequency and time; its kernel grows with the stride"
    )
    rho: int = Field(5, ge=4, le=7, description="cp_resnet: limit of the receptive field; larger values see more")
    blocks: int = Field(
        2,
        ge=1,
        le=8,
        description="bc_resnet: blocks of each of the first two stages; the other stages have twice as many",
    )
    init: Literal["kaiming", "zero_residual"] = Field(
        "kaiming", description="initial weights; zero_residual: also start each residual branch at zero"
    )


class MixingConfig(Settings):
    """Mixing of the clips in a training batch."""

    combine: Literal["none", "one_of", "all"] = Field(
        "one_of", description="one_of: draw one mixer per batch; all: apply one after the other"
    )
    freqmix: bool = Field(True, description="exchange a range of mel bands between two clips")
    freqmix_alpha: float = Field(1.0, gt=0, description="parameter of the Beta distribution of the mixing fraction")
    freqmix_position: Literal["center", "start", "wrap"] = Field(
        "center",
        description="drawn position: center or start of the range; wrap: start of a cyclic range",
    )
    freqmix_bands: int = Field(1, ge=1, description="number of exchanged ranges")
    freqmix_per_sample: bool = Field(False, description="draw the bands for each sample, not once per batch")
    mixup: bool = Field(True, description="add two clips with weights")
    mixup_alpha: float = Field(0.3, gt=0, description="parameter of the Beta distribution of the weights")
    mixup_domain: Literal["decibels", "power"] = Field(
        "decibels",
        description="domain of the sum; power: add the powers of both sounds, as if both were played equally loud",
    )
    cutmix: bool = Field(False, description="exchange a rectangle of bands and frames between two clips")
    cutmix_alpha: float = Field(1.0, gt=0, description="parameter of the Beta distribution of the rectangle's area")
    epoch_fraction: float = Field(1.0, ge=0, le=1, description="fraction of the epochs that mix; the last ones do not")


class AugmentConfig(Settings):
    """Augmentation of each clip in a training batch."""

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

    name: Literal["cross_entropy", "class_balanced_focal"] = Field("cross_entropy", description="name of the loss")
    beta: float = Field(0.999, ge=0, lt=1, description="class_balanced_focal: weight of rare classes; 0: equal weights")
    gamma: float = Field(1.0, ge=0, description="class_balanced_focal: focus on clips with a high loss; 0: no focus")
    activation: Literal["sigmoid", "softmax"] = Field(
        "sigmoid", description="class_balanced_focal: function that turns logits into probabilities"
    )
    normalize_weights: bool = Field(
        False, description="class_balanced_focal: scale the class weights so that they sum to the number of classes"
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="cross_entropy: fraction of each label that is spread over all classes"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "LossConfig":
        if self.label_smoothing and self.name != "cross_entropy":
            raise ValueError("label_smoothing needs name = 'cross_entropy'")
        return self


class ScheduleConfig(Settings):
    """Epochs, batch size, optimizer and learning rate of training."""

    epochs: int = Field(100, ge=1, description="number of epochs")
    batch_size: int = Field(16, ge=2, description="clips per batch")
    optimizer: Literal["adam", "adamw"] = Field("adam", description="optimizer")
    weight_decay: float = Field(0.0, ge=0, description="weight decay of the optimizer")
    name: Literal["hold_decay_hold", "one_cycle", "linear"] = Field(
        "one_cycle", description="course of the learning rate over the epochs"
    )
    learning_rate: float = Field(1e-3, gt=0, description="maximum learning rate")
    min_learning_rate: float = Field(1e-6, gt=0, description="learning rate at the end")
    hold_epochs: int = Field(50, ge=0, description="hold_decay_hold: first epochs, at `learning_rate`")
    decay_epochs: int = Field(200, ge=1, description="hold_decay_hold: epochs of exponential decay")
    warmup_fraction: float = Field(
        0.3, gt=0, lt=1, description="one_cycle: fraction of the steps in which the rate rises"
    )
    ema_epochs: float = Field(
        0.0,
        ge=0,
        description="epochs over which weights are averaged (at most a quarter of all); 0: use the last weights",
    )


class SplitConfig(Settings):
    """Choice of the test and validation clips. A split that scenelet draws never divides a group."""

    model_config = ConfigDict(coerce_numbers_to_str=True)  # a fold is a name, even if it looks like a number

    fold: str | None = Field(
        None, description="fold held out as test, or several: 1+2; None: the split of the data, or a random one"
    )
    city: str | None = Field(
        None, description="city held out as test in place of a fold; all other cities are for training"
    )
    test_fraction: float = Field(
        0.2, gt=0, lt=1, description="fraction of the groups held out as test when the data has no split"
    )
    validation_fraction: float = Field(0.0, ge=0, lt=1, description="fraction of each class's training groups held out")
    imbalance: float = Field(
        1.0,
        ge=1,
        description="ratio of training clips between the first and the last label; clips are left out to reach it",
    )
    seed: int = Field(0, ge=0, description="random seed of splits; training has its own")

    @model_validator(mode="after")
    def _consistent(self) -> "SplitConfig":
        if self.fold is not None and self.city is not None:
            raise ValueError("hold out a fold or a city, not both")
        return self


class PruneConfig(Settings):
    """Global L1 pruning, number format of the weights, and fine-tuning."""

    sparsity: float = Field(0.6, ge=0, lt=1, description="fraction of the convolution weights to prune")
    max_bytes: int | None = Field(
        None,
        ge=1,
        description="maximum bytes on disk; replaces sparsity by the smallest one whose file fits",
    )
    dtype: Literal["fp16", "fp32", "int8", "int4", "auto"] = Field(
        "fp16",
        description="number format of the weights; auto: the best on validation; needs max_bytes",
    )
    ramp_fraction: float = Field(
        0.0,
        ge=0,
        le=1,
        description="fraction of the epochs over which the sparsity rises; 0: prune once, before fine-tuning",
    )
    epochs: int = Field(200, ge=0, description="epochs of fine-tuning")
    learning_rate: float = Field(1e-4, gt=0, description="maximum learning rate of fine-tuning")
    min_learning_rate: float = Field(1e-6, gt=0, description="learning rate at the end of fine-tuning")
    ema_epochs: float = Field(0.0, ge=0, description="as `schedule.ema_epochs`, for fine-tuning")
    seed: int = Field(0, ge=0, description="random seed of fine-tuning, combined with the seed of the run")
    mixing: Literal["as_trained", "none"] = Field("as_trained", description="mixing during fine-tuning")
    loss: Literal["as_trained", "cross_entropy"] = Field("as_trained", description="loss of fine-tuning")
    self_distillation: float = Field(
        0.0, ge=0, le=1, description="fraction of each label that comes from the network before pruning"
    )

    @property
    def changes_nothing(self) -> bool:
        """True if no weight is set to zero or rounded to an integer."""
        return self.max_bytes is None and self.sparsity == 0 and self.dtype in ("fp16", "fp32")

    @model_validator(mode="after")
    def _consistent(self) -> "PruneConfig":
        if self.dtype == "auto" and self.max_bytes is None:
            raise ValueError("dtype 'auto' needs max_bytes: without a limit there is nothing to choose by")
        return self


class TrainerConfig(Settings):
    """Devices for training; the batches do not depend on their number."""

    devices: int = Field(1, ge=1, description="GPUs per machine, or processes if the machine has no GPU")
    num_nodes: int = Field(1, ge=1, description="number of machines, each with `devices`")
    sync_batchnorm: bool = Field(True, description="compute batch-norm statistics over the batch of all devices")

    @property
    def world_size(self) -> int:
        """Number of devices of all machines."""
        return self.devices * self.num_nodes


class RunConfig(Settings):
    """All settings of a run, from features to pruning; a recipe holds these."""

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
        "last",
        description="epoch whose weights are used; validation: the best one, needs split.validation_fraction",
    )
    distillation: float = Field(
        0.5, ge=0, le=1, description="fraction of each label that comes from the teacher, if --teacher is given"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="number format of training; auto: bf16 if the hardware supports it"
    )
    seed: int = Field(0, ge=0, description="random seed of training")

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
        """Number of feature frames per window."""
        return self.features.n_frames(self.window.samples(self.features.sample_rate))


def build_config(values: dict[str, Any], source: str) -> RunConfig:
    """Check nested values and make a `RunConfig` of them.

    Args:
        values: sections of settings, as in a recipe file; settings that are left out keep their defaults.
        source: name of the file or recipe, for error messages.

    Raises:
        UsageError: a key is unknown (the message names the closest known one), or a value is out of range.

    Example:
        >>> build_config({"schedule": {"epochs": 3}}, "example").schedule.epochs
        3
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
    """List the dotted keys of all settings.

    Example:
        >>> "schedule.epochs" in setting_keys()
        True
    """
    keys: list[str] = []
    for name, field in RunConfig.model_fields.items():
        if isinstance(field.default, Settings):
            keys += [f"{name}.{inner}" for inner in type(field.default).model_fields]
        else:
            keys.append(name)
    return keys
