"""Results of a network or a model file on clips whose features are cached."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from scenelet.data.feature_cache import ClipFeatures
from scenelet.evaluation.metrics import classification_report
from scenelet.inference.classifier import Classifier
from scenelet.training.batches import LabelledFeatures
from scenelet.training.probabilities import clip_probabilities, mean_over_windows


def evaluate_network(network: nn.Module, clips: LabelledFeatures, labels: tuple[str, ...]) -> dict[str, Any]:
    """Return accuracies, log loss and confusion matrix of a PyTorch network, see `classification_report`."""
    return classification_report(clips.targets, clip_probabilities(network, clips.features), labels)


def file_probabilities(classifier: Classifier, features: ClipFeatures) -> NDArray[np.float32]:
    """Return the probabilities (clips, classes) of a model file, from cached features (fp16)."""
    return mean_over_windows(file_windows(classifier, features), features.count)


def file_windows(classifier: Classifier, features: ClipFeatures) -> NDArray[np.float32]:
    """Return the probabilities (windows, classes) of a model file, sorted by clip, from cached features (fp16)."""
    return np.concatenate([classifier.probabilities(features.load(np.array([row]))) for row in features.rows()])
