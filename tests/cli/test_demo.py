"""Output of `scenelet demo`."""

from pathlib import Path

import numpy as np

from scenelet.cli.demo import answer_line
from scenelet.inference.prediction import Prediction


def test_answer_line_shows_the_three_most_probable_classes() -> None:
    probabilities = {"a": 0.1, "b": 0.6, "c": 0.05, "d": 0.25}
    line = answer_line(Path("x.wav"), Prediction("b", probabilities, np.zeros((0, 4), np.float32), unsure=False))
    assert line == "  x.wav  ->  b  (b 0.60, d 0.25, a 0.10)"
