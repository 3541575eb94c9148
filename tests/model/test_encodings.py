"""Number formats of stored arrays: exact integers, and the entropy bound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scenelet.errors import ModelFileError
from scenelet.model.encodings import entropy_bits, stored_arrays, to_int8


@given(
    hnp.arrays(np.int8, hnp.array_shapes(min_dims=1, max_dims=4, max_side=5), elements=st.integers(-127, 127)),
    st.data(),
)
def test_to_int8_is_exact_with_the_largest_exponent(integers: np.ndarray, data: st.DataObject) -> None:
    exponents = data.draw(hnp.arrays(np.int32, len(integers), elements=st.integers(-126, 120)))
    array = np.ldexp(integers.astype(np.float32), exponents.reshape(-1, *[1] * (integers.ndim - 1)))
    back = stored_arrays({"a": array}, {"a": "masked_int8"})["a"]
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, array)
    values, found = to_int8("a", array)
    rows = values.reshape(len(values), -1)
    np.testing.assert_array_equal(np.ldexp(rows.astype(np.float32), found[:, None]), array.reshape(len(array), -1))
    assert all((row == 0).all() or (row % 2).any() for row in rows)  # the largest possible step
    assert all(step == 0 for row, step in zip(rows, found, strict=True) if not row.any())


def test_entropy_bits_counts_mask_and_symbols() -> None:
    half = np.float32([[1, 1, 2, 2, 0, 0, 0, 0]]) / 4  # one mask bit per value, one bit per kept value
    assert entropy_bits({"a": half}, {"a": "masked_int8"}) == pytest.approx(8 + 4)
    # fp16: four exponents of one sign take two bits each, equal fractions none
    powers = np.float32([[1, 2, 4, 8, 0, 0, 0, 0]])
    assert entropy_bits({"a": powers}, {"a": "masked_fp16"}) == pytest.approx(8 + 8)
    assert entropy_bits({"a": powers}, {"a": "fp16"}) == 0


@pytest.mark.parametrize(
    "row", [[1.0, 128.0], [0.3, 1.0], [127.0, 0.5], [2.0**-140, 0.0], [1e38, 1.0], [-128.0, 1.0]], ids=str
)
def test_to_int8_names_an_array_that_does_not_fit(row: list[float]) -> None:
    with pytest.raises(ModelFileError, match=r"'conv\.weight' does not fit int8"):
        to_int8("conv.weight", np.float32([row]))
