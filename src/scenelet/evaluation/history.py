"""The training history of a model, read from its run folder without PyTorch."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from scenelet.config.run_folder import METRICS, RECORD, SPLIT
from scenelet.data.splits import split_csv_hash
from scenelet.errors import RunError
from scenelet.model.scene_model import SceneModel

COMPARED_SETTINGS = ("network", "mixing", "loss", "schedule")
"""Sections of the run's settings that are compared with the model file if it stores them."""


class Epoch(BaseModel, extra="ignore", frozen=True, allow_inf_nan=False):
    """Metrics of one epoch of training, counted from 1; those on validation clips only if there are any."""

    epoch: int
    loss: float
    rate: float
    validation_log_loss: float | None = None
    validation_macro_accuracy: float | None = Field(None, ge=0, le=1)


class _Metrics(BaseModel, extra="ignore"):
    history: list[Epoch]


def read_history(run: Path, model: SceneModel) -> list[Epoch]:
    """Read the epochs of the run that a model comes from.

    Raises:
        RunError: the run is not finished, is damaged, or has other labels, clips or settings than the model.
    """
    for name in (RECORD, METRICS, SPLIT):
        if not (run / name).is_file():
            raise RunError(f"{run}: not a finished run (no {name}); give the --out folder of `scenelet train`")
    try:
        record: dict[str, Any] = json.loads((run / RECORD).read_bytes())
        config = record["config"]
        own = {"labels": record["labels"], "recipe": record["recipe"], "seed": config["seed"]}
        own |= {name: config[name] for name in COMPARED_SETTINGS}
        own["split"] = split_csv_hash((run / SPLIT).read_bytes())
        history = _Metrics.model_validate_json((run / METRICS).read_bytes()).history
    except (ValueError, KeyError, TypeError, RecursionError) as error:  # ValidationError and JSON's own are ValueErrors
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"
        raise RunError(f"{run}: its {RECORD} or {METRICS} is damaged ({reason}); leave out --run") from None
    known = model.provenance | {"labels": list(model.labels), "split": model.provenance.get("split_hash")}
    for name, value in own.items():
        if known.get(name, value if name in COMPARED_SETTINGS else None) != value:
            raise RunError(f"{run}: its {name} differs from the model's; give the run that the model comes from")
    return history


def find_history(run: Path | None, model: SceneModel, path: Path) -> list[Epoch]:
    """Read the training history of a model, if it can be found.

    Without `run`, this looks into the folder of the model file `path`. There are no epochs if that is another run's.

    Raises:
        RunError: as `read_history`, if a run is given.
    """
    if run is not None:
        return read_history(run, model)
    try:
        return read_history(path.parent, model)
    except RunError:
        return []
