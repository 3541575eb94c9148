"""A labeled clip with its predicted probabilities, the unit of every evaluation and comparison."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from scenelet.audio.segment import Segment, part
from scenelet.data.clips import Clip

FROM_CLIP = ("name", "label", "group", "city", "fold", "device", "path", "start", "end")


@dataclass(frozen=True)
class ClipPrediction:
    """A labeled clip and a model's prediction for it.

    A pydantic model that holds clip predictions reads and writes them as JSON, without `path`, times, `windows` and
    `is_known`.

    >>> clip = Clip(Path("a.wav"), "a.wav", label="rain", group="garden")
    >>> prediction = ClipPrediction.from_clip(clip, ["rain", "sea"], [0.4, 0.6])
    >>> prediction.predicted, prediction.is_correct
    ('sea', False)
    """

    name: str  # in its data set
    label: str
    predicted: str  # the most probable class
    probabilities: tuple[float, ...]  # (classes,) in the order of the model's labels
    group: str  # clips of one group were recorded together
    city: str | None = None
    fold: str | None = None  # of the data's own cross-validation
    device: str | None = None  # that recorded the clip
    path: Annotated[Path | None, Field(exclude=True)] = None
    start: Annotated[float | None, Field(exclude=True)] = None  # times of a part of the recording, in seconds
    end: Annotated[float | None, Field(exclude=True)] = None
    windows: Annotated[tuple[tuple[float, ...], ...], Field(exclude=True)] = ()  # (windows, classes) probabilities
    is_known: Annotated[bool, Field(exclude=True)] = True  # it is not silent, and like a class of the model

    @classmethod
    def from_clip(
        cls,
        clip: Clip,
        labels: Sequence[str],
        probabilities: Sequence[float],
        windows: Sequence[Sequence[float]] = (),
        is_known: bool = True,
    ) -> "ClipPrediction":
        """Join a clip with its probabilities; the first of the highest ones gives the predicted class."""
        best = max(range(len(labels)), key=probabilities.__getitem__)
        own = {name: getattr(clip, name) for name in FROM_CLIP}
        rows = tuple(map(tuple, windows))
        return cls(predicted=labels[best], probabilities=tuple(probabilities), windows=rows, is_known=is_known, **own)

    def is_sure(self, threshold: float) -> bool:
        """Return whether `predict` gives the answer as sure, with a minimum probability."""
        return self.is_known and max(self.probabilities) >= threshold

    @property
    def recording(self) -> Path | Segment:
        """Sound of the clip, for every function that reads a recording. The path must be known."""
        assert self.path is not None
        return part(self.path, self.start, self.end)

    @property
    def is_correct(self) -> bool:
        """True if the predicted class is the clip's label."""
        return self.predicted == self.label
