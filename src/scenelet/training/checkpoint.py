"""Checkpoints and weights: written completely or not at all, read as data, and checked before they are used."""

import hashlib
import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from scenelet.errors import RunError
from scenelet.utils.files import make_folder, replace_file

FIX = "delete it and resume with --resume, or train again"


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read the dictionary that `torch.save` wrote.

    Nothing in the file is executed, and loading takes no more memory than the file has bytes.

    Raises:
        RunError: the file cannot be read, is damaged, or was not written by `torch.save`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise RunError(f"{path}: damaged (it is compressed); {FIX}")
            if sum(entry.file_size for entry in entries) > path.stat().st_size:  # the same bytes are listed repeatedly
                raise RunError(f"{path}: damaged (it lists more than it holds); {FIX}")
            if (altered := archive.testzip()) is not None:  # PyTorch does not compare the CRCs
                raise RunError(f"{path}: damaged (its {altered} was altered); {FIX}")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except RunError:
        raise
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror or type(error).__name__})") from None
    except Exception as error:  # PyTorch passes on the errors of all libraries that it uses
        raise RunError(f"{path}: damaged ({type(error).__name__}); {FIX}") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise RunError(f"{path}: damaged (no named values); {FIX}")
    return content


def check_state_dict(path: Path, state: Any, expected: Mapping[str, Tensor]) -> None:
    """Check that the weights `state` from a file match a network: names, shapes, types, and finite values.

    Raises:
        RunError: the weights belong to another network, or are damaged.
    """
    if not isinstance(state, dict) or state.keys() != expected.keys():
        raise RunError(f"{path}: does not hold the weights of this run's network; {FIX}")
    for name, wanted in expected.items():
        found = state[name]
        if not isinstance(found, Tensor) or found.layout is not wanted.layout or found.dtype is not wanted.dtype:
            raise RunError(f"{path}: damaged ({name} has another type); {FIX}")
        if found.shape != wanted.shape or found.device.type != "cpu":
            raise RunError(f"{path}: its {name} has the shape {tuple(found.shape)}, not {tuple(wanted.shape)}; {FIX}")
        if not bool(torch.isfinite(found).all()):
            raise RunError(f"{path}: its {name} holds numbers that are not finite; {FIX}")


def check_checkpoint(path: Path, expected: Mapping[str, Tensor]) -> None:
    """Check a checkpoint before training resumes from it: its weights, and that nothing has changed it since.

    Lightning does not check what it reads. With a part that is missing, it would resume and end with other weights.

    Raises:
        RunError: as `read_checkpoint` and `check_state_dict`.
    """
    checkpoint = read_checkpoint(path)
    with zipfile.ZipFile(path) as archive:
        if archive.comment != _digest(archive):
            raise RunError(f"{path}: damaged (it was changed after training wrote it); {FIX}")
    check_state_dict(path, checkpoint.get("state_dict"), expected)


def encode_checkpoint(checkpoint: Mapping[str, Any]) -> bytes:
    """Return what `torch.save` writes, with a digest in the comment of the ZIP file, for `check_checkpoint`."""
    data = io.BytesIO()
    torch.save(checkpoint, data)
    with zipfile.ZipFile(data, "a") as archive:
        archive.comment = _digest(archive)
    return data.getvalue()


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning plugin that writes a checkpoint completely or not at all.

    Lightning itself writes into the temporary folder of the system. If that is on another disk, it then copies the file
    in pieces, and a killed process leaves an incomplete checkpoint behind.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Replace the file at `path` in one step."""
        make_folder(Path(path).parent)
        replace_file(Path(path), encode_checkpoint(checkpoint))

    def load_checkpoint(self, path: Any, *options: Any, **named: Any) -> dict[str, Any]:
        """Read the checkpoint, with the paths that it stores changed to its present folder.

        Without the change, a run whose folder was moved would lose its best epoch.
        """
        checkpoint: dict[str, Any] = super().load_checkpoint(path, *options, **named)
        folder = os.path.realpath(Path(path).parent)

        def moved(path: str) -> str:
            return os.path.join(folder, os.path.basename(path)) if path else path

        for state in checkpoint["callbacks"].values():
            if "best_model_path" in state:
                for key in ("best_model_path", "kth_best_model_path", "last_model_path"):
                    state[key] = moved(state[key])
                state["best_k_models"] = {moved(name): score for name, score in state["best_k_models"].items()}
                state["dirpath"] = folder
        return checkpoint


def _digest(archive: zipfile.ZipFile) -> bytes:
    """Return a digest of the entries. A CRC stands for the content of each; `read_checkpoint` has checked it."""
    entries = [(entry.filename, entry.file_size, entry.CRC) for entry in archive.infolist()]
    return hashlib.sha256(repr(entries).encode()).hexdigest().encode()
