"""Reference pipeline in plain code: librosa's features, CP-ResNet in eager PyTorch, one clip after another.

CP-ResNet's features and network are those of Koutini et al., EUSIPCO 2019. fp32, the default memory layout, no
compilation. `python -m benchmarks.speed.reference FILE` is its `predict`.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from benchmarks.speed import inputs
from benchmarks.speed.plain_network import plain
from scenelet.nn import create_model

N_FFT, HOP, RATE, BANDS = 2048, 512, 22050, 256
Step = Callable[[], object]


def log_mel(path: Path, order: str) -> NDArray[np.float32]:
    """Return the log-mel (2, 256, frames) of a recording in dB, in either order of mel and decibels."""
    samples, _ = librosa.load(path, sr=RATE, mono=False)
    if order == "mel_then_db":
        mel = librosa.feature.melspectrogram(
            y=samples, sr=RATE, n_mels=BANDS, n_fft=N_FFT, hop_length=HOP, pad_mode="reflect"
        )
        return np.stack([librosa.power_to_db(channel, top_db=80.0) for channel in mel])
    matrix = librosa.filters.mel(sr=RATE, n_fft=N_FFT, n_mels=BANDS)
    frequencies = librosa.fft_frequencies(sr=RATE, n_fft=N_FFT)
    channels = []
    for channel in samples:
        power = np.abs(librosa.stft(channel, n_fft=N_FFT, hop_length=HOP, pad_mode="reflect")) ** 2
        with np.errstate(divide="ignore"):  # the weight of 0 Hz is -inf dB
            channels.append(matrix @ librosa.perceptual_weighting(power, frequencies, top_db=80.0))
    return np.stack(channels).astype(np.float32)


def training_step(network: nn.Module) -> Step:
    """Build one step on a batch of 10: forward, cross-entropy, backward, Adam."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(inputs.BATCH, *inputs.SHAPE, generator=generator)
    y = torch.randint(len(inputs.LABELS), (inputs.BATCH,), generator=generator)
    optimizer = torch.optim.Adam(network.train().parameters(), 1e-4)

    def step() -> None:
        optimizer.zero_grad()
        functional.cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def classify(network: nn.Module, path: Path) -> NDArray[np.float32]:
    """Return the probabilities (classes,) of a recording."""
    with torch.inference_mode():
        x = torch.from_numpy(log_mel(path, "db_then_mel"))[None]
        probabilities: NDArray[np.float32] = network(x).softmax(1)[0].numpy()
        return probabilities


def cp_resnet() -> nn.Module:
    """Create a plain CP-ResNet for three classes."""
    network = create_model("cp_resnet", num_classes=3, generator=torch.Generator().manual_seed(0))
    return plain(network).eval()


def build(row: str, folder: Path) -> Step:
    """Build the step that a row measures."""
    if row == "training":
        return training_step(cp_resnet())
    if row == "training_same":
        return training_step(plain(load_inner(folder)))
    if row in ("db_then_mel", "mel_then_db"):
        return lambda: log_mel(folder / inputs.CLIP, row)
    if row in ("int8", "waveform"):
        from benchmarks.speed import exported

        return exported.reference(row, folder / inputs.MODEL)
    network = cp_resnet()
    if row.startswith("file"):
        return lambda: classify(network, folder / inputs.CLIP)
    assert row.startswith("folder"), row
    files = sorted((folder / inputs.FOLDER).iterdir())
    return lambda: [classify(network, file) for file in files]


def load_inner(folder: Path) -> nn.Module:
    """Load `shared_resnet` of `model.scn` without its standardization."""
    inner = inputs.load_weights(folder).network
    assert isinstance(inner, nn.Module)
    return inner


if __name__ == "__main__":
    print(classify(cp_resnet(), Path(sys.argv[1])))
