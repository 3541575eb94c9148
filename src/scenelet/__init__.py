"""scenelet: small models that tell sounds and acoustic scenes apart.

`import scenelet` is light; what is big is loaded when it is first used, and PyTorch only by the
rooms that train.
"""

import os
from typing import TYPE_CHECKING, Any

from scenelet._version import __version__ as __version__

if TYPE_CHECKING:
    from scenelet.classifier import Classifier as Classifier
    from scenelet.classifier import Prediction as Prediction
    from scenelet.classifier import load as load
    from scenelet.workflows.estimator import SceneClassifier as SceneClassifier

# ONNX Runtime would report to its maker, and looks here once, when the first package loads it (torchmetrics is one)
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = ["Classifier", "Prediction", "SceneClassifier", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name in ("Classifier", "Prediction", "load"):
        from scenelet import classifier

        return getattr(classifier, name)
    if name == "SceneClassifier":
        return _scene_classifier()
    raise AttributeError(f"module 'scenelet' has no attribute {name!r}")


def _scene_classifier() -> Any:
    try:
        from scenelet.workflows.estimator import SceneClassifier
    except ModuleNotFoundError as error:
        from scenelet.errors import missing_extra

        raise missing_extra(error) or error from None
    return SceneClassifier
