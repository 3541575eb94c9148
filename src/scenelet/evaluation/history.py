"""How a model's training went, as its run folder remembers it; read without PyTorch."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scenelet.config.run_folder import METRICS, RECORD, SPLIT
from scenelet.data.splits import split_csv_hash
from scenelet.errors import RunError
from scenelet.model.scene_model import SceneModel

ALSO = ("network", "mixing", "loss", "schedule")
"""Settings that a model file names too, since it was given them."""


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
        RunError: not a finished run, damaged, or of other labels, clips or settings than the model's.
    """
    for name in (RECORD, METRICS, SPLIT):
        if not (run / name).is_file():
            raise RunError(f"{run}: not a finished run (no {name}); give the --out folder of `scenelet train`")
    try:
        record: dict[str, Any] = json.loads((run / RECORD).read_bytes())
        config = record["config"]
        own = {"labels": record["labels"], "recipe": record["recipe"], "seed": config["seed"]}
        own |= {name: config[name] for name in ALSO}
        own["split"] = split_csv_hash((run / SPLIT).read_bytes())
        history = _Metrics.model_validate_json((run / METRICS).read_bytes()).history
    except (ValueError, KeyError, TypeError, RecursionError) as error:  # ValidationError and JSON's own are ValueErrors
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"
        raise RunError(f"{run}: its {RECORD} or {METRICS} is damaged ({reason}); leave --run out") from None
    known = model.provenance | {"labels": list(model.labels), "split": model.provenance.get("split_hash")}
    for name, its in own.items():
        if known.get(name, its if name in ALSO else None) != its:
            raise RunError(f"{run}: its {name} is not the model's; give the run that the model comes from")
    return history


def find_history(run: Path | None, model: SceneModel, path: Path) -> list[Epoch]:
    """`read_history` of `run`; None: of the folder that the model file lies in, if that is its run, else no epochs."""
    if run is not None:
        return read_history(run, model)
    try:
        return read_history(path.parent, model)
    except RunError:
        return []
