"""Settings of the steps before the network: features and windows. A model file stores them."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

MIN_SPAN_HZ = 1.0  # width of all mel bands together; below it, the edges of several bands round to the same number


class Settings(BaseModel):
    """Base of all settings: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Section(Settings):
    """Base of the sections of a recipe. True and text are not numbers here, which pydantic would convert."""

    @field_validator("*", mode="before")
    @classmethod
    def _check_number(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[str(info.field_name)].annotation
        kinds = [kind if isinstance(kind, type) else type(kind) for kind in (annotation, *get_args(annotation))]
        number = next((kind for kind in (int, float) if kind in kinds), None)
        if number and isinstance(value, bool | str):
            raise PydanticCustomError(f"{number.__name__}_type", "not a number")
        return value


class FeatureConfig(Section):
    """Log-mel front end (`scenelet.audio.log_mel.LogMel`), stored with the model.

    Example:
        >>> FeatureConfig(sample_rate=16000, hop_length=160).n_frames(16000)
        101
    """

    sample_rate: int = Field(
        22050, ge=1000, le=384000, description="sample rate in Hz, to which recordings are resampled"
    )
    channels: Literal["mono", "stereo", "mid-side"] | Annotated[int, Field(ge=1, le=64, strict=True)] = Field(
        "stereo",
        description="channels of the features. mono: mean of all; mid-side: sum and difference of left and right;"
        " a number: this channel of each recording",
    )
    n_fft: int = Field(2048, ge=16, le=65536, description="samples per Fourier transform")
    win_length: int | None = Field(
        None, ge=16, le=65536, description="samples under the window function, in the middle of a frame; None: n_fft"
    )
    window_function: Literal["hann", "hamming"] = Field("hann", description="window function, periodic")
    power: Literal[1, 2] = Field(2, description="exponent of the magnitude spectrum, as in librosa; 2: power")
    hop_length: int = Field(512, ge=1, le=65536, description="samples between frames")
    n_mels: int = Field(256, ge=1, le=1024, description="number of mel bands")
    fmin_hz: float = Field(0.0, ge=0, description="lower edge of the lowest band, Hz")
    fmax_hz: float | None = Field(
        None, gt=0, description="upper edge of the highest band, Hz; None: half the sample rate"
    )
    log_before_mel: bool = Field(False, description="take decibels before the mel bands (as in the paper), not after")
    a_weighting: bool = Field(False, description="add the A-weighting curve; needs log_before_mel")
    top_db: float = Field(
        80.0, gt=0, description="range of each channel below its maximum, dB; lower values are clipped"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "FeatureConfig":
        if self.a_weighting and not self.log_before_mel:
            raise ValueError("a_weighting needs log_before_mel = true")
        if self.win_length is not None and self.win_length > self.n_fft:
            raise ValueError(f"win_length {self.win_length} is longer than n_fft {self.n_fft}")
        if self.top_hz > self.sample_rate / 2:
            raise ValueError(f"fmax_hz {self.top_hz:g} is above half the sample rate")
        if self.fmin_hz + MIN_SPAN_HZ > self.top_hz:
            raise ValueError(f"fmin_hz {self.fmin_hz:g} is not below fmax_hz {self.top_hz:g} by {MIN_SPAN_HZ:g} Hz")
        return self

    @property
    def top_hz(self) -> float:
        """Upper edge of the highest band, Hz."""
        return self.sample_rate / 2 if self.fmax_hz is None else self.fmax_hz

    @property
    def n_channels(self) -> int:
        """Number of channels of the features: 2 for stereo and mid-side, otherwise 1."""
        return 2 if self.channels in ("stereo", "mid-side") else 1

    def n_frames(self, samples: int) -> int:
        """Count the frames of a centered transform of this many samples."""
        return 1 + (samples - self.n_fft % 2) // self.hop_length


class WindowConfig(Section):
    """Rule that cuts recordings into windows, stored with the model.

    Example:
        >>> WindowConfig(seconds=2.0).count(total=40_000, sample_rate=8000)
        3
    """

    seconds: float = Field(10.0, gt=0, le=600, description="length of a window, s")
    hop_seconds: float | None = Field(
        None, gt=0, description="time between window starts, s; None: the length of a window"
    )
    min_last_fraction: float = Field(
        0.05,
        ge=0,
        le=1,
        description="minimum length of the last window, as a fraction; a shorter rest is encoder padding and dropped",
    )

    keep_rest: bool = Field(
        False,
        description="round a recording's length up, as librosa does, and let its last window keep a rest that is too"
        " short for another frame",
    )
    pad_mode: Literal["zeros", "repeat"] = Field(
        "zeros", description="content of a window's silent ends: zeros, or a repetition of the sound between them"
    )
    silence_threshold_db: float = Field(
        60.0, gt=0, le=120, description="repeat: level below the peak under which samples are silent, dB"
    )
    min_sound_seconds: float = Field(
        0.5,
        gt=0,
        le=600,
        description="repeat: minimum length, s, of a repeated unit; a shorter sound is repeated with silence around it",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "WindowConfig":
        if self.hop_seconds is not None and self.hop_seconds > self.seconds:
            raise ValueError(f"hop_seconds {self.hop_seconds:g} is longer than the window and would skip sound")
        return self

    def samples(self, sample_rate: int) -> int:
        """Compute the length of a window in samples."""
        return max(1, round(self.seconds * sample_rate))

    def hop_samples(self, sample_rate: int) -> int:
        """Compute the distance between window starts in samples."""
        return max(1, round((self.hop_seconds or self.seconds) * sample_rate))

    def rest_samples(self, features: FeatureConfig) -> int:
        """Compute how many samples a window can take in addition without another frame.

        >>> WindowConfig(seconds=10.0).rest_samples(FeatureConfig(sample_rate=22050, hop_length=512))
        171
        """
        return features.hop_length - 1 - (self.samples(features.sample_rate) - features.n_fft % 2) % features.hop_length

    def min_sound_samples(self, sample_rate: int) -> int:
        """Minimum length, in samples, of a sound that is repeated."""
        return max(1, round(self.min_sound_seconds * sample_rate))

    def count(self, total: int, sample_rate: int) -> int:
        """Return the number of windows of a recording of `total` samples, 1 or more."""
        rest = total - self.samples(sample_rate)
        if rest <= 0:
            return 1
        full, tail = divmod(rest, self.hop_samples(sample_rate))
        return 1 + full + int(self.keeps_tail(tail, sample_rate))

    def keeps_tail(self, tail: int, sample_rate: int) -> bool:
        """Return True if the last `tail` samples, after the last full window, get a padded window of their own."""
        return tail > self.min_last_fraction * self.samples(sample_rate)
