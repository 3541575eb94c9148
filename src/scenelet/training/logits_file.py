"""Files of a teacher's logits, made with any program: NumPy archives (`.npz`)."""

import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenelet.data.labels import normalize
from scenelet.errors import UsageError
from scenelet.utils.text import first_few, pluralize

ARRAYS = ("names", "labels", "logits")
FORMAT = "an .npz file with the arrays names (clips,), labels (classes,) and logits (clips, classes)"


def read_logits(
    path: Path, train: Sequence[str], held_out: Sequence[str], labels: Sequence[str]
) -> NDArray[np.float32]:
    """Read the logits of the training clips.

    The archive holds `names` (clips,), `labels` (classes,) and `logits` (clips, classes). Names are those of
    `split.csv`. The order of clips and of labels is free. `numpy.savez(path, names=..., labels=..., logits=...)`
    writes it. Nothing in the file is executed.

    Args:
        path: the file.
        train: names of the training clips.
        held_out: names of the clips that the file must not list. Its teacher may have been trained on them.
        labels: the classes.

    Returns:
        Logits (training clips, classes), in the order of `train` and `labels`.

    Raises:
        UsageError: the file cannot be read, is damaged, has other labels, lacks a training clip, or lists a clip that
            is held out.
    """
    names, found, logits = _read_arrays(path)
    if sorted(found) != sorted(labels):
        differing = {*found} ^ {*labels} or {label for label, count in Counter(found).items() if count > 1}
        raise UsageError(f"--teacher {path}: its labels are not those of the data (see {first_few(sorted(differing))})")
    rows = {name: row for row, name in enumerate(names)}
    if missing := [name for name in train if name not in rows]:
        raise UsageError(
            f"--teacher {path}: has no logits of {pluralize(len(missing), 'training clip')} ({first_few(missing)});"
            " add them, under the names in split.csv"
        )
    if leaked := [name for name in held_out if name in rows]:
        raise UsageError(
            f"--teacher {path}: lists {pluralize(len(leaked), 'clip')} held out here ({first_few(leaked)}); if its"
            " teacher was trained on them, they would leak into the test; otherwise remove them from the file"
        )
    columns = [found.index(label) for label in labels]
    return logits[[rows[name] for name in train]][:, columns]


def _read_arrays(path: Path) -> tuple[list[str], list[str], NDArray[np.float32]]:
    """Read names, labels and logits, and check their types and shapes."""
    if not path.is_file():
        raise UsageError(f"--teacher {path}: no such file; give a run folder, or {FORMAT}")
    try:
        with zipfile.ZipFile(path):  # NumPy also reads single arrays
            pass
        with np.load(path, allow_pickle=False) as archive:
            arrays: dict[str, NDArray[Any]] = {name: archive[name] for name in ARRAYS if name in archive}
    except Exception as error:  # NumPy passes on the errors of all libraries that it uses
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise UsageError(f"--teacher {path}: cannot be read ({reason}); give {FORMAT}") from error
    if missing := [name for name in ARRAYS if name not in arrays]:
        raise UsageError(f"--teacher {path}: has no array {missing[0]}; give {FORMAT}")
    for name in ("names", "labels"):
        if arrays[name].dtype.kind != "U" or arrays[name].ndim != 1:
            raise UsageError(f"--teacher {path}: its {name} are not a list of text; give {FORMAT}")
    names, labels, logits = [str(name) for name in arrays["names"]], arrays["labels"], arrays["logits"]
    if logits.dtype.kind != "f" or logits.shape != (len(names), len(labels)):
        raise UsageError(
            f"--teacher {path}: its logits are {logits.dtype} of the shape {logits.shape}, not floats of the shape"
            f" {(len(names), len(labels))} that its names and labels give"
        )
    if len({*names}) != len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise UsageError(f"--teacher {path}: lists {twice} twice; list each clip once")
    with np.errstate(over="ignore"):
        logits = logits.astype(np.float32)
    if not np.isfinite(logits).all():
        raise UsageError(f"--teacher {path}: its logits are not all finite")
    return names, [normalize(str(label)) for label in labels], logits
