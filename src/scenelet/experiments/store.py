"""The store of trials: where their files are, under which keys, and the locks between processes.

A store is a folder:

trained/KEY/     run folder of a training; shared by the systems that differ only in their pruning. With
                 `reproduce --test-curve`, its test_curve.csv has the accuracy on the test clips after each epoch
finetuning/KEY/  checkpoints of a fine-tuning while it runs
models/KEY.scn   model file of a fine-tuned trial; KEY.csv: as test_curve.csv, for the fine-tuning
trials/KEY.json  results of a finished trial
locks/           locks, so that several processes can share a store

A key is a hash of the settings that differ from their defaults, and of the clips in each subset with their names,
labels, groups and file sizes. One of the settings is the precision that is used, never "auto". The key of a fine-tuned
trial also contains the version of the model file format. The same trial thus has the same key, and other settings or
clips have another one. The key does not depend on the software, whose versions are in `TrialResult.versions`.
"""

import contextlib
import functools
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from scenelet.config import PruneConfig, Settings
from scenelet.data.background import add_background
from scenelet.data.clips import ClipTable
from scenelet.data.splits import Split, make_split, split_hash
from scenelet.errors import BusyError, RunError
from scenelet.experiments.results import TrialResult
from scenelet.experiments.trial import Trial
from scenelet.model.file import FORMAT_VERSION
from scenelet.utils.files import make_folder, replace_file
from scenelet.utils.locks import file_lock

TEST_CURVE = "test_curve.csv"
KEY_VERSION = 1  # increase it if the same settings no longer give the same results, or if a default changes


class Store:
    """A folder of trials of the recordings `table`."""

    def __init__(self, folder: Path, table: ClipTable) -> None:
        self.folder, self.table = folder, table
        self._results: dict[Path, TrialResult] = {}
        self._clips_hash = functools.cache(
            lambda data, split: _clips_hash(make_split(add_background(table, data), split))
        )

    def read_result(self, trial: Trial) -> TrialResult | None:
        """Read the result of a trial; returns None if the trial is not finished.

        Raises:
            RunError: the file is damaged.
        """
        path = self._result_path(trial)
        if path not in self._results and path.is_file():  # a finished trial does not change, and is read often
            try:
                self._results[path] = TrialResult.model_validate_json(path.read_bytes())
            except ValidationError:
                raise RunError(f"{path}: damaged; delete it, and the trial is computed again") from None
        return self._results.get(path)

    def write_result(self, trial: Trial, result: TrialResult) -> None:
        """Write the result of a finished trial and delete the trial's temporary files.

        Raises:
            OutputError: the file cannot be written.
        """
        path = self._result_path(trial)
        make_folder(path.parent)
        replace_file(path, result.model_dump_json() + "\n")
        self.clean_up(trial)

    def clean_up(self, trial: Trial) -> None:
        """Delete the checkpoints of a finished trial's fine-tuning, which remain after a crash."""
        shutil.rmtree(self.finetuning_folder(trial), ignore_errors=True)

    @contextlib.contextmanager
    def lock(self, trial: Trial, wait: bool) -> Iterator[bool]:
        """Lock the trial's training for this process; gives False if another process has it and `wait` is False."""
        with contextlib.ExitStack() as held:
            path = self.folder / "locks" / self._training_key(trial)
            try:
                held.enter_context(file_lock(path, "" if wait else f"{path}: is held by another process"))
            except BusyError:
                yield False
            else:
                yield True

    def run_folder(self, trial: Trial) -> Path:
        """Return the run folder of the trial's training, which may not exist yet."""
        return self.folder / "trained" / self._training_key(trial)

    def finetuning_folder(self, trial: Trial) -> Path:
        """Return the folder of the trial's fine-tuning, which may not exist."""
        return self.folder / "finetuning" / self._key(trial)

    def model_path(self, trial: Trial) -> Path:
        """Return the path of a fine-tuned trial's model file."""
        return self.folder / "models" / f"{self._key(trial)}.scn"

    def curve_path(self, trial: Trial) -> Path:
        """Return the path of the test accuracy after each epoch of the trial's last training."""
        if trial.fine_tuned:
            return self.folder / "models" / f"{self._key(trial)}.csv"
        return self.run_folder(trial) / TEST_CURVE

    def _result_path(self, trial: Trial) -> Path:
        return self.folder / "trials" / f"{self._key(trial)}.json"

    def _key(self, trial: Trial) -> str:
        fine_tuning = [_changed_settings(trial.config.prune), FORMAT_VERSION] if trial.fine_tuned else [None]
        return _hash(self._training_key(trial), *fine_tuning)

    def _training_key(self, trial: Trial) -> str:
        training = trial.config.model_copy(update={"prune": PruneConfig()})
        teachers = [self._training_key(teacher) for teacher in trial.teachers]
        return _hash(self._clips_hash(trial.config.data, trial.config.split), _changed_settings(training), *teachers)


def _changed_settings(settings: Settings) -> dict[str, Any]:
    """List the settings that differ from their defaults, so that a later version's new settings change no key."""
    return settings.model_dump(mode="json", exclude_defaults=True)


def _clips_hash(split: Split) -> str:
    """Hash the names, labels, groups and file sizes of each subset's clips."""
    sizes = [clip.path.stat().st_size for subset in (split.train, split.validation, split.test) for clip in subset]
    return _hash(split_hash(split), sizes)


def _hash(*values: Any) -> str:
    return hashlib.sha256(json.dumps([KEY_VERSION, *values], sort_keys=True).encode()).hexdigest()[:16]
