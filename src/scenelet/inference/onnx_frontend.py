"""Samples of one window -> log-mel as ONNX operations: what `audio` and `features` do, inside a graph.

    waveform (1, channels, n) -> [silent ends filled] -> padded -> STFT -> mel bands -> decibels -> log_mel

The same steps in the same order as `scenelet.audio.log_mel.LogMel` and `scenelet.audio.windows.repeat_sound`, in float32. Resampling
and cutting into windows stay outside. With an `n_fft` that is no power of two ONNX Runtime transforms by another
algorithm, which is less exact: thousandths of a decibel, hundredths in bands far below the others.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from scenelet.audio.log_mel import POWER_FLOOR, a_weighting_db, mel_matrix, taper
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.model.ops import INPUT

if TYPE_CHECKING:
    import onnx

WAVEFORM = "waveform"
"""Input (1, channels, n), full scale +-1: a window at the model's rate, one channel for mono, else left and right."""


class FrontendGraph:
    """The operations of the front end and the constants they need.

    Args:
        features: a model's feature settings.
        window: its window rule.

    Attributes:
        operations: in the order in which they run; the last one writes "log_mel" (1, channels, n_mels, frames).
        constants: arrays by name.
        samples: n of the input.
    """

    def __init__(self, features: FeatureConfig, window: WindowConfig) -> None:
        self.features, self.window = features, window
        shape = features.sample_rate, features.n_fft, features.n_mels, features.fmin_hz, features.top_hz
        self.mel = mel_matrix(*shape)
        self.samples = window.samples(features.sample_rate)
        self.operations: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray[Any, Any]] = {}
        value = WAVEFORM
        if features.channels == "mid-side":
            value = self._mid_side(value)
        if window.pad_mode == "repeat":
            value = self._repeat(value)
        self._decibels(self._bands(self._power(value)))

    def _mid_side(self, value: str) -> str:
        matrix = self._constant("mid_side", np.array([[0.5, 0.5], [0.5, -0.5]], np.float32))
        return self._add("MatMul", [matrix, value], "arranged")

    def _repeat(self, value: str) -> str:
        """Fill the silent ends; see `scenelet.audio.windows.repeat_sound`."""
        n = self.samples
        least = max(1, round(self.window.min_sound_seconds * self.features.sample_rate))
        absolute = self._add("Abs", [value], "absolute")
        level = self._add("ReduceMax", [absolute, self._whole("channel_axis", [1])], "level", keepdims=0)  # (1, n)
        peak = self._add("ReduceMax", [level], "peak", keepdims=1)  # (1, 1)
        share = self._constant("silence", np.float32(10 ** (-self.window.silence_threshold_db / 20)))
        threshold = self._add("Mul", [peak, share], "threshold")
        heard = self._add("Cast", [self._add("Greater", [level, threshold], "heard")], "heard_number", to=1)
        one, zero = self._whole("one", 1), self._whole("zero", 0)
        length, at_least = self._whole("length", n), self._whole("at_least", least)
        # where nothing is heard, the first and the last of the equal values: the whole window
        start = self._scalar(self._add("ArgMax", [heard], "start_row", axis=1, keepdims=0), "start")
        stop_row = self._add("ArgMax", [heard], "stop_row", axis=1, keepdims=0, select_last_index=1)
        stop = self._add("Add", [self._scalar(stop_row, "last"), one], "stop")
        reach = self._add("Min", [self._add("Add", [start, at_least], "wanted"), length], "reach")
        end = self._add("Max", [stop, reach], "end")
        begin = self._add("Max", [self._add("Sub", [end, at_least], "before"), zero], "from")
        first = self._add("Min", [start, begin], "first")
        period = self._add("Sub", [end, first], "period")
        places = self._add("Mod", [self._add("Range", [zero, length, one], "places"), period], "turn")
        return self._add("Gather", [value, self._add("Add", [places, first], "index")], "filled", axis=2)

    def _power(self, value: str) -> str:
        """(1, channels, n) -> (channels, frames, bins): |STFT|^2, or |STFT|."""
        features, half = self.features, self.features.n_fft // 2
        pads = self._whole("pads", [0, 0, half, 0, 0, half])
        padded = self._add("Pad", [value, pads], "padded", mode="reflect")
        rows = self._whole("rows", [features.n_channels, self.samples + 2 * half, 1])
        signal = self._add("Reshape", [padded, rows], "signal")
        shape = taper(features.window_function, features.win_length or features.n_fft, features.n_fft)
        steps = [self._whole("hop", features.hop_length), self._constant("taper", shape)]
        frame = self._whole("frame", features.n_fft)
        spectrum = self._add("STFT", [signal, *steps, frame], "spectrum", onesided=1)
        squares = self._add("Mul", [spectrum, spectrum], "squares")
        power = self._add("ReduceSum", [squares, self._whole("complex_axis", [3])], "power", keepdims=0)
        return self._add("Sqrt", [power], "magnitude") if features.power == 1 else power

    def _bands(self, power: str) -> str:
        """(channels, frames, bins) -> (channels, frames, n_mels): log10 of mel bands, or mel bands of log10."""
        features = self.features
        matrix = self._constant("mel", np.ascontiguousarray(self.mel.T))
        if features.log_before_mel:
            return self._add("MatMul", [self._logarithm(power), matrix], "bands")
        return self._logarithm(self._add("MatMul", [power, matrix], "bands"))

    def _logarithm(self, value: str) -> str:
        """log10 of what is raised to the floor: `top_db` below the channel's maximum, or the absolute one."""
        least = self._constant("least", np.float32(POWER_FLOOR))
        range_ = self._constant("range", np.float32(10 ** (-self.features.top_db / 10)))
        loudest = self._add("ReduceMax", [value, self._whole("bin_axes", [1, 2])], "loudest", keepdims=1)
        floor = self._add("Max", [self._add("Mul", [loudest, range_], "ranged"), least], "floor")
        natural = self._add("Log", [self._add("Max", [value, floor], "raised")], "natural")
        return self._add("Mul", [natural, self._constant("per_ten", np.float32(1 / np.log(10)))], "logarithm")

    def _decibels(self, bands: str) -> None:
        """(channels, frames, n_mels) -> "log_mel" (1, channels, n_mels, frames)."""
        features = self.features
        value = self._add("Mul", [bands, self._constant("ten", np.float32(10))], "decibels")
        if features.a_weighting:
            curve = self._constant("weighting", self.mel @ a_weighting_db(features.n_fft, features.sample_rate))
            value = self._add("Add", [value, curve], "weighted")
        turned = self._add("Transpose", [value], "turned", perm=(0, 2, 1))
        self._add("Unsqueeze", [turned, self._whole("batch_axis", [0])], INPUT)

    def _add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        name = output if output == INPUT else f"front:{output}"
        self.operations.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def _scalar(self, value: str, output: str) -> str:
        return self._add("Squeeze", [value], output)

    def _whole(self, name: str, value: Any) -> str:
        return self._constant(name, np.asarray(value, np.int64))

    def _constant(self, name: str, value: Any) -> str:
        self.constants[f"front:{name}"] = np.asarray(value)
        return f"front:{name}"


def frontend_macs(features: FeatureConfig, samples: int) -> tuple[int, int]:
    """Multiply-accumulates of the front end for one window: of its FFTs, and of its mel bands.

    The first is about n_fft log2(n_fft) for a real frame. The second is of the whole matrix (bins x bands), which the
    graph multiplies with; most of it is zeros, which a program of one's own can leave out.
    """
    frames = features.n_channels * features.n_frames(samples)
    transforms = round(frames * features.n_fft * math.log2(features.n_fft))
    return transforms, frames * (features.n_fft // 2 + 1) * features.n_mels
