"""Every setting of a run, typed and checked. Recipe files and `run.json` hold these settings.

A setting that is not listed here is an error, so a misspelled key is never ignored.
"""

import difflib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from scenelet.config.frontend import FeatureConfig as FeatureConfig
from scenelet.config.frontend import Section
from scenelet.config.frontend import Settings as Settings
from scenelet.config.frontend import WindowConfig as WindowConfig
from scenelet.config.training_settings import AugmentConfig as AugmentConfig
from scenelet.config.training_settings import DistillationConfig as DistillationConfig
from scenelet.config.training_settings import LossConfig as LossConfig
from scenelet.config.training_settings import MixingConfig as MixingConfig
from scenelet.config.training_settings import NetworkConfig as NetworkConfig
from scenelet.config.training_settings import ScheduleConfig as ScheduleConfig
from scenelet.config.training_settings import TransferConfig as TransferConfig
from scenelet.config.training_settings import WaveformConfig as WaveformConfig
from scenelet.errors import UsageError, did_you_mean

NO_SOURCES: Mapping[str, str] = MappingProxyType({})
KIND_WORDS = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "finite": "a finite number",
    "model": "a section with settings of its own",
}
"""Value that a setting needs, by the first word of pydantic's error type."""
LITERAL = re.compile(r"'.*?'|True|False|\d+")
BOUND_WORDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


class DataConfig(Section):
    """Meaning of the labelled recordings."""

    background: str = Field(
        "background",
        description="class that means none of the others, if the data has it; or a folder of such recordings",
    )
    standardize: Literal["all", "device"] = Field(
        "all",
        description="training clips whose mean and deviation standardize the mel bands of a clip: all, or those of its"
        " recording device; `compress` then writes a model per device",
    )


class SplitConfig(Section):
    """Choice of the test and validation clips. A split that scenelet draws never divides a group."""

    model_config = ConfigDict(coerce_numbers_to_str=True)  # a fold is a name, even if it looks like a number

    fold: str | None = Field(
        None, description="fold held out as test, or several: 1+2; None: the split of the data, or a random one"
    )
    city: str | None = Field(
        None, description="city held out as test in place of a fold; all other cities are for training"
    )
    device: str | None = Field(
        None, description="recording device: of each subset, only its clips are used; None: all devices"
    )
    test_fraction: float = Field(
        0.2, gt=0, lt=1, description="fraction of the groups held out as test when the data has no split"
    )
    validation_fraction: float = Field(0.0, ge=0, lt=1, description="fraction of each class's training groups held out")
    percent: Literal[5, 10, 25, 50, 100] | None = Field(
        None, description="nested training list to use, in percent, as in DCASE 2024 and 2025; None: all training clips"
    )
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


class PruneConfig(Section):
    """Global L1 pruning, number format of the weights, and fine-tuning."""

    sparsity: float = Field(0.6, ge=0, lt=1, description="fraction of the convolution weights to prune")
    max_bytes: int | None = Field(
        None,
        ge=1,
        description="maximum bytes on disk; replaces sparsity by the smallest one whose file fits",
    )
    members: int | None = Field(
        None, ge=1, description="members of an ensemble that the file keeps, the first ones; unset: all"
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
        0.0,
        ge=0,
        le=1,
        description="fraction of each label that comes from the trained network, with all of its weights and members",
    )

    @property
    def changes_nothing(self) -> bool:
        """True if no weight is left out, set to zero, or rounded to an integer."""
        exact = self.dtype in ("fp16", "fp32")
        return self.members is None and self.max_bytes is None and self.sparsity == 0 and exact

    @model_validator(mode="after")
    def _consistent(self) -> "PruneConfig":
        if self.dtype == "auto" and self.max_bytes is None:
            raise ValueError("dtype 'auto' needs max_bytes: without a limit there is nothing to choose by")
        return self


class TrainerConfig(Section):
    """Devices for training; the batches do not depend on their number."""

    devices: int = Field(1, ge=1, description="GPUs per machine; a CPU is one device")
    num_nodes: int = Field(1, ge=1, description="number of machines, each with `devices`")

    @property
    def world_size(self) -> int:
        """Number of devices of all machines."""
        return self.devices * self.num_nodes


class RunConfig(Section):
    """All settings of a run, from features to pruning; a recipe holds these."""

    features: FeatureConfig = FeatureConfig()
    window: WindowConfig = WindowConfig()
    network: NetworkConfig = NetworkConfig()
    mixing: MixingConfig = MixingConfig()
    waveform: WaveformConfig = WaveformConfig()
    augment: AugmentConfig = AugmentConfig()
    loss: LossConfig = LossConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    distillation: DistillationConfig = DistillationConfig()
    transfer: TransferConfig = TransferConfig()
    data: DataConfig = DataConfig()
    split: SplitConfig = SplitConfig()
    prune: PruneConfig = PruneConfig()
    trainer: TrainerConfig = TrainerConfig()
    checkpoint: Literal["last", "validation"] = Field(
        "last",
        description="epoch whose weights are used; validation: the best one, needs split.validation_fraction",
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto",
        description="number format of training; auto: bf16 if the hardware supports it, fp16 on CUDA GPUs that only"
        " support that; fp16 on other devices: fp32",
    )
    seed: int = Field(0, ge=0, description="random seed of training")

    @model_validator(mode="after")
    def _consistent(self) -> "RunConfig":
        if self.checkpoint == "validation" and self.split.validation_fraction == 0:
            raise ValueError("checkpoint = 'validation' needs split.validation_fraction above 0")
        if self.prune.members is not None and self.prune.members > self.network.members:
            raise ValueError(
                f"prune.members = {self.prune.members} is more than network.members = {self.network.members}; lower it"
            )
        if self.data.standardize == "device" and self.waveform.train:
            raise ValueError(
                "data.standardize = 'device' maps cached features, and waveform.train computes others from augmented"
                " waveforms; set one of the two"
            )
        decibels = not self.features.log_before_mel and self.features.power == 2
        augment, mixing = self.augment, self.mixing
        loud = {
            "augment.gain_db": augment.gain_db,
            "augment.filter_augment_db": augment.filter_augment_db,
            "augment.background_probability": augment.background_probability,
            "mixing.mixup_domain = 'power'": mixing.mixup and mixing.mixup_domain == "power",
        }
        if (used := [name for name, amount in loud.items() if amount]) and not decibels:
            raise ValueError(
                f"{' and '.join(used)} need{'s' if len(used) == 1 else ''} features in decibels of power: set"
                " features.log_before_mel = false and features.power = 2"
            )
        if self.window.samples(self.features.sample_rate) <= self.features.n_fft // 2:
            raise ValueError("window.seconds is shorter than half of features.n_fft")
        return self

    @property
    def frames(self) -> int:
        """Number of feature frames per window."""
        return self.features.n_frames(self.window.samples(self.features.sample_rate))


def build_config(values: dict[str, Any], source: str, sources: Mapping[str, str] = NO_SOURCES) -> RunConfig:
    """Check nested values and make a `RunConfig` of them.

    Args:
        values: sections of settings, as in a recipe file; settings that are left out keep their defaults.
        source: name of the file or recipe, for error messages.
        sources: options that set single settings, by the settings' keys; they replace `source` in error messages.

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
            raise UsageError(f"{source}: unknown setting {key!r}{suggest_setting(key)}") from None
        options = [option for changed, option in sources.items() if not key or f"{changed}.".startswith(f"{key}.")]
        raise UsageError(f"{', '.join(dict.fromkeys(options)) or source}: {_explain(key, first)}") from None


def _explain(key: str, error: ErrorDetails) -> str:
    """Say in one clause what is wrong with the value of a setting."""
    kind, bounds = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return error["msg"].removeprefix("Value error, ")
    if kind == "literal_error":
        choices = [word.strip("'") if "'" in word else word.lower() for word in LITERAL.findall(error["msg"])]
        wanted = f"one of {', '.join(choices)}{did_you_mean(str(error['input']), choices)}"
    else:
        bound = next((f"{word} {bounds[name]:g}" for name, word in BOUND_WORDS.items() if name in bounds), None)
        wanted = bound or KIND_WORDS.get(kind.split("_")[0], error["msg"].removeprefix("Input should be "))
    return f"{key} is {error['input']!r}; it must be {wanted}"


def suggest_setting(key: str) -> str:
    """Return a hint that names the settings that an unknown key may mean, or an empty string.

    >>> suggest_setting("trainer.epoch"), suggest_setting("epochs")
    ("; did you mean 'schedule.epochs'?", '; did you mean schedule.epochs or prune.epochs?')
    """
    known, key = setting_keys(), key.lower()
    if key in known:
        return f"; did you mean {key!r}?"
    section, _, name = key.rpartition(".")
    same = [each for each in known if each.rpartition(".")[2] == name]
    if same and not section:
        return f"; did you mean {' or '.join(same)}?"
    if inner := [each for each in known if each.startswith(f"{key}.")]:
        return f"; it is a section with the settings {', '.join(inner)}"
    for names in ([each.rpartition(".")[2] for each in known if each.rpartition(".")[0] == section], None):
        candidates = [each.rpartition(".")[2] for each in known] if names is None else names
        if close := difflib.get_close_matches(name, candidates, n=1, cutoff=0.7):
            own = [each for each in known if each in (f"{section}.{close[0]}", close[0])]
            found = own or [each for each in known if each.rpartition(".")[2] == close[0]]
            return f"; did you mean {found[0]!r}?"
    return ""


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
