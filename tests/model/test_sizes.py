"""Size of a model by each convention, compared with counts by hand."""

from typing import Any

import numpy as np

from helpers.tiny_model import changed, tiny_model
from scenelet.model.ops import Conv, Linear
from scenelet.model.rules import RULES
from scenelet.model.scene_model import SceneModel, TrainingCounts
from scenelet.model.sizes import sizes

PAPER = TrainingCounts(conv=593_792, conv_kept=237_517, batch_norm=8_070 - 1_280, sub_spectral_norm=1_280)


def without_zeros(**changes: Any) -> SceneModel:
    """Return the tiny model, in which nothing is pruned."""
    model = changed(tiny_model(), **changes)
    filled = {name: np.where(array == 0, np.float32(0.5), array) for name, array in model.arrays.items()}
    return changed(model, arrays=filled)


def test_sizes_of_the_papers_pruned_network() -> None:
    assert (PAPER.parameters, PAPER.parameters_kept) == (601_862, 245_587)
    found = sizes(without_zeros(counts=PAPER), 430_000)
    assert found == {
        "paper": 491_174,
        "dcase2020": 475_034,
        "dcase2020_with_ssn": 477_594,
        "dcase2021": 2 * 601_862,
        "dcase2022": 601_862,
        "dcase2023": 2 * 601_862,
        "dcase2024": 2 * 601_862,
        "dcase2025": 2 * 601_862,
        "disk": 430_000,
    }
    assert f"{found['dcase2020'] / 1024:.2f} {found['dcase2020_with_ssn'] / 1024:.2f}" == "463.90 466.40"


def test_sizes_of_the_official_baseline_in_fp32() -> None:
    model = tiny_model()
    dense = 128 * 100 + 100 + 100 * 3 + 3 + 32 + 64  # with the convolutions' biases
    convolutions = 7 * 7 * 32 + 7 * 7 * 32 * 64
    counts = TrainingCounts(
        conv=convolutions, conv_kept=convolutions, linear=dense, linear_kept=dense, batch_norm=2 * (32 + 64)
    )
    found = sizes(changed(model, counts=counts, encodings=dict.fromkeys(model.arrays, "fp32")), 0)
    assert counts.parameters == 115_411
    assert found["dcase2020"] == found["dcase2020_with_ssn"] == 4 * 115_219
    assert found["dcase2024"] == found["paper"] == 4 * 115_411
    assert found["dcase2022"] == 115_411  # int8, whatever the file stores


def test_sizes_use_the_bytes_of_each_kinds_encoding() -> None:
    model = without_zeros(counts=TrainingCounts(conv=10, conv_kept=4, batch_norm=3, sub_spectral_norm=2))
    norms = {name: "fp32" for name in model.arrays if name.endswith((".scale", ".shift"))}
    found = sizes(changed(model, encodings=model.encodings | norms), 0)
    by_type = dict.fromkeys(("dcase2023", "dcase2024", "dcase2025"), 20 + 20)
    assert found == {
        "paper": 8 + 20,
        "dcase2020": 8,
        "dcase2020_with_ssn": 16,
        "dcase2021": 20 + 20,
        "dcase2022": 15,
        **by_type,
        "disk": 0,
    }


def test_sizes_of_2021_leave_out_each_zero_weight_once() -> None:
    """Zeros of norms and biases count, since the file holds other numbers than the training."""
    model = without_zeros()
    full = sizes(model, 0)
    assert full["dcase2021"] == full["dcase2024"]
    names = [node.weight for node in model.nodes if isinstance(node, Conv | Linear)]
    shared = next(name for name in names if names.count(name) > 1)
    model.arrays[shared].flat[:3] = 0
    model.arrays["v2.shift"][:] = 0
    found = sizes(model, 0)
    assert full["dcase2021"] - found["dcase2021"] == 3 * 2
    assert found["dcase2024"] == full["dcase2024"]


def test_sizes_have_every_rule() -> None:
    assert list(sizes(tiny_model(), 0)) == list(RULES)
