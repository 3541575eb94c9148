"""Bounds on the models that can be exported. An export needs far more memory than prediction."""

from scenelet.errors import ModelFileError
from scenelet.model.costs import peak_activation_size
from scenelet.model.scene_model import SceneModel

MAX_PARAMETERS = 1 << 22
"""Maximum count of parameters. As text in C, each takes about 100 bytes of memory."""
MAX_WINDOW_VALUES = 1 << 22
"""Maximum count of samples in a window, over all channels: 95 s of mono at 44.1 kHz. A comparison holds 12 windows."""
MAX_FRAME_VALUES = 1 << 24
"""Maximum count of numbers in the overlapping frames of a window, which the Fourier transforms of a graph hold."""
MAX_ACTIVATIONS = 1 << 24
"""Maximum count of numbers that a window needs in memory together."""


MISSING_RULE = "sounds below the model's minimum similarity are not unsure here, as they are in scenelet"
"""Note on the exports that lack the rule of `scenelet.model.known_sounds`."""


def check_exportable(model: SceneModel) -> None:
    """Check the memory that an export needs, also for a model file from an unknown source.

    Raises:
        ModelFileError: the model is too large to export. Prediction is still possible.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> check_exportable(read_model(built_in("esc10")))
    """
    features, samples = model.features, model.window.samples(model.features.sample_rate)
    needs = {
        "parameters": (sum(array.size for array in model.arrays.values()), MAX_PARAMETERS),
        "samples in a window": (features.n_channels * samples, MAX_WINDOW_VALUES),
        "numbers in the frames of a window": (
            features.n_channels * features.n_frames(samples) * features.n_fft,
            MAX_FRAME_VALUES,
        ),
        "numbers in memory for a window": (peak_activation_size(model.nodes, model.shapes()), MAX_ACTIVATIONS),
    }
    for what, (count, limit) in needs.items():
        if count > limit:
            raise ModelFileError(
                f"the model has {count:,} {what}, too many for an export (limit {limit:,});"
                " train one with shorter windows or fewer parameters"
            )
