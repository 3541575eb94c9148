"""The benchmark of the host's share prepares the same batches on both sides."""

import numpy as np
import torch

from benchmarks.speed import host_share
from scenelet.training.window_loader import WindowLoader


def test_batch_seconds_times_each_batch_of_the_epochs() -> None:
    clips = host_share.labelled_features(25, (2, 8, 12))
    assert (clips.features.values.shape, clips.features.values.dtype) == ((25, 2, 8, 12), np.float16)
    for loader in (WindowLoader(clips.features), WindowLoader(clips.features, torch.device("meta"), resident=True)):
        seconds = host_share.batch_seconds(clips, "default", loader, epochs=2)
        assert len(seconds) == 2 * 3
        assert min(seconds) > 0
