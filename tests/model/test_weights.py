"""Planes of int8 weights: exact, refused if they do not fit, and near their entropy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scenelet.errors import ModelFileError
from scenelet.model.codec import compress_bytes
from scenelet.model.encodings import Encoding, entropy_bits
from scenelet.model.weights import decode_weights, encode_weights, zero_run_lengths


@pytest.mark.parametrize(
    "row", [[1.0, 128.0], [0.3, 1.0], [127.0, 0.5], [2.0**-140, 0.0], [1e38, 1.0], [-128.0, 1.0]], ids=str
)
def test_encode_weights_names_an_array_that_does_not_fit(row: list[float]) -> None:
    with pytest.raises(ModelFileError, match=r"'conv\.weight' does not fit int8"):
        encode_weights({"conv.weight": np.float32([row])}, {"conv.weight": "masked_int8"})


def test_encode_weights_comes_close_to_the_entropy() -> None:
    rng = np.random.default_rng(0)
    for kept, levels in ((0.9, 127), (0.2, 7), (0.03, 7), (0.03, 127), (0.005, 7)):
        columns = 500 if kept > 0.1 else 2000
        integers = np.clip(np.round(rng.normal(0, levels / 3, (256, columns))), -levels, levels)
        integers[rng.random(integers.shape) > kept] = 0
        array = np.ldexp(integers.astype(np.float32), rng.integers(-9, -5, (256, 1)))
        encodings: dict[str, Encoding] = {"a": "masked_int8"}
        stored = sum(map(len, encode_weights({"a": array}, encodings).values()))
        bound = entropy_bits({"a": array}, encodings) / 8
        assert 0.98 * bound < stored < 1.05 * bound + 50


def packed(array: np.ndarray) -> np.ndarray:
    sections = encode_weights({"a": array}, {"a": "masked_int8"})
    lengths = {name: len(stored) for name, stored in sections.items()}
    return decode_weights({"a": array.shape}, {"a": "masked_int8"}, lengths, b"".join(sections.values()))["a"]


@given(hnp.arrays(bool, st.integers(1, 3000)), st.sampled_from([0.0, 0.003, 0.1]))
def test_decode_weights_reads_gaps_like_the_mask(bits: np.ndarray, fraction: float) -> None:
    kept = bits & (np.random.default_rng(len(bits)).random(len(bits)) < fraction)
    array = kept.astype(np.float32)[None]
    sections = encode_weights({"a": array}, {"a": "masked_int8"})
    gaps = zero_run_lengths({"a": array}, "masked_int8")
    sections.pop("masked_int8.mask", None)
    sized = len(gaps).to_bytes(4, "little") + compress_bytes(gaps)
    lengths = {"masked_int8.gaps": len(sized)} | {
        name: len(stored) for name, stored in sections.items() if name != "masked_int8.gaps"
    }
    body = sized + b"".join(stored for name, stored in sections.items() if name != "masked_int8.gaps")
    back = decode_weights({"a": array.shape}, {"a": "masked_int8"}, lengths, body)["a"]
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"\2\0\0",
        (10**9).to_bytes(4, "little") + compress_bytes(b"\0"),
        (1).to_bytes(4, "little") + compress_bytes(b"\xff"),
        (1).to_bytes(4, "little") + compress_bytes(b"\4"),
        (4).to_bytes(4, "little") + compress_bytes(b"\1\1\1\1"),
    ],
    ids=["empty", "short", "too long", "unfinished gap", "beyond the end", "too many"],
)
def test_decode_weights_refuses_false_gaps(stored: bytes) -> None:
    sections = encode_weights({"a": np.float32([[1, 0, 0, 0]])}, {"a": "masked_int8"})
    del sections["masked_int8.mask"]
    sections = {"masked_int8.gaps": stored, **sections}
    lengths = {name: len(part) for name, part in sections.items()}
    with pytest.raises(ModelFileError):
        decode_weights({"a": (1, 4)}, {"a": "masked_int8"}, lengths, b"".join(sections.values()))


def test_decode_weights_refuses_an_exponent_out_of_range() -> None:
    """Even with a correct checksum a file may hold anything."""
    sections = encode_weights({"a": np.float32([[1.0]])}, {"a": "masked_int8"})
    sections["masked_int8.exponents"] = compress_bytes(np.int8([-128]).tobytes())
    lengths = {name: len(stored) for name, stored in sections.items()}
    with pytest.raises(ModelFileError, match="exponent"):
        decode_weights({"a": (1, 1)}, {"a": "masked_int8"}, lengths, b"".join(sections.values()))
