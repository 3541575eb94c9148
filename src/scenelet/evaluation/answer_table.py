"""Table of a data set's clips, in which the listening page replaces the labels that the user corrects."""

import hashlib
import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from scenelet.audio.segment import segment_name
from scenelet.data.clips import Clip, ClipTable
from scenelet.data.write_csv import fits_table
from scenelet.evaluation.clip_prediction import ClipPrediction

ANSWERS = "answers.csv"
"""File name under which the page saves the table."""


@dataclass(frozen=True)
class AnswerTable:
    """Rows of the table that the page saves.

    Attributes:
        folder: the folder that file names are relative to.
        columns: names of the columns.
        rows: values of each clip, by its name. Clips whose name or label does not fit a table are not in it.
        left_out: number of these clips.
        command: the command that trains a model on the saved table.
        key: hash of the rows and of the model's answers.
    """

    folder: Path
    columns: tuple[str, ...]
    rows: dict[str, list[str]]
    left_out: int
    command: str
    key: str

    def script_values(self, labels: Sequence[str]) -> dict[str, object]:
        """Collect the arguments of `collectAnswers`, which `utils/html/templates/answers/answers.js` documents."""
        return {
            "key": f"scenelet answers {self.key}",
            "labels": list(labels),
            "columns": self.columns,
            "rows": list(self.rows.values()),
            "command": self.command,
        }


def answer_table(table: ClipTable, predictions: Sequence[ClipPrediction], show_folder: bool = False) -> AnswerTable:
    """List all clips of a data set, with the columns that `train` needs to divide them as before.

    The table holds all clips and not only the answered ones. So a user trains on it alone, and the test clips stay the
    same.

    Args:
        table: the data set that was evaluated, all subsets of it.
        predictions: the model's answers.
        show_folder: name the folder of the recordings in the command. A page without links to them does not name it.

    >>> clips = [Clip(Path("data") / name, name, "rain", group=name) for name in ("a.wav", "b.wav")]
    >>> found = answer_table(ClipTable(Path("data"), "CSV clips.csv", tuple(clips)), [], show_folder=True)
    >>> found.columns, found.rows["b.wav"]
    (('filename', 'label', 'start', 'end'), ['b.wav', 'rain', '', ''])
    >>> found.command
    'scenelet train answers.csv --audio-dir data --out RUN'
    """
    folder, names = _relative_names(table)
    fitting = [
        (clip, name)
        for clip, name in zip(table.clips, names, strict=True)
        if fits_table("filename", name) and fits_table("label", clip.label)
    ]
    columns = {
        "filename": [name for _, name in fitting],
        "label": [clip.label for clip, _ in fitting],
        "start": [_times(clip)[0] for clip, _ in fitting],
        "end": [_times(clip)[1] for clip, _ in fitting],
        "group": ["" if clip.group == clip.recording_name else clip.group for clip, _ in fitting],
        "fold": [clip.fold or "" for clip, _ in fitting],
        "split": [clip.split or "" for clip, _ in fitting],
        "city": [clip.city or "" for clip, _ in fitting],
        "device": [clip.device or "" for clip, _ in fitting],
        "source": ["synthetic" if table.synthetic else ""] * len(fitting),
    }
    needed = {name: texts for name, texts in columns.items() if name in ("start", "end") or any(texts)}
    rows = [list(row) for row in zip(*needed.values(), strict=True)]
    shown = shlex.quote(str(folder)) if show_folder else "FOLDER"
    answers = [(prediction.name, prediction.predicted) for prediction in predictions]
    return AnswerTable(
        folder=folder,
        columns=tuple(needed),
        rows={clip.name: row for (clip, _), row in zip(fitting, rows, strict=True)},
        left_out=len(table.clips) - len(fitting),
        command=f"scenelet train {ANSWERS} --audio-dir {shown} --out RUN",
        key=hashlib.sha256(json.dumps([rows, answers]).encode()).hexdigest()[:16],
    )


def _times(clip: Clip) -> list[str]:
    """Return start and end of a part of a recording, or two empty texts for a complete recording."""
    if clip.start is None or clip.end is None:
        return ["", ""]
    return segment_name("", clip.start, clip.end).removeprefix("@").split("-")


def _relative_names(table: ClipTable) -> tuple[Path, list[str]]:
    """Return the folder of all recordings, and their names in it. It is the data's root if they are in the root."""
    try:
        return table.root, [clip.path.relative_to(table.root).as_posix() for clip in table.clips]
    except ValueError:  # the recordings of a TAU root are elsewhere, or a table has absolute names
        absolute = [os.path.abspath(clip.path) for clip in table.clips]
    try:
        folder = os.path.commonpath([os.path.dirname(path) for path in absolute])
    except ValueError:  # several drives: absolute names are valid in a table too
        return table.root, [PurePath(path).as_posix() for path in absolute]
    return Path(folder), [PurePath(path).relative_to(folder).as_posix() for path in absolute]
