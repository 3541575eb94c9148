"""Front end as ONNX operations: from the samples of one window to its log-mel.

    waveform (1, channels, n) -> [silent ends filled] -> padded -> STFT -> mel bands -> decibels -> log_mel

The steps are those of `scenelet.audio.log_mel.LogMel` and `scenelet.audio.windows.repeat_sound`, in the same order and
in float32. Resampling and cutting into windows are not included. If `n_fft` is not a power of two, ONNX Runtime uses a
less exact transform. The errors are then thousandths of a decibel, and hundredths in bands far below the others.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from scenelet.audio.log_mel import POWER_FLOOR, a_weighting_db, mel_matrix, window_function
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.model.ops import INPUT

if TYPE_CHECKING:
    import onnx

POWER = "power"
"""Input (channels, frames, n_fft // 2 + 1): `|STFT|^2`, or `|STFT|` if the setting `power` is 1."""
WAVEFORM = "waveform"
"""Input (1, channels, n), full scale +-1: a window at the model's rate, mono or left and right."""


class FrontendGraph:
    """Operations of the front end and their constants.

    Args:
        features: the model's feature settings.
        window: the model's window settings. None makes a graph without the steps before the mel bands. Its input is
            "power" in place of "waveform".

    Attributes:
        operations: in the order in which they run. The last one writes "log_mel" (1, channels, n_mels, frames).
        constants: arrays by name.
        samples: n of the input "waveform".

    >>> graph = FrontendGraph(FeatureConfig(channels="mono"), WindowConfig(seconds=1.0))
    >>> graph.samples, graph.operations[-1].output
    (22050, ['log_mel'])
    """

    def __init__(self, features: FeatureConfig, window: WindowConfig | None) -> None:
        self.features = features
        shape = features.sample_rate, features.n_fft, features.n_mels, features.fmin_hz, features.top_hz
        self.mel = mel_matrix(*shape)
        self.samples = window.samples(features.sample_rate) if window is not None else 0
        self.operations: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray[Any, Any]] = {}
        self._decibels(self._bands(POWER if window is None else self._power(self._arranged(window))))

    def _arranged(self, window: WindowConfig) -> str:
        """Arrange the channels of the samples, and fill silent ends."""
        value = self._mid_side(WAVEFORM) if self.features.channels == "mid-side" else WAVEFORM
        return self._repeat(value, window) if window.pad_mode == "repeat" else value

    def _mid_side(self, value: str) -> str:
        matrix = self._constant("mid_side", np.array([[0.5, 0.5], [0.5, -0.5]], np.float32))
        return self._add("MatMul", [matrix, value], "arranged")

    def _repeat(self, value: str, window: WindowConfig) -> str:
        """Fill the silent ends as `scenelet.audio.windows.repeat_sound` does."""
        n = self.samples
        shortest = window.min_sound_samples(self.features.sample_rate)
        absolute = self._add("Abs", [value], "absolute")
        level = self._add("ReduceMax", [absolute, self._integers("channel_axis", [1])], "level", keepdims=0)  # (1, n)
        peak = self._add("ReduceMax", [level], "peak", keepdims=1)  # (1, 1)
        ratio = self._constant("silence", np.float32(10 ** (-window.silence_threshold_db / 20)))
        threshold = self._add("Mul", [peak, ratio], "threshold")
        audible = self._add("Cast", [self._add("Greater", [level, threshold], "audible")], "audible_number", to=1)
        one, zero = self._integers("one", 1), self._integers("zero", 0)
        length, minimum = self._integers("length", n), self._integers("minimum", shortest)
        # in a silent window all values are equal, and the first and the last of them span the window
        start = self._scalar(self._add("ArgMax", [audible], "start_row", axis=1, keepdims=0), "start")
        stop_row = self._add("ArgMax", [audible], "stop_row", axis=1, keepdims=0, select_last_index=1)
        stop = self._add("Add", [self._scalar(stop_row, "last"), one], "stop")
        reach = self._add("Min", [self._add("Add", [start, minimum], "wanted"), length], "reach")
        end = self._add("Max", [stop, reach], "end")
        begin = self._add("Max", [self._add("Sub", [end, minimum], "before"), zero], "from")
        first = self._add("Min", [start, begin], "first")
        period = self._add("Sub", [end, first], "period")
        offset = self._add("Mod", [self._add("Range", [zero, length, one], "positions"), period], "offset")
        return self._add("Gather", [value, self._add("Add", [offset, first], "index")], "filled", axis=2)

    def _power(self, value: str) -> str:
        """Transform (1, channels, n) to (channels, frames, bins): |STFT|^2, or |STFT| if `power` is 1."""
        features, half = self.features, self.features.n_fft // 2
        pads = self._integers("pads", [0, 0, half, 0, 0, half])
        padded = self._add("Pad", [value, pads], "padded", mode="reflect")
        rows = self._integers("rows", [features.n_channels, self.samples + 2 * half, 1])
        signal = self._add("Reshape", [padded, rows], "signal")
        hop, frame = self._integers("hop", features.hop_length), self._integers("frame", features.n_fft)
        values = window_function(features.window_function, features.win_length or features.n_fft, features.n_fft)
        window = self._constant("window", values)
        spectrum = self._add("STFT", [signal, hop, window, frame], "spectrum", onesided=1)
        squares = self._add("Mul", [spectrum, spectrum], "squares")
        power = self._add("ReduceSum", [squares, self._integers("complex_axis", [3])], "power", keepdims=0)
        return self._add("Sqrt", [power], "magnitude") if features.power == 1 else power

    def _bands(self, power: str) -> str:
        """Transform (channels, frames, bins) to (channels, frames, n_mels): log10 of mel bands, or the reverse."""
        features = self.features
        matrix = self._constant("mel", np.ascontiguousarray(self.mel.T))
        if features.log_before_mel:
            return self._add("MatMul", [self._logarithm(power), matrix], "bands")
        return self._logarithm(self._add("MatMul", [power, matrix], "bands"))

    def _logarithm(self, value: str) -> str:
        """Take log10 of values, which are raised to `top_db` below the channel's maximum or to `POWER_FLOOR` first."""
        minimum = self._constant("minimum_power", np.float32(POWER_FLOOR))
        range_ = self._constant("range", np.float32(10 ** (-self.features.top_db / 10)))
        loudest = self._add("ReduceMax", [value, self._integers("bin_axes", [1, 2])], "loudest", keepdims=1)
        floor = self._add("Max", [self._add("Mul", [loudest, range_], "ranged"), minimum], "floor")
        natural = self._add("Log", [self._add("Max", [value, floor], "raised")], "natural")
        return self._add("Mul", [natural, self._constant("per_ten", np.float32(1 / np.log(10)))], "logarithm")

    def _decibels(self, bands: str) -> None:
        """Transform (channels, frames, n_mels) to decibels, "log_mel" (1, channels, n_mels, frames)."""
        features = self.features
        value = self._add("Mul", [bands, self._constant("ten", np.float32(10))], "decibels")
        if features.a_weighting:
            curve = self._constant("weighting", self.mel @ a_weighting_db(features.n_fft, features.sample_rate))
            value = self._add("Add", [value, curve], "weighted")
        transposed = self._add("Transpose", [value], "transposed", perm=(0, 2, 1))
        self._add("Unsqueeze", [transposed, self._integers("batch_axis", [0])], INPUT)

    def _add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        name = output if output == INPUT else f"front:{output}"
        self.operations.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def _scalar(self, value: str, output: str) -> str:
        return self._add("Squeeze", [value], output)

    def _integers(self, name: str, value: Any) -> str:
        return self._constant(name, np.asarray(value, np.int64))

    def _constant(self, name: str, value: Any) -> str:
        self.constants[f"front:{name}"] = np.asarray(value)
        return f"front:{name}"


def frontend_macs(features: FeatureConfig, samples: int) -> tuple[int, int]:
    """Count the multiply-accumulates of the front end for one window: those of the FFTs, and of the mel bands.

    A real frame takes about n_fft log2(n_fft). The mel bands count with the complete matrix (bins x bands), as the
    graph multiplies. Most of it is zeros, which an implementation on a microcontroller can skip.

    >>> frontend_macs(FeatureConfig(channels="mono", n_fft=1024, hop_length=512, n_mels=64), samples=22050)
    (450560, 1444608)
    """
    frames = features.n_channels * features.n_frames(samples)
    transforms = round(frames * features.n_fft * math.log2(features.n_fft))
    return transforms, frames * (features.n_fft // 2 + 1) * features.n_mels
