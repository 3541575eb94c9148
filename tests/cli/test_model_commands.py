"""`scenelet predict`, `info` and `export`: results on stdout, talk on stderr, exit codes."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer

from helpers.tiny_model import changed, tiny_model
from scenelet.cli.export import export
from scenelet.cli.info import info
from scenelet.cli.predict import predict
from scenelet.errors import ModelFileError
from scenelet.inference.classifier import load
from scenelet.model import file as modelfile
from scenelet.model.costs import macs, peak_activation_bytes
from scenelet.model.scene_model import TrainingCounts
from scenelet.model.sizes import file_parts, sizes


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Two recordings, one in a subfolder, and a text."""
    import soundfile

    root = tmp_path / "recordings"
    (root / "sub").mkdir(parents=True)
    soundfile.write(root / "sub" / "a.FLAC", rng.uniform(-0.5, 0.5, 4000), 8000, format="FLAC")
    soundfile.write(root / "b.wav", rng.uniform(-0.1, 0.1, (1000, 2)), 8000)
    (root / "notes.txt").write_text("not a recording")
    return root


def test_predict_a_folder_as_json(model: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(str(model), [str(folder)], predict_format("json"))
    out, err = capsys.readouterr()
    rows = json.loads(out)
    assert err == ""
    assert [row["file"] for row in rows] == [str(folder / "b.wav"), str(folder / "sub" / "a.FLAC")]
    assert [row["windows"] for row in rows] == [1, 3]
    expected = load(model).predict(folder / "b.wav")
    assert rows[0]["probabilities"] == expected.probabilities
    assert rows[0]["label"] == expected.label


def predict_format(name: str) -> object:
    from scenelet.cli.options import RowFormat

    return RowFormat(name)


def test_predict_as_csv_and_table(model: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(str(model), [str(folder / "b.wav")], predict_format("csv"))
    header, row = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header == ["file", "label", "windows", "indoor", "outdoor", "transportation"]
    assert row[0] == str(folder / "b.wav")
    assert sum(map(float, row[3:])) == pytest.approx(1, abs=1e-5)
    predict(str(model), [str(folder / "b.wav")])
    out = capsys.readouterr().out
    assert row[1] in out
    assert "transportation" in out


def test_a_bad_file_does_not_stop_the_others(model: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = folder / "sub" / "none"
    empty.mkdir()
    with pytest.raises(typer.Exit) as caught:
        predict(
            str(model),
            [str(folder / "notes.txt"), str(folder / "no.wav"), str(empty), str(folder / "b.wav")],
            predict_format("json"),
        )
    assert caught.value.exit_code == 1
    out, err = capsys.readouterr()
    assert [row["file"] for row in json.loads(out)] == [str(folder / "b.wav")]
    lines = err.splitlines()
    assert len(lines) == 3
    named = {line.split(":")[1].strip() for line in lines}
    assert named == {str(folder / "notes.txt"), str(folder / "no.wav"), str(empty)}


def test_labels_and_names_are_not_markup(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.scn"
    bracketed = changed(tiny_model(), labels=("[red]in", "[/]", "x"), provenance={"[b]": "\x1b[2J"})
    modelfile.write_model(bracketed, path)
    predict(str(path), [str(folder / "b.wav")])
    info(str(path))
    out = capsys.readouterr().out
    assert "[red]in" in out
    assert "[b]: " in out
    assert "\x1b" not in out


def info_json(path: Path, capsys: pytest.CaptureFixture[str]) -> dict:
    from scenelet.cli.options import Format

    info(str(path), Format.json)
    return json.loads(capsys.readouterr().out)


def test_info_as_json(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = tiny_model()
    held.arrays["v2.shift"][0, 0] = 0  # a norm's zero is a parameter like any other
    modelfile.write_model(held, model)
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


def test_info_as_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.scn"
    counts = TrainingCounts(conv=593_792, conv_kept=237_517, batch_norm=6_790, sub_spectral_norm=1_280)
    modelfile.write_model(changed(tiny_model(), counts=counts), path)
    info(str(path))
    out = " ".join(capsys.readouterr().out.split())  # in a terminal of any width
    for text in ("601,862, of which 245,587 kept", "491.17 kB", "463.90 KiB", "466.40 KiB", "1,203.72 kB", "500 KiB"):
        assert text in out
    seconds, held = 0.2, modelfile.read_model(path)
    cost = macs(held.nodes, held.array_shapes, held.input_shape)
    memory = peak_activation_bytes(held.nodes, held.array_shapes, held.input_shape)
    assert f"{cost / seconds / 1e6:,.1f} M per second of audio, {cost / 1e6:,.1f} M per window of 0.2 s" in out
    assert f"{memory / 1000:,.1f} kB maximum, in fp32" in out
    parts = file_parts(held, path.read_bytes())
    share = 100 * (parts.weights / parts.weights_bound - 1)
    assert share > 0  # so small a model's weights cost more than their entropy
    assert f"{share:.1f} % above their order-0 entropy, {parts.weights_bound:,} bytes" in out
    assert f"{path.stat().st_size / 1000:.2f} kB" in out


def test_a_model_that_is_none(tmp_path: Path, write_wav: Callable[..., Path]) -> None:
    for command in (lambda m: predict(m, [str(tmp_path)]), info, lambda m: export(m, tmp_path / "x.onnx")):
        for missing in ("unknown", str(tmp_path / "missing.scn")):
            with pytest.raises(ModelFileError):
                command(missing)
