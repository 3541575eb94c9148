"""A scikit-learn classifier of recordings. It runs the same `train` and `compress` as the command line."""

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from scenelet.config import RunConfig
from scenelet.config.recipes import load_recipe
from scenelet.config.run_folder import check_folder_is_new
from scenelet.data.background import add_background
from scenelet.data.load import load_table
from scenelet.data.write_csv import CLIPS, write_clip_csv
from scenelet.errors import AudioError, UsageError
from scenelet.export.model_card import model_card
from scenelet.inference.classifier import Classifier
from scenelet.model.file import encode_model, read_model
from scenelet.training.compression.compress import compress
from scenelet.training.compression.settings import compress_settings, read_changes
from scenelet.training.preflight import check_one_device
from scenelet.training.train import train
from scenelet.utils.console import quiet
from scenelet.utils.files import make_folder, replace_files
from scenelet.utils.text import first_few

Paths = Iterable[str | os.PathLike[str]]
MODEL = "model.scn"
"""Name of the model file in the run folder."""
_FITTING = threading.Lock()
"""Held by `fit`: the global generators are shared by all threads, and `torch.fx` traces one network at a time."""


class SceneClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """scikit-learn classifier of recordings: it trains a network, compresses it, and predicts with the result.

    The same clips, settings and seed give the same model, byte for byte on one machine's CPU. The order of the
    clips does not matter. Threads fit one after the other.

    Args:
        recipe: name of a recipe (`scenelet.config.recipes.list_recipes()`), or the path of a `.toml` file.
        settings: changes to the recipe, as for `scenelet train --set`: `{"schedule.epochs": 30}`.
        sparsity, max_bytes, dtype: as for `scenelet.training.compression.compress.compress`; None: the recipe's.
        run: new or empty folder in which the run is stored; None: a temporary folder.
        verbose: print messages and show progress on stderr, as the command line does.
        random_state: seed of training, or a `RandomState` to draw it from; None: the seed of the settings, which is the
            same every time.

    Attributes:
        classes_: (n_classes,) the classes, sorted.
        classifier_: `scenelet.Classifier` of the compressed model; its labels are the classes as text.

    >>> classifier = SceneClassifier("low_complexity", settings={"schedule.epochs": 30}, dtype="int8")
    >>> classifier.fit(paths, labels).predict(["new.wav"])  # doctest: +SKIP
    array(['park'], dtype='<U7')
    """

    def __init__(
        self,
        recipe: str | os.PathLike[str] = "default",
        *,
        settings: Mapping[str, Any] | None = None,
        sparsity: float | None = None,
        max_bytes: int | None = None,
        dtype: Literal["fp16", "fp32", "int8", "int4", "auto"] | None = None,
        run: str | os.PathLike[str] | None = None,
        verbose: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.recipe = recipe
        self.settings = settings
        self.sparsity = sparsity
        self.max_bytes = max_bytes
        self.dtype = dtype
        self.run = run
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X: Paths, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Train on all recordings, and compress.

        No test split is held out. A validation split is, if the settings ask for one or a byte limit needs it.

        Args:
            X: (n,) paths.
            y: (n,) labels: text, integers or booleans.
            groups: (n,) group of each recording, for example its location. A group is never divided between training
                and validation. None: each recording is a group.

        Raises:
            UsageError: invalid settings, another length of y, or fewer than two classes. It is a ValueError.
            AudioError: recordings do not exist or cannot be read.
            SceneletError: as `scenelet.training.train.train` and `scenelet.training.compression.compress.compress`.
        """
        classes, labels = _check_labels(y)
        paths = _check_paths(X)
        if len(labels) != len(paths):
            raise UsageError(f"X has {len(paths)} recordings and y {len(labels)} labels; give a label for each")
        group_names = None if groups is None else _check_groups(groups, len(paths))
        missing = [str(path) for path in paths if not path.is_file()]
        if missing:
            raise AudioError(f"{len(missing)} of {len(paths)} recordings do not exist ({first_few(missing)})")
        config = self._config()
        # layers draw unused initial weights from PyTorch's global generator, whose state belongs to the caller
        with _FITTING, quiet(not self.verbose), torch.random.fork_rng(devices=[]), self._folder() as folder:
            audio_dir = write_clip_csv(folder, paths, labels, group_names)
            table = add_background(load_table(folder / CLIPS, audio_dir), config.data)
            if table.background_clips:
                raise UsageError("data.background is a folder; give its recordings in X, with the label 'background'")
            train(table, folder, config, recipe=os.fspath(self.recipe))
            compress(folder, folder / MODEL)
            self.classifier_ = Classifier(read_model(folder / MODEL))
        self.classes_ = classes
        return self

    def predict_proba(self, X: Paths) -> NDArray[np.float32]:
        """Predict the probabilities (n, n_classes) of recordings, given as (n,) paths.

        The columns are sorted as `classes_`, and each row sums to 1.

        Raises:
            NotFittedError: the classifier is not fitted.
            AudioError: a recording cannot be read.
        """
        check_is_fitted(self, "classifier_")
        names = [str(label) for label in self.classes_]
        predictions = self.classifier_.predict_many(_check_paths(X))
        return np.array([[found.probabilities[name] for name in names] for found in predictions], np.float32)

    def predict(self, X: Paths) -> NDArray[Any]:
        """Predict the most probable class (n,) of each recording. Raises the errors of `predict_proba`."""
        probabilities = self.predict_proba(X)
        labels: NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
        return labels

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as `NAME.scn` and its model card as `NAME.md`. `scenelet.load` reads the model.

        Raises:
            NotFittedError: the classifier is not fitted.
            UsageError: the name does not end in `.scn`.
            OutputError: the files cannot be written.
        """
        check_is_fitted(self, "classifier_")
        out, model = Path(path), self.classifier_.model
        if out.suffix != ".scn":
            raise UsageError(f"{out}: a model file's name ends in .scn")
        make_folder(out.parent)
        file = encode_model(model)
        replace_files({out: file, out.with_suffix(".md"): model_card(model, out.stem, len(file))})

    def __sklearn_tags__(self) -> Tags:
        """Tell scikit-learn that X is a list of texts, the paths, and not a matrix of numbers."""
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def _config(self) -> RunConfig:
        if not isinstance(self.settings, Mapping | None):
            raise UsageError(f"settings is {self.settings!r}; give a mapping: {{'schedule.epochs': 30}}")
        if not isinstance(self.recipe, str | os.PathLike):
            raise UsageError(f"recipe is {self.recipe!r}; give a recipe's name, or the path of a TOML file")
        settings, state = dict(self.settings or {}), self.random_state
        if state is not None:
            if "seed" in settings:
                raise UsageError("random_state and settings['seed'] both set the seed; leave one out")
            settings["seed"] = state.randint(2**31 - 1) if isinstance(state, np.random.RandomState) else state
        config = load_recipe(os.fspath(self.recipe), settings)
        check_one_device(config, "SceneClassifier")
        changes = read_changes(sparsity=self.sparsity, max_bytes=self.max_bytes, dtype=self.dtype)
        return compress_settings(config, changes)

    @contextlib.contextmanager
    def _folder(self) -> Iterator[Path]:
        """Yield the run folder."""
        if self.run is None:
            with tempfile.TemporaryDirectory(prefix="scenelet-") as folder:
                yield Path(folder)
            return
        run = Path(self.run)
        check_folder_is_new(run, "choose another run, or None for a temporary one")
        make_folder(run)
        yield run


def _check_paths(recordings: Paths) -> list[Path]:
    if isinstance(recordings, str | bytes | os.PathLike):
        raise UsageError(f"X is one path ({os.fsdecode(recordings)}); give a list of paths")
    if getattr(recordings, "ndim", 1) != 1:
        raise UsageError("X has more than one dimension; give a list of paths")
    try:
        paths = [Path(recording) for recording in recordings]
    except TypeError as error:
        raise UsageError(f"X holds something other than paths ({error}); give the paths of recordings") from None
    if not paths:
        raise UsageError("X is empty; give the path of at least one recording")
    return paths


def _check_labels(y: ArrayLike) -> tuple[NDArray[Any], list[str]]:
    """Return the classes, sorted as scikit-learn does, and the label of each clip as text."""
    try:
        labels = column_or_1d(y, warn=True)
        assert_all_finite(labels, input_name="y")
        # NumPy turns a missing value in a list of text into the text "nan"
        if any(label is None or label != label for label in np.asarray(y, dtype=object).ravel()):
            raise ValueError("None or nan would form a class; give a label for every recording")
        check_classification_targets(labels)
        classes = np.unique(labels)
    except (TypeError, ValueError) as error:
        raise UsageError(f"y cannot be used as labels ({error})") from None
    if len(classes) < 2:
        found = f"only the class {classes[0]!s}" if len(classes) else "no class"
        raise UsageError(f"y holds {found}; a classifier needs two classes or more")
    return classes, [str(label) for label in labels]


def _check_groups(groups: ArrayLike, clips: int) -> list[str]:
    """Return the group of each clip as text."""
    values = list(np.asarray(groups, dtype=object).ravel())
    if any(value is None or value != value for value in values):
        raise UsageError(
            "groups holds None or nan, which would form a group; give a group for every recording, or none"
        )
    if len(values) != clips:
        raise UsageError(f"X has {clips} recordings and groups {len(values)}; give a group for each, or none")
    return [str(value) for value in values]
