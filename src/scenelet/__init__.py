"""scenelet: small models that classify sounds and acoustic scenes.

`import scenelet` is light. Each name below is loaded when it is first used, and only the names that train import PyTorch.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# ONNX Runtime reads this variable once, when the first package loads it. torchmetrics is one such package.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from scenelet.inference.classifier import Classifier as Classifier
    from scenelet.inference.classifier import load as load
    from scenelet.inference.prediction import Prediction as Prediction
    from scenelet.training.estimator import SceneClassifier as SceneClassifier

_MODULES = {
    "Classifier": "scenelet.inference.classifier",
    "Prediction": "scenelet.inference.prediction",
    "SceneClassifier": "scenelet.training.estimator",
    "load": "scenelet.inference.classifier",
}
__all__ = ["Classifier", "Prediction", "SceneClassifier", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'scenelet' has no attribute {name!r}")
    try:
        module = importlib.import_module(_MODULES[name])
    except ModuleNotFoundError as error:
        from scenelet.errors import missing_extra

        raise missing_extra(error) or error from None
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
