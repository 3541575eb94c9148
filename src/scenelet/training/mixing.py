"""Mixers: combine pairs of clips of a training batch, and their labels.

`x` is a tensor (batch, channel, frequency, time) and `y`, the label weights, a tensor (batch, classes) on the same
device; `rng` is a `numpy.random.Generator`. A mixer returns new (x, y). Sample i is mixed with sample `order[i]` of a
random permutation. `freq_mixstyle` exchanges no sound, only its statistics, and leaves y as it is.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scenelet.config import MixingConfig
from scenelet.training.device import to_device

Position = Literal["center", "start", "wrap", "between"]
Batch = tuple[Tensor, Tensor]
Mixer = Callable[[Tensor, Tensor, np.random.Generator], Batch]

MIN_VARIANCE = 1e-6
"""Variance in dB^2 that `freq_mixstyle` adds to each one, so that it can divide by that of silence."""


def freqmix(
    x: Tensor,
    y: Tensor,
    rng: np.random.Generator,
    alpha: float = 1.0,
    position: Position = "center",
    bands: int = 1,
    per_sample: bool = False,
) -> Batch:
    """Keep a band of frequencies of one clip and take the rest from another (the paper, section 3.1).

    With F frequencies, this draws lam ~ Beta(alpha, alpha) and r_y ~ U(0, F), and sets r_f = F lam. `position` defines
    the band that is kept:

    - "center": [r_y - r_f/2, r_y + r_f/2), clipped to [0, F);
    - "start": [r_y, r_y + r_f), clipped to [0, F);
    - "wrap": [r_y, r_y + r_f) modulo F;
    - "between": from the smaller of r_y and r_f to the larger one.

    The weight of the label is the fraction of bands that is kept after clipping.

    Args:
        x, y, rng: see above.
        alpha: parameter of the Beta distribution; 1 is the uniform distribution.
        position: position of the band, see above.
        bands: number of bands in a mask; each has its own r_y and a width of r_f / bands.
        per_sample: draw a mask for each sample instead of one for the batch.

    >>> x = torch.stack([torch.zeros(1, 4, 2), torch.ones(1, 4, 2)])  # two clips of four bands
    >>> mixed, labels = freqmix(x, torch.eye(2), np.random.default_rng(3))
    >>> mixed[:, 0, :, 0].tolist()  # each clip keeps its bands 1 to 3
    [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0]]
    >>> labels.tolist()
    [[0.75, 0.25], [0.25, 0.75]]
    """
    batch, _, frequencies, _ = x.shape
    order = rng.permutation(batch)
    masks = np.zeros((batch if per_sample else 1, frequencies), bool)
    for mask in masks:
        width = frequencies * rng.beta(alpha, alpha) / bands
        for _ in range(bands):
            mask |= band_mask(frequencies, rng.uniform(0, frequencies), width, position)
    return _blend(x, order, masks[:, None, :, None]), _blend(y, order, masks.mean(axis=1)[:, None])


def timemix(x: Tensor, y: Tensor, rng: np.random.Generator, alpha: float = 1.0) -> Batch:
    """Keep a range of frames of one clip and take the rest from another.

    This is `freqmix` with frames instead of bands, at the position "center": one range per batch. The weight of the
    label is the fraction of frames that is kept after clipping.

    >>> x = torch.stack([torch.zeros(1, 2, 4), torch.ones(1, 2, 4)])  # two clips of four frames
    >>> mixed, labels = timemix(x, torch.eye(2), np.random.default_rng(3))
    >>> mixed[:, 0, 0, :].tolist()  # each clip keeps its frames 1 to 3
    [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0]]
    >>> labels.tolist()
    [[0.75, 0.25], [0.25, 0.75]]
    """
    mixed, labels = freqmix(x.transpose(2, 3), y, rng, alpha)
    return mixed.transpose(2, 3), labels


def band_mask(frequencies: int, location: float, width: float, position: Position) -> NDArray[np.bool_]:
    """Return a mask (frequencies,) that is True inside the band that `freqmix` keeps.

    Args:
        frequencies: number of bands F.
        location, width: r_y and r_f of `freqmix`, from 0 to F.
        position: meaning of `location`, see `freqmix`.

    >>> band_mask(6, 1.0, 3.0, "start").astype(int).tolist()
    [0, 1, 1, 1, 0, 0]
    >>> band_mask(6, 5.0, 3.0, "wrap").astype(int).tolist()
    [1, 1, 0, 0, 0, 1]
    """
    index = np.arange(frequencies)
    if position == "wrap":
        inside: NDArray[np.bool_] = (index - location) % frequencies < width
        return inside
    low = {"center": location - width / 2, "start": location, "between": min(location, width)}[position]
    high = max(location, width) if position == "between" else low + width
    return (index >= low) & (index < high)


def mixup(
    x: Tensor,
    y: Tensor,
    rng: np.random.Generator,
    alpha: float = 0.3,
    domain: Literal["decibels", "power"] = "decibels",
    dominant: bool = False,
) -> Batch:
    """Return weighted means: x = lam x_A + (1 - lam) x_B with lam ~ Beta(alpha, alpha) for each sample.

    This is mixup (Zhang et al. 2018). `domain="power"` adds powers instead of decibels, as air does, after scaling both
    clips to the same peak level:

    x = p + 10 log10(lam 10^((x_A - p_A) / 10) + (1 - lam) 10^((x_B - p_B) / 10))

    p_A and p_B are the maxima of the clips, and p = lam p_A + (1 - lam) p_B. This is close to mixing waveforms
    (between-class learning, Tokozume et al. 2018). `dominant` takes max(lam, 1 - lam) for lam, as CP-ResNet (Koutini et
    al. 2019) does: sample i of the result is then mostly clip i.

    >>> x = torch.stack([torch.full((1, 1, 1), -20.0), torch.full((1, 1, 1), -40.0)])
    >>> mixed, labels = mixup(x, torch.eye(2), np.random.default_rng(3), alpha=1.0)
    >>> (100 * labels).round().int().tolist()
    [[86, 14], [53, 47]]
    >>> mixed.flatten().round().tolist()
    [-23.0, -29.0]
    """
    order = rng.permutation(len(x))
    lam = rng.beta(alpha, alpha, size=len(x))
    if dominant:
        lam = np.maximum(lam, 1 - lam)
    weight, y = lam[:, None, None, None], _blend(y, order, lam[:, None])
    if domain == "decibels":
        return _blend(x, order, weight), y
    peaks = x.amax((1, 2, 3), keepdim=True)
    power = _blend(10 ** ((x - peaks) / 10), order, weight)
    return _blend(peaks, order, weight) + 10 * torch.log10(power), y


def cutmix(x: Tensor, y: Tensor, rng: np.random.Generator, alpha: float = 1.0) -> Batch:
    """Paste a box in time and frequency of another clip (Yun et al. 2019).

    The box covers the fraction 1 - lam of the area, with lam ~ Beta(alpha, alpha). Its center is uniform and the box is
    clipped at the edges. The weight of the label is the area that is kept. A batch has one box.

    >>> x = torch.stack([torch.zeros(1, 3, 4), torch.ones(1, 3, 4)])
    >>> mixed, labels = cutmix(x, torch.eye(2), np.random.default_rng(4))
    >>> mixed[0, 0].tolist()
    [[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]]
    >>> labels[0].tolist()
    [0.5, 0.5]
    """
    frequencies, frames = x.shape[2:]
    order = rng.permutation(len(x))
    side = np.sqrt(1 - rng.beta(alpha, alpha))
    rows = band_mask(frequencies, rng.uniform(0, frequencies), frequencies * side, "center")
    columns = band_mask(frames, rng.uniform(0, frames), frames * side, "center")
    kept = ~(rows[:, None] & columns[None, :])
    return _blend(x, order, kept[None, None]), _blend(y, order, np.array([[kept.mean()]]))


def freq_mixstyle(
    x: Tensor, y: Tensor, rng: np.random.Generator, alpha: float = 0.3, probability: float = 1.0
) -> Batch:
    """Mix the mean and the standard deviation of each band between clips, and keep the labels.

    This is Freq-MixStyle (Schmid et al. 2022). These statistics, over channels and frames, depend on the microphone.
    With A a clip, B another one of the batch, and lam ~ Beta(alpha, alpha) for each sample, it returns

    x = mean + std (x_A - mean_A) / std_A, mean = lam mean_A + (1 - lam) mean_B, std = lam std_A + (1 - lam) std_B

    A constant band stays constant. `probability` is the fraction of the batches that it changes.

    >>> x = torch.tensor([[0.0, 2.0], [10.0, 18.0]]).reshape(2, 1, 1, 2)  # means 1 and 14, standard deviations 1 and 4
    >>> mixed, labels = freq_mixstyle(x, torch.eye(2), np.random.default_rng(2), alpha=1.0)
    >>> [[round(value, 2) for value in clip] for clip in mixed.flatten(1).tolist()]
    [[1.01, 3.62], [7.73, 14.37]]
    >>> labels.tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if rng.random() >= probability:
        return x, y
    order = rng.permutation(len(x))
    lam = rng.beta(alpha, alpha, size=(len(x), 1, 1, 1))
    variance, mean = torch.var_mean(x, dim=(1, 3), correction=0, keepdim=True)
    std = (variance + MIN_VARIANCE).sqrt()
    return (x - mean) * (_blend(std, order, lam) / std) + _blend(mean, order, lam), y


def random_choice(x: Tensor, y: Tensor, rng: np.random.Generator, mixers: Sequence[Mixer]) -> Batch:
    """Apply one of several mixers, drawn with equal probability for each batch."""
    return mixers[int(rng.integers(len(mixers)))](x, y, rng)


def compose(x: Tensor, y: Tensor, rng: np.random.Generator, mixers: Sequence[Mixer]) -> Batch:
    """Apply several mixers one after the other. Without any, the batch stays as it is."""
    for mixer in mixers:
        x, y = mixer(x, y, rng)
    return x, y


NO_MIXING: Mixer = partial(compose, mixers=())


def build_mixer(config: MixingConfig) -> Mixer:
    """Build the mixer that the settings describe.

    Freq-MixStyle is applied before the mixer that is drawn, so both may change a batch.

    >>> mixer = build_mixer(MixingConfig(combine="all", cutmix=True))
    >>> [part.func.__name__ for part in mixer.keywords["mixers"]]
    ['freqmix', 'mixup', 'cutmix']
    """
    if config.combine == "none":
        return NO_MIXING
    pool = [("freqmix", freqmix), ("timemix", timemix), ("mixup", mixup), ("cutmix", cutmix)]
    mixers = [_with_settings(mixer, name, config) for name, mixer in pool if getattr(config, name)]
    combine = random_choice if config.combine == "one_of" else compose
    mixer = partial(combine, mixers=mixers) if mixers else NO_MIXING
    if config.freq_mixstyle:
        return partial(compose, mixers=(_with_settings(freq_mixstyle, "freq_mixstyle", config), mixer))
    return mixer


def _with_settings(mixer: Callable[..., Batch], name: str, config: MixingConfig) -> Mixer:
    """Bind the arguments of a mixer; those of `mixup` are the settings `mixup_alpha` and so on."""
    options = {key.removeprefix(f"{name}_"): value for key, value in config if key.startswith(f"{name}_")}
    return partial(mixer, **options)


def _blend(values: Tensor, order: NDArray[np.int64], weight: NDArray[np.generic]) -> Tensor:
    """Return weight values + (1 - weight) values[order]; `weight` broadcasts against the values."""
    own = to_device(weight, values.device, values.dtype)
    return (own * values).add_(values.index_select(0, to_device(order, values.device)).mul_(1 - own))
