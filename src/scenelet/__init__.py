"""scenelet: small models that classify sounds and acoustic scenes.

- `load`, `Classifier`, `Prediction`: classify recordings and arrays with a `.scn` model
- `DeviceModels`: a model per recording device
- `Stream`: classify live audio
- `LogMel`: the log-mel features of a model
- `load_recipe`, `train`, `compress`, `evaluate`: from labelled recordings to a tested model file
- `SceneClassifier`: the same as a scikit-learn classifier
- `SceneletError` and its subclasses: errors that the user can fix

`import scenelet` is light: each name is loaded when it is first used. Only `train`, `compress` and `SceneClassifier`
import PyTorch.

>>> import scenelet
>>> scenelet.load("esc10").labels[:3]
('chainsaw', 'clock_tick', 'crackling_fire')
"""

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# ONNX Runtime reads this variable once, when the first package loads it. torchmetrics is one such package.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from scenelet.audio.log_mel import LogMel as LogMel
    from scenelet.config.recipes import load_recipe as load_recipe
    from scenelet.errors import AudioError as AudioError
    from scenelet.errors import DataError as DataError
    from scenelet.errors import MissingExtraError as MissingExtraError
    from scenelet.errors import ModelFileError as ModelFileError
    from scenelet.errors import OutputError as OutputError
    from scenelet.errors import RunError as RunError
    from scenelet.errors import SceneletError as SceneletError
    from scenelet.errors import UsageError as UsageError
    from scenelet.evaluation.evaluate import evaluate as evaluate
    from scenelet.inference.classifier import Classifier as Classifier
    from scenelet.inference.classifier import load as load
    from scenelet.inference.device_models import DeviceModels as DeviceModels
    from scenelet.inference.prediction import Prediction as Prediction
    from scenelet.inference.stream import Stream as Stream
    from scenelet.training.compression.compress import compress as compress
    from scenelet.training.estimator import SceneClassifier as SceneClassifier
    from scenelet.training.train import train as train

_MODULES = {
    "AudioError": "scenelet.errors",
    "Classifier": "scenelet.inference.classifier",
    "DataError": "scenelet.errors",
    "DeviceModels": "scenelet.inference.device_models",
    "LogMel": "scenelet.audio.log_mel",
    "MissingExtraError": "scenelet.errors",
    "ModelFileError": "scenelet.errors",
    "OutputError": "scenelet.errors",
    "Prediction": "scenelet.inference.prediction",
    "RunError": "scenelet.errors",
    "SceneClassifier": "scenelet.training.estimator",
    "SceneletError": "scenelet.errors",
    "Stream": "scenelet.inference.stream",
    "UsageError": "scenelet.errors",
    "compress": "scenelet.training.compression.compress",
    "evaluate": "scenelet.evaluation.evaluate",
    "load": "scenelet.inference.classifier",
    "load_recipe": "scenelet.config.recipes",
    "train": "scenelet.training.train",
}
__all__ = [
    "AudioError",
    "Classifier",
    "DataError",
    "DeviceModels",
    "LogMel",
    "MissingExtraError",
    "ModelFileError",
    "OutputError",
    "Prediction",
    "RunError",
    "SceneletError",
    "Stream",
    "UsageError",
    "__version__",
    "evaluate",
    "load",
    "load_recipe",
]  # without the names that need PyTorch, so that `from scenelet import *` works and is fast everywhere


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'scenelet' has no attribute {name!r}")
    try:
        module = importlib.import_module(_MODULES[name])
    except ModuleNotFoundError as error:
        from scenelet.errors import missing_extra

        missing = missing_extra(error)
        if missing is None:
            raise
        if sys._getframe(1).f_globals.get("__name__") == "importlib._bootstrap":  # `from scenelet import NAME`
            raise missing from None  # an AttributeError would become "cannot import name"
        raise AttributeError(str(missing), name=name, obj=sys.modules[__name__]) from None
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
