"""Steps of scenelet that the speed benchmark times; `reference` has the plain versions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.speed import inputs
from scenelet.audio.log_mel import LogMel
from scenelet.audio.windows import windows
from scenelet.inference.classifier import load
from scenelet.training.losses import build_loss
from scenelet.training.module import SceneModule
from scenelet.training.network import build_network
from scenelet.training.precision import has_native_bf16
from scenelet.utils.parallel import cpu_count

Step = Callable[[], object]


def training_step() -> Step:
    """Build one training step on a batch of 10, as in `scenelet train --recipe paper` but without mixing."""
    config = inputs.settings()
    bands = config.features.n_mels
    network = build_network(config, len(inputs.LABELS), torch.zeros(bands), torch.ones(bands))
    loss = build_loss(config.loss, [1] * len(inputs.LABELS))
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(inputs.BATCH, *inputs.SHAPE, generator=generator)
    y = torch.eye(3)[torch.randint(3, (inputs.BATCH,), generator=generator)]
    module = SceneModule(network.train(), loss, config.schedule, lambda _: [(x, y)])  # type: ignore[arg-type,return-value]
    optimizer = module.configure_optimizers()["optimizer"]

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=has_native_bf16()):
            value = module.training_step((x, y), 0)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def log_mel(path: Path, order: str) -> Callable[[], NDArray[np.float32]]:
    """Return a step that computes the log-mel of the first window of a recording."""
    config = inputs.settings()
    features = config.features.model_copy(
        update={"log_before_mel": order == "db_then_mel", "a_weighting": order == "db_then_mel"}
    )
    transform = LogMel(features, cpu_count())

    def step() -> NDArray[np.float32]:
        cuts = windows(path, features, config.window, cpu_count())
        (log_mel,) = [transform(samples) for samples in cuts]
        return log_mel

    return step


def build(row: str, folder: Path) -> Step:
    """Build the step that a row measures."""
    if row in ("training", "training_same"):
        return training_step()
    if row in ("db_then_mel", "mel_then_db"):
        return log_mel(folder / inputs.CLIP, row)
    if row in ("int8", "waveform"):
        from benchmarks.speed import exported

        return exported.ours(row, folder / inputs.MODEL)
    classifier = load(folder / inputs.MODEL, runtime="openvino" if row.endswith("openvino") else "onnxruntime")
    if row.startswith("file"):
        return lambda: classifier.predict(folder / inputs.CLIP)
    assert row.startswith("folder"), row
    files = sorted((folder / inputs.FOLDER).iterdir())
    return lambda: list(classifier.predict_many(files))
