"""The run folder's files, and whether there is a run in it; without PyTorch, so that it is known before that is loaded.

run.json         settings, seed, versions, data, labels
split.csv        which clip was on which side
checkpoints/     the last finished epoch (and the best one)
logs/            CSV and TensorBoard
model.pt         the final weights; written when training is done
warnings.json    what `scenelet check` says of the recordings
metrics.json     measured on the test split
curves.png       loss, rate and validation by epoch
diverged.json    where training diverged: the batch that did it
"""

from pathlib import Path

from scenelet.errors import RunError

WARNINGS = "warnings.json"
RECORD, SPLIT, WEIGHTS, METRICS, CURVES = "run.json", "split.csv", "model.pt", "metrics.json", "curves.png"
RESUME_HINT = "choose another --out, or go on with --resume"


def is_begun(folder: Path) -> bool:
    """Whether a run was begun there."""
    return (folder / RECORD).is_file()


def check_run_exists(folder: Path) -> None:
    """Check that there is a run.

    Raises:
        RunError: there is none.
    """
    if not is_begun(folder):
        raise RunError(f"{folder}: not a run folder (no {RECORD}); give the --out folder of `scenelet train`")


def check_folder_is_new(folder: Path, mend: str = "choose another --out", beside: Path | None = None) -> None:
    """Check that something can be begun there; `mend` says what to do where it cannot.

    Hidden files count for nothing, nor does `split.csv` without a run: a beginning that was killed leaves no more.

    Raises:
        RunError: something is there, other than the file `beside`.
    """
    kept = [folder / SPLIT] if folder.is_dir() and not is_begun(folder) else []
    kept += [] if beside is None else [beside.resolve()]

    def counts(path: Path) -> bool:
        return not path.name.startswith(".") and path not in kept and path.resolve() not in kept

    if folder.exists() and (not folder.is_dir() or any(map(counts, folder.iterdir()))):
        raise RunError(f"{folder}: exists already; {mend}")
