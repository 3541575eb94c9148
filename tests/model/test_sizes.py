"""Size of a model by each convention, compared with counts by hand."""

from helpers.tiny_model import changed, tiny_model
from scenelet.model.scene_model import TrainingCounts
from scenelet.model.sizes import sizes

PAPER = TrainingCounts(conv=593_792, conv_kept=237_517, batch_norm=8_070 - 1_280, sub_spectral_norm=1_280)


def test_sizes_of_the_papers_pruned_network() -> None:
    assert (PAPER.parameters, PAPER.parameters_kept) == (601_862, 245_587)
    found = sizes(changed(tiny_model(), counts=PAPER), 430_000)
    assert found == {
        "paper": 491_174,
        "dcase2020": 475_034,
        "dcase2020_with_ssn": 477_594,
        "dcase2022": 2 * 601_862,
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
    assert found["dcase2022"] == found["paper"] == 4 * 115_411


def test_sizes_use_the_bytes_of_each_kinds_encoding() -> None:
    model = changed(tiny_model(), counts=TrainingCounts(conv=10, conv_kept=4, batch_norm=3, sub_spectral_norm=2))
    norms = {name: "fp32" for name in model.arrays if name.endswith((".scale", ".shift"))}
    found = sizes(changed(model, encodings=model.encodings | norms), 0)
    assert found == {"paper": 8 + 20, "dcase2020": 8, "dcase2020_with_ssn": 16, "dcase2022": 20 + 20, "disk": 0}
