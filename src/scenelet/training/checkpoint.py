"""What `torch.save` wrote, read as data: weights and checkpoints, whose shapes are checked before they are used."""

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scenelet.errors import RunError

NEEDED = {"epoch", "global_step", "state_dict", "loops", "optimizer_states", "lr_schedulers", "callbacks", "history"}
"""What a training is gone on with."""
MEND = "delete it and go on with --resume, or train again"


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The dictionary that a file holds. Nothing in it is executed, and it takes no more memory than the file has bytes.

    Raises:
        RunError: cannot be read, damaged, or no file that `torch.save` writes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise RunError(f"{path}: damaged (it is compressed); {MEND}")
        if sum(entry.file_size for entry in entries) > path.stat().st_size:  # one record listed again and again
            raise RunError(f"{path}: damaged (it lists more than it holds); {MEND}")
        found = torch.load(path, map_location="cpu", weights_only=True)
    except RunError:
        raise
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror or type(error).__name__})") from None
    except Exception as error:  # PyTorch's reader lets through whatever its parts raise
        raise RunError(f"{path}: damaged ({type(error).__name__}); {MEND}") from error
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise RunError(f"{path}: damaged (no named values); {MEND}")
    return found


def check_state_dict(path: Path, state: Any, expected: Mapping[str, Tensor]) -> None:
    """Check that the weights that a file holds are such as a network has: their names, shapes, types, and finite.

    Raises:
        RunError: they are of another network, or damaged.
    """
    if not isinstance(state, dict) or state.keys() != expected.keys():
        raise RunError(f"{path}: does not hold the weights of this run's network; {MEND}")
    for name, own in expected.items():
        its = state[name]
        if not isinstance(its, Tensor) or its.layout is not own.layout or its.dtype is not own.dtype:
            raise RunError(f"{path}: damaged ({name} is of another type); {MEND}")
        if its.shape != own.shape or its.device.type != "cpu":
            raise RunError(f"{path}: its {name} has the shape {tuple(its.shape)}, not {tuple(own.shape)}; {MEND}")
        if not bool(torch.isfinite(its).all()):
            raise RunError(f"{path}: its {name} holds numbers that are not finite; {MEND}")


def check_checkpoint(path: Path, expected: Mapping[str, Tensor]) -> None:
    """Check a checkpoint before it is gone on with: its weights, and the notes of its epochs.

    Raises:
        RunError: as `read_checkpoint` and `check_state_dict`.
    """
    found = read_checkpoint(path)
    missing = NEEDED - found.keys()
    if missing:  # Lightning would go on without some of them, and end elsewhere
        raise RunError(f"{path}: damaged (it has no {min(missing)}); {MEND}")
    check_state_dict(path, found["state_dict"], expected)
    history = found["history"]
    rows = history if isinstance(history, list) and history else [None]
    for row in rows:
        if not isinstance(row, dict) or not {"epoch", "rate", "loss", "seconds"} <= row.keys():
            raise RunError(f"{path}: damaged (the notes of its epochs); {MEND}")
        if not all(isinstance(value, int | float) and math.isfinite(value) for value in row.values()):
            raise RunError(f"{path}: damaged (the notes of its epochs); {MEND}")
