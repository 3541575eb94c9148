"""The settings of what comes before a network, features and windows: a model file carries them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MIN_SPAN_HZ = 1.0  # of all mel bands together: in less, the edges of many bands would be one number


class Settings(BaseModel):
    """Base of all settings: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FeatureConfig(Settings):
    """The log-mel front end (`scenelet.audio.log_mel.LogMel`). Stored with the model."""

    sample_rate: int = Field(22050, ge=1000, le=384000, description="Hz, after resampling")
    channels: Literal["mono", "stereo", "mid-side"] = "stereo"
    n_fft: int = Field(2048, ge=16, le=65536, description="samples of a frame's transform")
    win_length: int | None = Field(
        None, ge=16, le=65536, description="samples under the window, in the frame's middle; None: n_fft"
    )
    window_function: Literal["hann", "hamming"] = Field("hann", description="the window's shape, periodic")
    power: Literal[1, 2] = Field(2, description="exponent of the magnitude spectrum, as in librosa; 2: power")
    hop_length: int = Field(512, ge=1, le=65536, description="samples between frames")
    n_mels: int = Field(256, ge=1, le=1024)
    fmin_hz: float = Field(0.0, ge=0)
    fmax_hz: float | None = Field(None, gt=0, description="None: half the sample rate")
    log_before_mel: bool = Field(
        False, description="mel bands of decibels (as in the paper), not decibels of mel bands"
    )
    a_weighting: bool = Field(False, description="add the A-weighting curve; log_before_mel only")
    top_db: float = Field(80.0, gt=0, description="clip this far below the channel's maximum, dB")

    @model_validator(mode="after")
    def _consistent(self) -> "FeatureConfig":
        if self.a_weighting and not self.log_before_mel:
            raise ValueError("a_weighting needs log_before_mel = true")
        if self.win_length is not None and self.win_length > self.n_fft:
            raise ValueError(f"win_length {self.win_length} is longer than n_fft {self.n_fft}")
        if self.top_hz > self.sample_rate / 2:
            raise ValueError(f"fmax_hz {self.top_hz:g} lies above half the sample rate")
        if self.fmin_hz + MIN_SPAN_HZ > self.top_hz:
            raise ValueError(f"fmin_hz {self.fmin_hz:g} is not below fmax_hz {self.top_hz:g} by {MIN_SPAN_HZ:g} Hz")
        return self

    @property
    def top_hz(self) -> float:
        """Upper edge of the highest band, Hz."""
        return self.sample_rate / 2 if self.fmax_hz is None else self.fmax_hz

    @property
    def n_channels(self) -> int:
        """Channels of the feature array: 1 for mono, otherwise 2."""
        return 1 if self.channels == "mono" else 2

    def n_frames(self, samples: int) -> int:
        """Frames of a centered transform over this many samples."""
        return 1 + (samples - self.n_fft % 2) // self.hop_length


class WindowConfig(Settings):
    """The one rule by which every recording is cut. Stored with the model."""

    seconds: float = Field(10.0, gt=0, le=600)
    hop_seconds: float | None = Field(None, gt=0, description="None: the window's own length")
    min_last_fraction: float = Field(
        0.05,
        ge=0,
        le=1,
        description="a last piece shorter than this share of the window is left out: it is encoder padding",
    )

    pad_mode: Literal["zeros", "repeat"] = Field(
        "zeros", description="what a window's silent ends hold: silence, or the sound between them, repeated"
    )
    silence_threshold_db: float = Field(
        60.0, gt=0, le=120, description="repeat: silent is what lies this far below the peak"
    )
    min_sound_seconds: float = Field(
        0.5,
        gt=0,
        le=600,
        description="repeat: a shorter sound is repeated with silence around it; a click must not be a tone",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "WindowConfig":
        if self.hop_seconds is not None and self.hop_seconds > self.seconds:
            raise ValueError(f"hop_seconds {self.hop_seconds:g} is longer than the window and would skip sound")
        return self

    def samples(self, sample_rate: int) -> int:
        """Length of a window in samples."""
        return max(1, round(self.seconds * sample_rate))

    def hop_samples(self, sample_rate: int) -> int:
        """Distance between window starts in samples."""
        return max(1, round((self.hop_seconds or self.seconds) * sample_rate))

    def min_sound_samples(self, sample_rate: int) -> int:
        """Minimum length, in samples, of a sound that is repeated."""
        return max(1, round(self.min_sound_seconds * sample_rate))

    def count(self, total: int, sample_rate: int) -> int:
        """How many windows a recording of `total` samples has; at least one."""
        rest = total - self.samples(sample_rate)
        if rest <= 0:
            return 1
        full, tail = divmod(rest, self.hop_samples(sample_rate))
        return 1 + full + int(self.keeps_tail(tail, sample_rate))

    def keeps_tail(self, tail: int, sample_rate: int) -> bool:
        """Return True if the last `tail` samples, after the last full window, get a padded window of their own."""
        return tail > self.min_last_fraction * self.samples(sample_rate)
