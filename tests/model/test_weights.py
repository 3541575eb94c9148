"""Whole numbers in a model file: exact, refused where they do not fit, and near their entropy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scenelet.errors import ModelFileError
from scenelet.model import weights as planes


@given(
    hnp.arrays(np.int8, hnp.array_shapes(min_dims=1, max_dims=4, max_side=5), elements=st.integers(-127, 127)),
    st.data(),
)
def test_what_lies_on_the_grid_comes_back_bit_for_bit(whole: np.ndarray, data: st.DataObject) -> None:
    exponents = data.draw(hnp.arrays(np.int32, len(whole), elements=st.integers(-126, 120)))
    array = np.ldexp(whole.astype(np.float32), exponents.reshape(-1, *[1] * (whole.ndim - 1)))
    back = packed(array)
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, array)
    values, found = planes.to_int8("a", array)
    rows = values.reshape(len(values), -1)
    np.testing.assert_array_equal(np.ldexp(rows.astype(np.float32), found[:, None]), array.reshape(len(array), -1))
    assert all((row == 0).all() or (row % 2).any() for row in rows)  # the largest step that holds them
    assert all(step == 0 for row, step in zip(rows, found, strict=True) if not row.any())


@pytest.mark.parametrize(
    "row", [[1.0, 128.0], [0.3, 1.0], [127.0, 0.5], [2.0**-140, 0.0], [1e38, 1.0], [-128.0, 1.0]], ids=str
)
def test_what_does_not_fit_is_refused_by_name(row: list[float]) -> None:
    with pytest.raises(ModelFileError, match=r"'conv\.weight' does not fit int8"):
        planes.encode_weights({"conv.weight": np.float32([row])}, {"conv.weight": "masked_int8"})


def test_weights_take_little_more_than_their_bound() -> None:
    rng = np.random.default_rng(0)
    for kept, levels in ((0.9, 127), (0.2, 7), (0.03, 7), (0.03, 127), (0.005, 7)):
        whole = np.clip(np.round(rng.normal(0, levels / 3, (256, 2000))), -levels, levels)
        whole[rng.random(whole.shape) > kept] = 0
        array = np.ldexp(whole.astype(np.float32), rng.integers(-9, -5, (256, 1)))
        encodings: dict[str, planes.Encoding] = {"a": "masked_int8"}
        stored = sum(map(len, planes.encode_weights({"a": array}, encodings).values()))
        bound = planes.entropy_bits({"a": array}, encodings) / 8
        assert 0.98 * bound < stored < 1.05 * bound + 50


def test_the_bound_is_the_entropy_of_mask_and_symbols() -> None:
    half = np.float32([[1, 1, 2, 2, 0, 0, 0, 0]]) / 4  # one bit of mask a value, one bit a kept one
    assert planes.entropy_bits({"a": half}, {"a": "masked_int8"}) == pytest.approx(8 + 4)
    # fp16: four exponents of one sign: two bits each; fractions alike: none
    powers = np.float32([[1, 2, 4, 8, 0, 0, 0, 0]])
    assert planes.entropy_bits({"a": powers}, {"a": "masked_fp16"}) == pytest.approx(8 + 8)
    assert planes.entropy_bits({"a": powers}, {"a": "fp16"}) == 0


def packed(array: np.ndarray) -> np.ndarray:
    sections = planes.encode_weights({"a": array}, {"a": "masked_int8"})
    lengths = {name: len(stored) for name, stored in sections.items()}
    return planes.decode_weights({"a": array.shape}, {"a": "masked_int8"}, lengths, b"".join(sections.values()))["a"]


@given(hnp.arrays(bool, st.integers(1, 3000)), st.sampled_from([0.0, 0.003, 0.1]))
def test_gaps_are_the_mask(bits: np.ndarray, share: float) -> None:
    kept = bits & (np.random.default_rng(len(bits)).random(len(bits)) < share)
    array = kept.astype(np.float32)[None]
    sections = planes.encode_weights({"a": array}, {"a": "masked_int8"})
    gaps = planes.zero_run_lengths({"a": array}, "masked_int8")
    sections.pop("masked_int8.mask", None)
    sized = len(gaps).to_bytes(4, "little") + planes.compress_bytes(gaps)
    lengths = {"masked_int8.gaps": len(sized)} | {
        name: len(stored) for name, stored in sections.items() if name != "masked_int8.gaps"
    }
    body = sized + b"".join(stored for name, stored in sections.items() if name != "masked_int8.gaps")
    back = planes.decode_weights({"a": array.shape}, {"a": "masked_int8"}, lengths, body)["a"]
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"\2\0\0",
        (10**9).to_bytes(4, "little") + planes.compress_bytes(b"\0"),
        (1).to_bytes(4, "little") + planes.compress_bytes(b"\xff"),
        (1).to_bytes(4, "little") + planes.compress_bytes(b"\4"),
        (4).to_bytes(4, "little") + planes.compress_bytes(b"\1\1\1\1"),
    ],
    ids=["empty", "short", "longer than can be", "more to come, and nothing does", "beyond the end", "too many"],
)
def test_gaps_that_lie_are_refused(stored: bytes) -> None:
    sections = planes.encode_weights({"a": np.float32([[1, 0, 0, 0]])}, {"a": "masked_int8"})
    del sections["masked_int8.mask"]
    sections = {"masked_int8.gaps": stored, **sections}
    lengths = {name: len(part) for name, part in sections.items()}
    with pytest.raises(ModelFileError):
        planes.decode_weights({"a": (1, 4)}, {"a": "masked_int8"}, lengths, b"".join(sections.values()))


def test_an_exponent_out_of_range_is_refused() -> None:
    """A file whose checksum is right may still hold anything."""
    sections = planes.encode_weights({"a": np.float32([[1.0]])}, {"a": "masked_int8"})
    sections["masked_int8.exponents"] = planes.compress_bytes(np.int8([-128]).tobytes())
    lengths = {name: len(stored) for name, stored in sections.items()}
    with pytest.raises(ModelFileError, match="exponent"):
        planes.decode_weights({"a": (1, 1)}, {"a": "masked_int8"}, lengths, b"".join(sections.values()))
