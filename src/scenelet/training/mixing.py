"""Mixers: combine pairs of clips of a training batch, and their labels.

`x` is a tensor (batch, channel, frequency, time) and `y`, the label weights, a tensor (batch, classes) on the same
device; `rng` is a `numpy.random.Generator`. A mixer returns new (x, y). Sample i is mixed with sample `order[i]` of a
random permutation.
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
    return _blend(x, y, order, masks[:, None, :, None], masks.mean(axis=1))


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
    if domain == "decibels":
        return _blend(x, y, order, lam[:, None, None, None], lam)
    peaks = x.amax((1, 2, 3), keepdim=True)
    level, y = _blend(peaks, y, order, lam[:, None, None, None], lam)
    power, _ = _blend(10 ** ((x - peaks) / 10), y, order, lam[:, None, None, None], lam)
    return level + 10 * torch.log10(power), y


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
    return _blend(x, y, order, kept[None, None], np.array([kept.mean()]))


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

    >>> mixer = build_mixer(MixingConfig(combine="all", cutmix=True))
    >>> [part.func.__name__ for part in mixer.keywords["mixers"]]
    ['freqmix', 'mixup', 'cutmix']
    """
    mixers = []
    for name, mixer in (("freqmix", freqmix), ("mixup", mixup), ("cutmix", cutmix)):
        if getattr(config, name):  # the settings `mixup_alpha` and so on are the arguments of the mixer
            options = {key.removeprefix(f"{name}_"): value for key, value in config if key.startswith(f"{name}_")}
            mixers.append(partial(mixer, **options))
    if config.combine == "none" or not mixers:
        return NO_MIXING
    return partial(random_choice if config.combine == "one_of" else compose, mixers=mixers)


def _blend(
    x: Tensor, y: Tensor, order: NDArray[np.int64], weight: NDArray[np.generic], label_weight: NDArray[np.float64]
) -> tuple[Tensor, Tensor]:
    """Blend each sample with the sample `order` names: weight x + (1 - weight) x[order], and the labels alike.

    `weight` broadcasts against x; `label_weight` has the shape (batch,) or (1,).
    """
    other = to_device(order, x.device)

    def blended(values: Tensor, own: Tensor) -> Tensor:
        return (own * values).add_(values.index_select(0, other).mul_(1 - own))

    return (
        blended(x, to_device(weight, x.device, x.dtype)),
        blended(y, to_device(label_weight[:, None], y.device, y.dtype)),
    )
