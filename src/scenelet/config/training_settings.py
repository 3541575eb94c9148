"""Settings of the network and of its training: mixing, augmentation, loss and schedule."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from scenelet.config.frontend import Section

MIN_RT60_SECONDS = 0.1
"""Minimum reverberation time of synthetic rooms."""
Stride = Annotated[int, Field(ge=1, le=32, strict=True)]


class NetworkConfig(Section):
    """The network and its size; `scenelet.nn.list_models()` lists the networks."""

    name: str = Field("shared_resnet", description="name of the network")
    width: int = Field(64, ge=1, description="base number of channels")
    members: int = Field(
        1,
        ge=1,
        le=32,
        description="networks of this kind in one model, trained side by side; their logits are averaged",
    )
    sub_bands: int = Field(2, ge=1, description="sub-bands of each SubSpectralNorm")
    affine: Literal["all", "sub"] = Field(
        "all", description="all: one scale and shift per channel in SubSpectralNorm; sub: one per channel and sub-band"
    )
    repeats: int = Field(3, ge=1, description="shared_resnet: applications of each shared block")
    shared: bool = Field(True, description="shared_resnet: repeated blocks share their convolution weights")
    stem_stride: tuple[Stride, Stride] | None = Field(
        None,
        description="shared_resnet, bc_resnet: stride of the stem in frequency and time, with which its kernel grows;"
        " unset: (2, 2) in shared_resnet, (2, 1) in bc_resnet",
    )
    residual_norm: bool = Field(
        False,
        description="shared_resnet, bc_resnet, cp_mobile: normalize each clip and mel band of the input, and in"
        " bc_resnet each stage's result",
    )
    rho: int = Field(5, ge=4, le=7, description="cp_resnet: limit of the receptive field; larger values see more")
    blocks: int = Field(
        2,
        ge=1,
        le=8,
        description="bc_resnet: blocks of each of the first two stages; the other stages have twice as many",
    )
    multiplier: float = Field(1.8, ge=1, le=8, description="cp_mobile: growth of the number of channels per stage")
    expansion: float = Field(2.1, ge=1, le=8, description="cp_mobile: channels inside a block per channel of its input")
    init: Literal["kaiming", "zero_residual"] = Field(
        "kaiming", description="initial weights; zero_residual: also start each residual branch at zero"
    )


class MixingConfig(Section):
    """Mixing of the clips in a training batch."""

    combine: Literal["none", "one_of", "all"] = Field(
        "one_of", description="none: no mixing; one_of: draw one mixer per batch; all: apply one after the other"
    )
    freqmix: bool = Field(True, description="exchange a range of mel bands between two clips")
    freqmix_alpha: float = Field(1.0, gt=0, description="parameter of the Beta distribution of the mixing fraction")
    freqmix_position: Literal["center", "start", "wrap", "between"] = Field(
        "center",
        description="drawn position: center or start of the range; wrap: start of a cyclic range; between: one end",
    )
    freqmix_bands: int = Field(1, ge=1, description="number of exchanged ranges")
    freqmix_per_sample: bool = Field(False, description="draw the bands for each sample, not once per batch")
    timemix: bool = Field(False, description="exchange a range of frames between two clips")
    timemix_alpha: float = Field(1.0, gt=0, description="parameter of the Beta distribution of the mixing fraction")
    mixup: bool = Field(True, description="add two clips with weights")
    mixup_alpha: float = Field(0.3, gt=0, description="parameter of the Beta distribution of the weights")
    mixup_dominant: bool = Field(
        False, description="each clip keeps at least half of itself, as in CP-ResNet: max(weight, 1 - weight)"
    )
    mixup_domain: Literal["decibels", "power"] = Field(
        "decibels",
        description="domain of the sum; power: add the powers of both sounds, as if both were played equally loud",
    )
    cutmix: bool = Field(False, description="exchange a rectangle of bands and frames between two clips")
    cutmix_alpha: float = Field(1.0, gt=0, description="parameter of the Beta distribution of the rectangle's area")
    freq_mixstyle: bool = Field(
        False,
        description="mix mean and standard deviation of each band of two clips, before the drawn mixer; labels stay",
    )
    freq_mixstyle_alpha: float = Field(0.3, gt=0, description="parameter of the Beta distribution of the weights")
    freq_mixstyle_probability: float = Field(0.4, ge=0, le=1, description="fraction of the batches that it changes")
    epoch_fraction: float = Field(1.0, ge=0, le=1, description="fraction of the epochs that mix; the last ones do not")
    background: bool = Field(False, description="mix background clips as those of other classes; see data.background")

    @model_validator(mode="after")
    def _consistent(self) -> "MixingConfig":
        if self.freqmix_position == "between" and self.freqmix_bands > 1:
            raise ValueError("freqmix_position = 'between' has the two ends of one range; set freqmix_bands to 1")
        return self


class AugmentConfig(Section):
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
    background_probability: float = Field(
        0.0, ge=0, le=1, description="probability per clip of background under it, if the data has any"
    )
    background_min_snr_db: float = Field(
        0.0, ge=-60, le=120, description="minimum level of a clip above the background under it, dB"
    )
    background_max_snr_db: float = Field(
        20.0, ge=-60, le=120, description="maximum level of a clip above the background under it, dB"
    )
    background_min_part: float = Field(
        0.2,
        gt=0,
        le=1,
        description="minimum part of the window in which such a clip is heard, as a fraction; with crop_frames: all",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "AugmentConfig":
        if self.background_min_snr_db > self.background_max_snr_db:
            raise ValueError(
                f"augment.background_min_snr_db {self.background_min_snr_db:g} is above augment.background_max_snr_db"
                f" {self.background_max_snr_db:g}"
            )
        return self


class WaveformConfig(Section):
    """Augmentation of the waveforms of a training batch, before log-mel and `AugmentConfig`."""

    train: bool = Field(
        False, description="train on augmented waveforms instead of cached features; all settings below need it"
    )
    reuse_epochs: int = Field(
        1, ge=1, description="epochs that use an augmented waveform; each draws new augmentations of its log-mel"
    )
    speed: float = Field(
        0.0, ge=0, le=0.5, description="maximum change of speed by resampling, as a fraction; the pitch changes too"
    )
    pitch_semitones: float = Field(
        0.0, ge=0, le=12, description="maximum change of pitch at constant duration, either way, semitones"
    )
    pitch_probability: float = Field(0.25, ge=0, le=1, description="probability of such a change of pitch per clip")
    shift_seconds: float = Field(0.0, ge=0, le=600, description="maximum circular shift, either way, s")
    mix_probability: float = Field(
        0.0, ge=0, le=1, description="probability that a clip is mixed with one of another class, at balanced levels"
    )
    response_probability: float = Field(
        0.0,
        ge=0,
        le=1,
        description="probability per clip of an impulse response: one of 64 synthetic rooms and microphones",
    )
    impulse_responses: str | None = Field(
        None, description="folder of recorded impulse responses, which replace the synthetic ones"
    )
    max_rt60_seconds: float = Field(
        0.6, ge=0, le=10, description="maximum reverberation time of the synthetic rooms, from 0.1 s; 0: no rooms"
    )
    microphone_db: float = Field(
        6.0, ge=0, le=40, description="maximum gain of the synthetic microphones at a frequency, either way, dB"
    )
    noise_probability: float = Field(0.0, ge=0, le=1, description="probability of added noise per clip, white or pink")
    min_snr_db: float = Field(10.0, ge=-60, le=120, description="minimum signal-to-noise ratio of added noise, dB")
    max_snr_db: float = Field(40.0, ge=-60, le=120, description="maximum signal-to-noise ratio of added noise, dB")
    gain_db: float = Field(0.0, ge=0, le=60, description="maximum gain, either way, dB")

    @model_validator(mode="after")
    def _consistent(self) -> "WaveformConfig":
        amounts = ("speed", "pitch_semitones", "shift_seconds", "gain_db", "impulse_responses")
        probabilities = ("mix_probability", "response_probability", "noise_probability")
        for name in (*amounts, *probabilities):
            if getattr(self, name) and not self.train:
                raise ValueError(f"waveform.{name} needs waveform.train = true")
        if self.min_snr_db > self.max_snr_db:
            raise ValueError(
                f"waveform.min_snr_db {self.min_snr_db:g} is above waveform.max_snr_db {self.max_snr_db:g}"
            )
        if 0 < self.max_rt60_seconds < MIN_RT60_SECONDS:
            raise ValueError(
                f"waveform.max_rt60_seconds {self.max_rt60_seconds:g} is below {MIN_RT60_SECONDS:g}; 0 is for no rooms"
            )
        if self.response_probability and not (self.impulse_responses or self.max_rt60_seconds or self.microphone_db):
            raise ValueError(
                "waveform.response_probability needs waveform.max_rt60_seconds or waveform.microphone_db above 0"
            )
        if self.impulse_responses is not None and not self.response_probability:
            raise ValueError("waveform.impulse_responses needs waveform.response_probability above 0")
        return self


class LossConfig(Section):
    """Cross-entropy, binary cross-entropy, or the class-balanced focal loss of the paper's Eq. 2."""

    name: Literal["cross_entropy", "binary_cross_entropy", "class_balanced_focal"] = Field(
        "cross_entropy", description="name of the loss"
    )
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


class DistillationConfig(Section):
    """Part of the teachers in the loss, if `train --teacher` is given."""

    label_fraction: float = Field(
        0.5, ge=0, le=1, description="fraction of the labels in the loss; the teachers have the rest"
    )
    temperature: float = Field(
        1.0, ge=0.1, description="divides the logits of teachers and student; above 1, unlikely classes count more"
    )


class TransferConfig(Section):
    """Training that starts from trained weights, with `train --from`."""

    freeze: bool = Field(
        False, description="fit only the last layer, to the outputs of the others, which stay as they are"
    )
    device_epochs: float = Field(
        0.2, gt=0, le=1, description="`train --each-device`: fraction of the epochs that a device's run has"
    )
    device_rate: float = Field(
        0.1,
        gt=0,
        le=1,
        description="train --each-device: learning rate of a device's run, as a fraction of the schedule's",
    )


class ScheduleConfig(Section):
    """Epochs, batch size, optimizer and learning rate of training."""

    epochs: int = Field(100, ge=1, description="number of epochs")
    batch_size: int = Field(16, ge=2, description="clips per batch")
    drop_last: bool = Field(False, description="leave out an incomplete last batch, as in CP-ResNet")
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
