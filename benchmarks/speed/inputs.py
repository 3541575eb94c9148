"""Inputs of the speed benchmarks: synthetic recordings, and a model file with an untrained network."""

from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import nn

from scenelet.config import RunConfig
from scenelet.config.recipes import load_recipe
from scenelet.model.file import write_model
from scenelet.nn.convert import to_scene_model
from scenelet.nn.norm import BatchNorm, SubSpectralNorm
from scenelet.training.network import build_network

LABELS = ("indoor", "outdoor", "transportation")
RATE, SECONDS, FILES, BATCH = 48000, 10, 100, 10
MODEL, WEIGHTS, CLIP, FOLDER = "model.scn", "weights.pt", "clip.wav", "clips"
SHAPE = (2, 256, 431)


def settings() -> RunConfig:
    """Return the `paper` recipe: stereo, 22,050 Hz, 256 bands, mel bands of decibels, width 64, two sub-bands."""
    return load_recipe("paper", ["network.init=kaiming"])  # the recipe's give equal probabilities


def write_benchmark_model(folder: Path) -> None:
    """Write `model.scn`, and its weights for PyTorch. The norm statistics come from a batch of noise."""
    config = settings()
    bands = config.features.n_mels
    mean, deviation = (
        torch.linspace(-0.5, 0.5, bands),
        torch.linspace(0.8, 1.2, bands),
    )  # near those of the recordings
    network = build_network(config, len(LABELS), mean, deviation)
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, BatchNorm | SubSpectralNorm):
            module.momentum = 1.0  # one batch makes the statistics
    with torch.no_grad():
        network.train()(torch.randn(2, *SHAPE, generator=generator) * torch.linspace(0.5, 1.5, SHAPE[1])[:, None])
    network.eval()
    write_model(to_scene_model(network, LABELS, config.features, config.window, dtype="fp32"), folder / MODEL)
    torch.save(network.state_dict(), folder / WEIGHTS)


def load_weights(folder: Path) -> nn.Module:
    """Load the network of `model.scn` in PyTorch, with its standardization."""
    blank = torch.ones(settings().features.n_mels)
    network = build_network(settings(), len(LABELS), blank, blank)
    network.load_state_dict(torch.load(folder / WEIGHTS, weights_only=True))
    return network.eval()


def write_recordings(folder: Path) -> None:
    """Write `clip.wav` and the files of `clips`: 10 s of colored noise, stereo, 48 kHz, 24 bit, all different."""
    (folder / FOLDER).mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for index in range(FILES):
        soundfile.write(folder / FOLDER / f"{index:03}.wav", sound(rng, SECONDS), RATE, subtype="PCM_24")
    soundfile.write(folder / CLIP, sound(rng, SECONDS), RATE, subtype="PCM_24")


def write_long(path: Path, minutes: int) -> None:
    """Write a recording of `minutes`, like those of `write_recordings`."""
    minute = sound(np.random.default_rng(1), 60)
    with soundfile.SoundFile(path, "w", RATE, 2, subtype="PCM_24") as file:
        for _ in range(minutes):
            file.write(minute)


def sound(rng: np.random.Generator, seconds: int) -> np.ndarray:
    """Return noise (samples, 2) whose power falls towards high frequencies, as in real scenes."""
    white = rng.normal(0, 0.1, (seconds * RATE, 2))
    return np.asarray(white[:] + np.roll(white, 1, axis=0) + np.roll(white, 2, axis=0)) / 3
