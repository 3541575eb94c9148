"""From a run's record of its data to the features of its training, validation and test sides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from scenelet.config import RunConfig
from scenelet.data.clips import Clip, ClipTable
from scenelet.data.feature_cache import ClipFeatures, band_statistics, load_features
from scenelet.data.load import load_table
from scenelet.data.splits import Split, make_split, split_groups
from scenelet.errors import UsageError
from scenelet.evaluation.metrics import classification_report
from scenelet.inference.classifier import Classifier
from scenelet.training.batches import LabelledFeatures, class_indices
from scenelet.training.probabilities import clip_probabilities, mean_over_windows
from scenelet.training.run_record import DataRecord
from scenelet.utils.console import print_message


@dataclass(frozen=True)
class Dataset:
    """The features of a data set's sides; validation and test are None when empty."""

    source: DataRecord
    split: Split
    labels: tuple[str, ...]
    train: LabelledFeatures
    validation: LabelledFeatures | None
    test: LabelledFeatures | None

    def held_out(self) -> Iterator[tuple[str, LabelledFeatures]]:
        """The sides that are not trained on, by name."""
        for name, clips in (("validation", self.validation), ("test", self.test)):
            if clips is not None:
                yield name, clips

    def band_statistics(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and deviation (n_mels,) of the training side."""
        return band_statistics(self.train.features)


def load_dataset(source: DataRecord, config: RunConfig, cache_dir: Path | None, talk: bool = True) -> Dataset:
    """Recognize the data, split it, and load its features, computing what is not cached.

    Args:
        source: where the recordings lie.
        config: features, window and split.
        cache_dir: of the feature cache; None: `scenelet.utils.files.cache_folder()`.
        talk: say what was recognized, and what about the split flatters a result.

    Raises:
        SceneletError: as `load_table`, `make_split` and `load_features`.
    """
    audio_dir = None if source.audio_dir is None else Path(source.audio_dir)
    table = load_table(Path(source.path), audio_dir, source.tau_3_class)
    split = make_split(table, config.split)
    if talk:
        _say_what_was_found(table, split, config)
    clips = (*split.train, *split.validation, *split.test)
    features = load_features(clips, table.root, config.features, config.window, cache_dir)
    targets = class_indices(clips, table.labels)

    def part(start: int, count: int) -> LabelledFeatures | None:
        if count == 0:
            return None
        chosen = slice(start, start + count)
        some = ClipFeatures(features.values, features.first[chosen], features.count[chosen])
        return LabelledFeatures(some, targets[chosen], len(table.labels), tuple(clip.name for clip in clips[chosen]))

    train = part(0, len(split.train))
    assert train is not None  # make_split refuses a class without training clips
    validation = part(len(split.train), len(split.validation))
    test = part(len(split.train) + len(split.validation), len(split.test))
    seen = source.model_copy(
        update={"description": table.describe(), "synthetic": table.synthetic, "license": table.license}
    )
    return Dataset(seen, split, table.labels, train, validation, test)


def _say_what_was_found(table: ClipTable, split: Split, config: RunConfig) -> None:
    print_message(table.describe())
    print_message(split.description)
    shared = {clip.group for clip in split.train} & {clip.group for clip in split.test}
    if shared:
        print_message(
            f"warning: {len(shared)} groups are in training and in test, so the test is easier than new places are"
        )
    if len(table.groups) == len(table.clips) and (split.validation or split.test):
        print_message(
            "warning: no groups are given; several clips of one place may lie on both sides, and flatter the test"
        )
    if config.split.fold is None and config.split.city is None and len(table.folds) > 1:
        print_message("warning: the data's folds are not used; --fold holds one out")


def hold_out_validation(dataset: Dataset, fraction: float, seed: int) -> Dataset:
    """The same data with a validation side of whole groups of the training side, near `fraction` of each class's clips.

    Raises:
        UsageError: the training side has too few groups.
    """
    kept, cut = split_groups(dataset.split.train, fraction, [seed, 3], every_class=False)
    if not cut or len({clip.label for clip in kept}) < len(dataset.labels):
        raise UsageError(
            "the training side has too few recordings to choose a number format by; name one (--dtype int8, or"
            ' prune.dtype = "int8")'
        )
    place = {clip.name: index for index, clip in enumerate(dataset.split.train)}

    def part(clips: Sequence[Clip]) -> LabelledFeatures:
        return subset(dataset.train, np.array([place[clip.name] for clip in clips]))

    split = replace(dataset.split, train=kept, validation=cut)
    return replace(dataset, split=split, train=part(kept), validation=part(cut))


def subset(clips: LabelledFeatures, rows: NDArray[np.integer]) -> LabelledFeatures:
    """Those at the places `rows`, in their order."""
    features = ClipFeatures(clips.features.values, clips.features.first[rows], clips.features.count[rows])
    names = tuple(clips.names[row] for row in rows) if clips.names else ()
    return LabelledFeatures(features, clips.targets[rows], clips.classes, names)


def evaluate_network(network: nn.Module, clips: LabelledFeatures, labels: tuple[str, ...]) -> dict[str, Any]:
    """Accuracies, log loss and confusion of the PyTorch network on some clips."""
    return classification_report(clips.targets, clip_probabilities(network, clips.features), labels)


def file_probabilities(classifier: Classifier, features: ClipFeatures) -> NDArray[np.float32]:
    """(clips, classes): what a model file says of clips, from their cached features (fp16)."""
    windows = [classifier.probabilities(features.load(np.array([row]))) for row in features.rows()]
    return mean_over_windows(np.concatenate(windows), features.count)
