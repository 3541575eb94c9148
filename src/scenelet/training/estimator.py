"""A scikit-learn classifier of recordings, over the same `train` and `compress` that the command line runs."""

import contextlib
import os
import tempfile
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
from scenelet.data.write_csv import CLIPS, write_clip_csv
from scenelet.errors import AudioError, UsageError
from scenelet.export.model_card import model_card
from scenelet.inference.classifier import Classifier
from scenelet.model import file as modelfile
from scenelet.training.compression.compress import compress, prune_settings
from scenelet.training.preflight import check_one_device
from scenelet.training.train import train
from scenelet.utils.console import quiet
from scenelet.utils.files import make_folder, replace_files
from scenelet.utils.text import first_few

Paths = Iterable[str | os.PathLike[str]]
MODEL = "model.scn"  # in the run folder


class SceneClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Train on recordings, compress, predict.

    The same clips, settings and seed give the same model, byte for byte on one machine's CPU, in whatever order the
    clips are given.

    Args:
        recipe: a name of `scenelet.config.recipes.list_recipes()`, or the path of a `.toml` file.
        settings: on top of the recipe, as `scenelet train --set`: `{"schedule.epochs": 30}`.
        sparsity, budget, dtype: as in `scenelet.training.compression.compress.compress`; budget in bytes; None: the recipe's.
        run: a folder for the run, which is kept; None: a temporary one. It must be new or empty.
        verbose: talk and show bars on stderr, as the command line does.
        random_state: the seed of training, or a RandomState to draw it from; None: that of the settings, so the
            same each time.

    Attributes:
        classes_: (n_classes,) the classes, sorted.
        classifier_: the `scenelet.Classifier` of the compressed model; its labels are the classes as text.
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
        """Train on all of the recordings, and compress.

        None is held out for a test; a validation share is, where the settings ask for one or a budget needs it.

        Args:
            X: (n,) paths.
            y: (n,) labels: text, whole numbers or booleans.
            groups: (n,) what was recorded together, which a validation share never parts; None: each alone.

        Raises:
            UsageError: settings that are none, another length of y, or fewer than two classes. It is a ValueError.
            AudioError: recordings that do not exist or cannot be read.
            SceneletError: as `scenelet.training.train.train` and `scenelet.training.compression.compress.compress`.
        """
        classes, labels = _classes(y)
        paths = _paths(X)
        if len(labels) != len(paths):
            raise UsageError(f"X has {len(paths)} recordings and y {len(labels)} labels; give a label for each")
        of_clips = None if groups is None else list(np.asarray(groups, dtype=object).ravel())
        if of_clips is not None and any(group is None or group != group for group in of_clips):
            raise UsageError("groups holds None or nan, which would be one group; give every recording's, or none")
        named = None if of_clips is None else [str(group) for group in of_clips]
        if named is not None and len(named) != len(paths):
            raise UsageError(f"X has {len(paths)} recordings and groups {len(named)}; give a group for each, or none")
        absent = [str(path) for path in paths if not path.is_file()]
        if absent:
            raise AudioError(f"{len(absent)} of {len(paths)} recordings do not exist ({first_few(absent)})")
        config = self._config()
        # layers draw first weights that are not used from PyTorch's own generator; the caller's draws stay as they were
        with quiet(not self.verbose), torch.random.fork_rng(devices=[]), self._folder() as folder:
            audio_dir = write_clip_csv(folder, paths, labels, named)
            train(folder / CLIPS, folder, config, recipe=os.fspath(self.recipe), audio_dir=audio_dir, talk=self.verbose)
            compress(folder, folder / MODEL)
            self.classifier_ = Classifier(modelfile.read_model(folder / MODEL))
        self.classes_ = classes
        return self

    def predict_proba(self, X: Paths) -> NDArray[np.float32]:
        """Paths (n,) -> (n, n_classes), columns as in `classes_`, rows that sum to 1.

        Raises:
            NotFittedError: before `train`.
            AudioError: a recording that cannot be read.
        """
        check_is_fitted(self, "classifier_")
        names = [str(label) for label in self.classes_]
        predictions = self.classifier_.predict_many(_paths(X))
        return np.array([[found.probabilities[name] for name in names] for found in predictions], np.float32)

    def predict(self, X: Paths) -> NDArray[Any]:
        """Paths (n,) -> (n,), the most probable of `classes_` each. Raises as `predict_proba`."""
        probabilities = self.predict_proba(X)
        labels: NDArray[Any] = self.classes_[probabilities.argmax(axis=1)]
        return labels

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as `NAME.scn`, and its card beside it as `NAME.md`; `scenelet.load` reads the model.

        Raises:
            NotFittedError: before `train`.
            UsageError: another ending.
            OutputError: they cannot be written.
        """
        check_is_fitted(self, "classifier_")
        out, model = Path(path), self.classifier_.model
        if out.suffix != ".scn":
            raise UsageError(f"{out}: a model file's name ends in .scn")
        make_folder(out.parent)
        file = modelfile.encode_model(model)
        replace_files({out: file, out.with_suffix(".md"): model_card(model, out.stem, len(file))})

    def __sklearn_tags__(self) -> Tags:
        """Of scikit-learn: what goes in are texts, one a recording, and not a table of numbers."""
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
                raise UsageError("random_state and settings['seed'] both say the seed; leave one out")
            settings["seed"] = state.randint(2**31 - 1) if isinstance(state, np.random.RandomState) else state
        config = load_recipe(os.fspath(self.recipe), settings)
        check_one_device(config, "SceneClassifier")
        prune = prune_settings(config.prune, self.sparsity, self.max_bytes, self.dtype)
        return config.model_copy(update={"prune": prune})

    @contextlib.contextmanager
    def _folder(self) -> Iterator[Path]:
        """The run folder."""
        if self.run is None:
            with tempfile.TemporaryDirectory(prefix="scenelet-") as folder:
                yield Path(folder)
            return
        run = Path(self.run)
        check_folder_is_new(run, "choose another run, or None to keep none")
        make_folder(run)
        yield run


def _paths(recordings: Paths) -> list[Path]:
    if isinstance(recordings, str | bytes | os.PathLike):
        raise UsageError(f"X is one path ({os.fsdecode(recordings)}); give a list of paths")
    if getattr(recordings, "ndim", 1) != 1:
        raise UsageError("X has more than one dimension; give the paths of recordings, one after the other")
    try:
        paths = [Path(one) for one in recordings]
    except TypeError as error:
        raise UsageError(f"X holds something else than paths ({error}); give the paths of recordings") from None
    if not paths:
        raise UsageError("X is empty; give the path of a recording at least")
    return paths


def _classes(y: ArrayLike) -> tuple[NDArray[Any], list[str]]:
    """The classes, sorted as scikit-learn does, and each clip's as text."""
    try:
        given = column_or_1d(y, warn=True)
        assert_all_finite(given, input_name="y")
        check_classification_targets(given)
        classes = np.unique(given)
    except (TypeError, ValueError) as error:
        raise UsageError(f"y cannot be used as labels ({error})") from None
    if len(classes) < 2:
        held = f"the class {classes[0]!s} alone" if len(classes) else "no class"
        raise UsageError(f"y holds {held}; a classifier needs two classes or more")
    return classes, [str(one) for one in given]
