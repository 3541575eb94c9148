"""`scenelet info` of a model file, as JSON and as tables."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.tiny_model import changed, tiny_model, with_known_sounds
from scenelet.cli.info import info
from scenelet.cli.options import Format
from scenelet.config import FeatureConfig
from scenelet.errors import ModelFileError
from scenelet.model.costs import macs, peak_activation_bytes
from scenelet.model.file import read_model, write_model
from scenelet.model.scene_model import TrainingCounts
from scenelet.model.sizes import file_parts, sizes


def info_json(path: Path, capsys: pytest.CaptureFixture[str]) -> dict:
    info(str(path), Format.json)
    return json.loads(capsys.readouterr().out)


def test_info_as_json(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = tiny_model()
    held.arrays["v2.shift"][0, 0] = 0  # a norm's zero is a parameter like any other
    write_model(held, model)
    found = info_json(model, capsys)
    assert found["parameters"] == held.counts.parameters
    assert found["parameters_kept"] == held.counts.parameters_kept
    assert found["bytes"] == sizes(held, model.stat().st_size)
    assert found["labels"] == list(held.labels)
    assert found["window"]["seconds"] == 0.2
    assert found["macs_per_second"] == round(found["macs"] / 0.2)
    assert found["peak_activation_bytes"] == peak_activation_bytes(held.nodes, held.array_shapes, held.input_shape)
    parts = found["file_parts"]
    assert sum(parts[name] for name in ("weights", "others", "header", "frame")) == model.stat().st_size
    assert found["provenance"] == held.provenance
    layers = found["layers"]
    assert [layer["name"] for layer in layers] == [node.output for node in held.nodes]
    assert found["macs"] == sum(layer["macs"] for layer in layers)
    convolutions = [layer for layer in layers if layer["op"] == "Conv"]
    assert sum(layer["parameters"] for layer in convolutions) == held.counts.conv
    assert sum(layer["kept"] for layer in convolutions) == held.counts.conv_kept
    assert [layer["shared_with"] for layer in convolutions] == [None, None, convolutions[1]["name"], None]
    assert convolutions[0]["macs"] == 4 * 8 * 7 * 2 * 5 * 5
    assert all(layer["kept"] == layer["parameters"] for layer in layers if layer["op"] == "ScaleShift")


def test_info_names_the_background(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert info_json(model, capsys)["background"] is None
    write_model(changed(tiny_model(), background="outdoor"), model)
    assert info_json(model, capsys)["background"] == "outdoor"
    info(str(model))
    assert re.search(r"^background +outdoor$", capsys.readouterr().out, re.MULTILINE)


def test_info_as_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.scn"
    counts = TrainingCounts(conv=593_792, conv_kept=237_517, batch_norm=6_790, sub_spectral_norm=1_280)
    write_model(changed(tiny_model(), counts=counts), path)
    info(str(path))
    out = " ".join(capsys.readouterr().out.split())  # in a terminal of any width
    for text in ("601,862, of which 245,587 kept", "491.17 kB", "463.90 KiB", "466.40 KiB", "1,203.72 kB", "500 KiB"):
        assert text in out
    seconds, held = 0.2, read_model(path)
    cost = macs(held.nodes, held.array_shapes, held.input_shape)
    memory = peak_activation_bytes(held.nodes, held.array_shapes, held.input_shape)
    assert f"{cost / seconds / 1e6:,.1f} M per second of sound, {cost / 1e6:,.1f} M per window" in out
    assert f"{memory / 1000:,.1f} kB maximum, in fp32" in out
    parts = file_parts(held, path.read_bytes())
    share = 100 * (parts.weights / parts.weights_bound - 1)
    assert share > 0  # so small a model's weights cost more than their entropy
    assert f"weights {parts.weights:,} bytes ({share:.1f} % above their order-0 entropy)" in out
    assert f"{path.stat().st_size / 1000:.2f} kB" in out


def test_info_labels_and_provenance_are_not_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.scn"
    bracketed = changed(tiny_model(), labels=("[red]in", "[/]", "x"), provenance={"[b]": "\x1b[2J"})
    write_model(bracketed, path)
    info(str(path), layers=True)
    out = capsys.readouterr().out
    assert "[red]in" in out
    assert "[b] = " in out
    assert "\x1b" not in out


def test_info_says_results_and_origin_first_and_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    info("esc10")
    *lines, card = capsys.readouterr().out.splitlines()
    text = "\n".join(lines)
    assert "95.00 % of 80 test clips" in "\n".join(lines[:4])
    assert "below 55.6 %; above it 95.0 % were right" in text
    assert "recipe              default, seed 0, epochs 100" in text
    assert "{" not in text  # no raw JSON
    assert len(lines) < 40
    info("esc10", layers=True)
    *lines, card = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("blocks_0_norm_time       ScaleShift ") for line in lines)
    assert "augment.time_roll = 108" in "\n".join(lines)
    assert card.endswith("esc10.md")


def test_info_states_the_thresholds_of_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = {"probabilities": {"indoor": 0.9, "transportation": None}, "false_alarms_per_hour": 1, "hours": 2}
    path = tmp_path / "model.scn"
    write_model(changed(tiny_model(), results={"label_thresholds": stored}), path)
    info(str(path))
    words = " ".join(capsys.readouterr().out.split())
    assert "2 h of background had at most 1 false alarm per hour, of all labels together" in words
    assert "indoor 90.0 %, outdoor 50.0 %, transportation never sure" in words


def test_info_states_the_minimum_similarity(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.scn"
    write_model(with_known_sounds(tiny_model(), 0.8765), path)
    info(str(path))
    words = " ".join(capsys.readouterr().out.split())
    assert "unlike sounds unsure too, below a similarity of 0.8765 to all classes" in words


@pytest.mark.parametrize("results", [{"compressed": 3, "threshold": []}, {"threshold": {"probability": "high"}}])
def test_info_of_a_foreign_file_leaves_out_invalid_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], results: dict
) -> None:
    path = tmp_path / "model.scn"
    write_model(changed(tiny_model(), results=results, provenance={"split": [], "recipe": {"a": "\x1b"}}), path)
    info(str(path))
    out = capsys.readouterr().out
    assert "accuracy" not in out
    assert "\x1b" not in out


@pytest.mark.parametrize("model", ["unknown", "missing.scn"])
def test_info_missing_model_is_an_error(tmp_path: Path, model: str) -> None:
    with pytest.raises(ModelFileError):
        info(str(tmp_path / model) if "." in model else model)


def test_info_states_the_footprint_or_why_there_is_none(
    command: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    odd = changed(tiny_model(), features=FeatureConfig(sample_rate=8000, n_fft=250, hop_length=128, n_mels=16))
    write_model(tiny_model(), tmp_path / "a.scn")
    write_model(odd, tmp_path / "b.scn")
    code, printed, _ = command("info", tmp_path / "a.scn", "--mhz", "50")
    assert code == 0
    line = re.search(r"microcontroller +(.*?)\nreceptive", printed, re.DOTALL)[1]
    assert "in int8, flash 16." in line
    assert "at 50 MHz (estimate)" in " ".join(line.split())
    code, printed, _ = command("info", tmp_path / "b.scn")
    assert code == 0
    assert "the model has n_fft = 250" in " ".join(printed.split())
    code, printed, _ = command("info", tmp_path / "b.scn", "--format", "json")
    assert list(json.loads(printed)["microcontroller"]) == ["error"]
