"""Memory and work of a model on a microcontroller, as `scenelet info` states them."""

import re

import numpy as np
import pytest

from helpers.c_programs import require, run
from helpers.fused_networks import INT8_NETWORKS, quantized, random_model, traced_model
from helpers.tiny_model import tiny_model
from scenelet.export.c.footprint import describe_footprint, footprint
from scenelet.export.c.project import project_files, write_project
from scenelet.model.costs import macs


def stated(text, words):
    """Return the number of bytes that a generated header states after some words."""
    return int(re.search(rf"{words} (\d+)", text)[1])


@pytest.mark.parametrize("settings", INT8_NETWORKS[:4], ids=str)
def test_sizes_in_int8_are_those_of_the_exported_program(settings):
    model = traced_model(settings)
    found = footprint(model)
    files = project_files(model, "x", int8=quantized(model))
    assert found.int8
    assert found.activations == stated(files["model_network.h"], "Bytes of RAM:")
    tables = stated(files["model_frontend.h"], r"in fixed point,")
    # equal tables merge, and which are equal depends on the ranges
    program = stated(files["model_network.h"], "Bytes of flash:") + tables
    assert abs(found.constants - program) <= 600
    log_mel = 2 * stated(files["model_frontend.h"], "Outside of these: log-mel")  # in float
    assert found.features == stated(files["model_frontend.h"], r"point,") + max(0, log_mel - found.activations)


@pytest.mark.parametrize("int8", [True, False])
def test_ram_is_that_of_the_struct(tmp_path, int8):
    """The arena of this model in int8 is smaller than the log-mel of a window in float."""
    require("cc")
    model = random_model(2)
    write_project(model, "x", tmp_path, "c", quantized(model) if int8 else None)
    (tmp_path / "size.c").write_text(
        '#include "scenelet.h"\n#include <stdio.h>\nint main(void) { printf("%zu", sizeof(scenelet)); return 0; }'
    )
    run("cc", f"-I{tmp_path}", tmp_path / "size.c", "-o", tmp_path / "size")
    found = footprint(model, int8)
    state = 4 * len(model.labels) + 64  # average, weight, flags
    assert 0 <= int(run(tmp_path / "size")) - found.activations - found.features <= state


def test_a_network_without_int8_form_is_counted_in_float():
    model = traced_model({"name": "shared_resnet", "width": 8, "stem_stride": (2, 4), "residual_norm": True})
    found = footprint(model)
    files = project_files(model, "x")
    assert not found.int8
    assert found.activations == stated(files["model_network.h"], "Bytes of RAM:")
    assert found == footprint(model, int8=False)


def test_work_is_that_of_network_and_front_end():
    model = tiny_model()
    found = footprint(model)
    features, frames = model.features, model.input_shape[2]
    assert found.network_macs == macs(model.nodes, model.array_shapes, model.input_shape)
    transforms = features.n_channels * frames * features.n_fft * np.log2(features.n_fft)
    assert transforms < found.frontend_macs < 1.5 * transforms
    assert found.cycles > found.network_macs + found.frontend_macs


def test_seconds_are_cycles_at_a_clock():
    slow, fast = describe_footprint(tiny_model(), 100), describe_footprint(tiny_model(), 200)
    assert slow["seconds"] == 2 * fast["seconds"] == slow["cycles"] / 100e6
    assert slow["flash"] == slow["constants"] + slow["code"]
