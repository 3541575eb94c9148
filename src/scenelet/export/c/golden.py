"""Expected log-mel of a test signal, which a program in C compares with its own."""

import numpy as np
from numpy.typing import NDArray

from scenelet.audio.log_mel import LogMel
from scenelet.audio.samples import arrange_channels
from scenelet.audio.windows import repeat_sound
from scenelet.export.c.literals import c_numbers, c_table
from scenelet.model.scene_model import SceneModel

TONE_STEPS = 0x05000000, 0x13579BDF
"""Steps of the phases of the two tones. 2^32 is a full period."""


def golden_header(model: SceneModel) -> str:
    """Return a C header with the log-mel of `golden_signal` in the first, the middle and the last frame.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> golden_header(read_model(built_in("esc10"))).splitlines()[2:4]
    ['static const int golden_frames[] = {', '    0, 108, 215,']
    """
    window, rate = model.window, model.features.sample_rate
    mid_side = model.features.channels == "mid-side"
    signal = golden_signal(window.samples(rate), model.features.n_channels) * np.float32(2**-15)
    samples = arrange_channels(signal, "mid-side") if mid_side else signal
    if window.pad_mode == "repeat":
        samples = repeat_sound(samples, window.silence_threshold_db, window.min_sound_samples(rate))
    log_mel = LogMel(model.features)(samples)
    frames = np.unique([0, log_mel.shape[2] // 2, log_mel.shape[2] - 1])
    values = log_mel[:, :, frames].transpose(2, 1, 0).ravel()
    lines = [
        "/* Log-mel of the signal of test_frontend.c in some frames, dB, as training computes it.",
        "   The order is (frame, band, channel). */",
        *c_table("static const int golden_frames[]", c_numbers(frames)),
        *c_table("static const float golden_log_mel[]", c_numbers(values)),
    ]
    return "\n".join(lines) + "\n"


def golden_signal(n: int, channels: int) -> NDArray[np.int16]:
    """Return samples (channels, n) of noise and two tones with silent ends, made of integers as in `test_frontend.c`.

    >>> golden_signal(16, channels=1)[0, :4].tolist()
    [0, 0, 3566, 3492]
    """
    i, channel = np.arange(n, dtype=np.uint32), np.arange(channels, dtype=np.uint32)[:, None]
    noise = i * np.uint32(2654435761) + channel * np.uint32(40503)
    for shift, factor in ((15, 2246822519), (13, 3266489917)):
        noise = (noise ^ (noise >> np.uint32(shift))) * np.uint32(factor)
    low, high = (((i * np.uint32(step)) >> np.uint32(16)).astype(np.int32) for step in TONE_STEPS)
    tones = (np.abs(low - 32768) - 16384) // 4 + (np.abs(high - 32768) - 16384) // 64
    signal = (noise >> np.uint32(22)).astype(np.int32) - 512 + tones // (1 + channel.astype(np.int32))
    signal[:, : n // 8] = signal[:, n - n // 4 :] = 0
    return np.asarray(signal, np.int16)
