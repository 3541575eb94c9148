"""One cell of a comparison: a system trained on one side of the data and measured on the other, never twice.

A store is a folder:

trained/KEY/     the run folder of a training; shared by the rows that differ only in their pruning
tuning/KEY/      checkpoints of a fine-tuning, while it runs
models/KEY.scn   the model file of a cell that was fine-tuned
cells/KEY.json   what a finished cell measured
locks/           so that several processes can work on one store

A key is a hash of the settings that are not at their defaults, and of each side's clips: names, labels, groups and
bytes; that of a fine-tuned cell, also of the version of model files. So the same cell is found again, and other
settings or other clips are another cell. It knows nothing else of the software; `TrialResult.versions` does.
"""

import contextlib
import functools
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from scenelet.config import PruneConfig, RunConfig, Settings
from scenelet.config import run_folder as runs
from scenelet.data.clips import ClipTable
from scenelet.data.splits import Split, make_split, split_hash
from scenelet.errors import BusyError, DataError, RunError
from scenelet.experiments.results import ClipOutcome, TrialResult
from scenelet.experiments.systems import SystemTable
from scenelet.inference.classifier import Classifier
from scenelet.model import file as modelfile
from scenelet.model.sizes import file_parts, sizes
from scenelet.nn.convert import to_scene_model
from scenelet.nn.quantize import WeightFormat
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.batches import LabelledFeatures, epoch_batches
from scenelet.training.compression.build_model import build_model
from scenelet.training.dataset import Dataset, load_dataset
from scenelet.training.loop import CHECKPOINTS, LOGS
from scenelet.training.measure import file_probabilities
from scenelet.training.network import load_network
from scenelet.training.probabilities import clip_probabilities
from scenelet.training.train import train
from scenelet.utils.files import make_folder, replace_file
from scenelet.utils.locks import file_lock

WHOLE: WeightFormat = "fp32"  # of a network that is stored as it was trained
FORMAT = 1  # raise it when the same settings no longer give the same results, or when a default changes


@dataclass(frozen=True)
class Trial:
    """What is to be computed.

    Attributes:
        row: name of the system.
        held_out: the fold, folds (1+2) or city that is tested on; "" for the data's own split.
        seed: of the training.
        config: everything else; it holds the fold or city and the seed too.
        tuned: whether the network is pruned (or kept whole) and fine-tuned after training.
        teacher: whose network teaches this one.
    """

    row: str
    held_out: str
    seed: int
    config: RunConfig
    tuned: bool
    teacher: "Trial | None" = None


def make_trial(
    systems: SystemTable, row: str, recipe: str, held_out: str = "", seed: int = 0, cities: bool = False
) -> Trial:
    """The cell of a table's row; `held_out` is a fold, several (1+2), or a city with `cities`.

    Raises:
        UsageError: as `SystemTable.config`.
    """
    chosen = next(one for one in systems.rows if one.name == row)
    config = systems.config(chosen, recipe)
    place = {"fold": None, "city": None, "city" if cities else "fold": held_out or None}
    split = config.split.model_copy(update=place)
    config = config.model_copy(update={"split": split, "seed": seed})
    teacher = None
    if chosen.teacher is not None:
        teacher = make_trial(systems, chosen.teacher, recipe, held_out, seed, cities)
    return Trial(row, held_out, seed, config, systems.fine_tuned(chosen), teacher)


class Store:
    """Where finished cells lie, and the data they are of.

    Args:
        folder: the store.
        table: the clips.
        cache_dir: of the feature cache; None: `scenelet.utils.files.cache_folder()`.
    """

    def __init__(self, folder: Path, table: ClipTable, cache_dir: Path | None = None) -> None:
        self.folder, self.table, self.cache_dir = folder, table, cache_dir
        self._clips = functools.cache(lambda split: _clips(make_split(table, split)))

    def result(self, cell: Trial) -> TrialResult | None:
        """The finished cell, or None.

        Raises:
            RunError: its file is damaged.
        """
        path = self._result_path(cell)
        if not path.is_file():
            return None
        try:
            return TrialResult.model_validate_json(path.read_bytes())
        except ValidationError:
            raise RunError(f"{path}: damaged; delete it, and the cell is computed again") from None

    def run_folder(self, cell: Trial) -> Path:
        """The run folder of the cell's training, whether it is there yet or not."""
        return self.folder / "trained" / self._training_key(cell)

    @contextlib.contextmanager
    def lock(self, cell: Trial, wait: bool) -> Iterator[bool]:
        """Hold the cell's training for this process; gives False where another one holds it, unless `wait`."""
        with contextlib.ExitStack() as held:
            ours = True
            try:
                lock = self.folder / "locks" / self._training_key(cell)
                held.enter_context(file_lock(lock, "" if wait else f"{lock}: is held by another process"))
            except BusyError:
                ours = False
            yield ours

    def compute(self, cell: Trial, description: str) -> TrialResult:
        """Train, fine-tune and measure a cell, going on from what an interrupted call left.

        Raises:
            SceneletError: data or settings cannot be used, or the training diverged.
        """
        config = cell.config
        dataset = load_dataset(self.table, config, self.cache_dir, verbose=False)
        if dataset.test is None:
            raise DataError(f"{self.table.path}: its split has no test clips to measure on")
        minutes = self._train(cell, dataset, description)
        record = runs.read_record(self.run_folder(cell))
        network = load_network(self.run_folder(cell), record)
        epochs = config.schedule.epochs
        tuned: dict[str, Any] = {}
        if cell.tuned:
            record = record.model_copy(update={"config": config.model_copy(update={"prune": _stored(config.prune)})})
            what = f"{description}, fine-tuned"
            finished = build_model(network, record, dataset, self._tuning_folder(cell), what, verbose=False)
            file, settings = finished.file, finished.compression.settings
            epochs, minutes = epochs + settings.epochs, minutes + finished.compression.minutes
            make_folder(self.folder / "models")
            replace_file(self.model_path(cell), file)
            model, answers = finished.model, finished.probabilities["test"]
            tuned = {
                "dtype": settings.dtype,
                "sparsity": settings.sparsity,
                "file_parts": asdict(file_parts(model, file)),
                **_beside_the_file(network, dataset.test, answers),
            }
        else:
            file = modelfile.encode_model(
                to_scene_model(network, dataset.labels, config.features, config.window, dtype=WHOLE)
            )
            model = modelfile.decode_model(file, description)
            answers = file_probabilities(Classifier(model), dataset.test.features)
        result = TrialResult(
            held_out=cell.held_out,
            seed=cell.seed,
            labels=dataset.labels,
            train_counts=tuple(dataset.train.class_counts()),
            parameters=model.counts.parameters,
            parameters_kept=model.counts.parameters_kept,
            bytes=sizes(model, len(file)),
            steps=epochs * len(epoch_batches(dataset.train, config)(0)),
            minutes=minutes,
            versions=runs.versions(),
            clips=_outcomes(answers, dataset),
            **tuned,
        )
        make_folder(self.folder / "cells")
        replace_file(self._result_path(cell), result.model_dump_json() + "\n")
        self.clean_up(cell)
        return result

    def clean_up(self, cell: Trial) -> None:
        """Delete the checkpoints of a finished cell's fine-tuning; a kill may have left them."""
        shutil.rmtree(self._tuning_folder(cell), ignore_errors=True)

    def _train(self, cell: Trial, dataset: Dataset, description: str) -> float:
        """Train into the cell's run folder unless it holds a finished run; returns the minutes that it took."""
        config, run = cell.config, self.run_folder(cell)
        if not (run / runs.METRICS).is_file():
            teacher = None
            if cell.teacher is not None:
                teacher = self.run_folder(cell.teacher)
                with self.lock(cell.teacher, wait=True):
                    same = _data_settings(cell.teacher.config) == _data_settings(config)
                    own = dataset if same else load_dataset(self.table, cell.teacher.config, self.cache_dir, False)
                    self._train(cell.teacher, own, f"{cell.teacher.row}, teacher of {description}")
            train(
                dataset,
                run,
                config.model_copy(update={"prune": PruneConfig()}),
                recipe="reproduce",
                resume=True,
                teacher=teacher,
                cache_dir=self.cache_dir,
                description=description,
                verbose=False,
            )
        for name in (CHECKPOINTS, LOGS):  # several times the size of the weights
            shutil.rmtree(run / name, ignore_errors=True)
        return float(runs.read_metrics(run)["minutes"])

    def _tuning_folder(self, cell: Trial) -> Path:
        return self.folder / "tuning" / self._key(cell)

    def model_path(self, cell: Trial) -> Path:
        """The model file of a cell whose network was fine-tuned."""
        return self.folder / "models" / f"{self._key(cell)}.scn"

    def _result_path(self, cell: Trial) -> Path:
        return self.folder / "cells" / f"{self._key(cell)}.json"

    def _key(self, cell: Trial) -> str:
        tuned = [_settings(cell.config.prune), modelfile.FORMAT_VERSION] if cell.tuned else [None]
        return _hash(self._training_key(cell), *tuned)

    def _training_key(self, cell: Trial) -> str:
        untouched = cell.config.model_copy(update={"prune": PruneConfig()})
        taught = [] if cell.teacher is None else [self._training_key(cell.teacher)]
        return _hash(self._clips(cell.config.split), _settings(untouched), *taught)


def _data_settings(config: RunConfig) -> tuple[Settings, ...]:
    """Return the settings that decide what a loaded data set holds."""
    return config.features, config.window, config.split


def _stored(settings: PruneConfig) -> PruneConfig:
    """A network that is fine-tuned and neither pruned nor rounded is stored whole, to be compared with others."""
    if settings.max_bytes is None and settings.sparsity == 0 and settings.dtype == "fp16":
        return settings.model_copy(update={"dtype": WHOLE})
    return settings


def _settings(settings: Settings) -> dict[str, Any]:
    """Without those that are at their defaults: a setting that a later version adds leaves a key as it is."""
    return settings.model_dump(mode="json", exclude_defaults=True)


def _clips(split: Split) -> str:
    """Of each side's clips: names, labels, groups and bytes."""
    sizes = [clip.path.stat().st_size for side in (split.train, split.validation, split.test) for clip in side]
    return _hash(split_hash(split), sizes)


def _hash(*values: Any) -> str:
    return hashlib.sha256(json.dumps([FORMAT, *values], sort_keys=True).encode()).hexdigest()[:16]


def _beside_the_file(
    network: StandardizedNetwork, clips: LabelledFeatures, answers: NDArray[np.float32]
) -> dict[str, Any]:
    """How far the network, as fine-tuning left it, is from what its file answers to the same clips."""
    trained = clip_probabilities(network, clips.features)
    return {
        "file_difference": float(np.abs(trained - answers).max()),
        "other_labels": int((trained.argmax(1) != answers.argmax(1)).sum()),
    }


def _outcomes(probabilities: NDArray[np.float32], dataset: Dataset) -> tuple[ClipOutcome, ...]:
    return tuple(
        ClipOutcome(
            name=clip.name,
            label=clip.label,
            group=clip.group,
            city=clip.city,
            fold=clip.fold,
            probabilities=tuple(row),
        )
        for clip, row in zip(dataset.split.test, probabilities.tolist(), strict=True)
    )
