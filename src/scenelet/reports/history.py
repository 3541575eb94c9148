"""How a model's training went, as its run folder remembers it; read without PyTorch."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scenelet.errors import RunError
from scenelet.modelfile import SceneModel

RECORD, METRICS = "run.json", "metrics.json"


class Epoch(BaseModel):
    """What a run notes of an epoch."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    epoch: int
    loss: float
    rate: float
    validation_log_loss: float | None = None
    validation_macro_accuracy: float | None = Field(None, ge=0, le=1)


class _Metrics(BaseModel):
    model_config = ConfigDict(extra="ignore")

    history: list[Epoch] = Field(min_length=1)


def read_history(run: Path, model: SceneModel) -> list[Epoch]:
    """The epochs of the run that a model was compressed from.

    Raises:
        RunError: not a finished run, damaged, or of another recipe, seed or labels than the model's.
    """
    for name in (RECORD, METRICS):
        if not (run / name).is_file():
            raise RunError(f"{run}: not a finished run (no {name}); give the --out folder of `scenelet train`")
    try:
        record: dict[str, Any] = json.loads((run / RECORD).read_bytes())
        own = record["labels"], record["recipe"], record["config"]["seed"]
        history = _Metrics.model_validate_json((run / METRICS).read_bytes()).history
    except (ValueError, KeyError, TypeError) as error:  # ValidationError and JSON's own are ValueErrors
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"
        raise RunError(f"{run}: its {RECORD} or {METRICS} is damaged ({reason}); leave --run out") from None
    known = list(model.labels), model.provenance.get("recipe"), model.provenance.get("seed")
    for name, ours, its in zip(("labels", "recipe", "seed"), known, own, strict=True):
        if ours != its:
            raise RunError(f"{run}: its {name} are not the model's ({its} and {ours}); give the run it comes from")
    return history


def find_history(run: Path | None, model: SceneModel, path: Path) -> list[Epoch]:
    """`read_history` of `run`; None: of the folder that the model file lies in, if that is its run, else no epochs."""
    if run is not None:
        return read_history(run, model)
    try:
        return read_history(path.parent, model)
    except RunError:
        return []
