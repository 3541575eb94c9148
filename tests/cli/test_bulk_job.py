"""`scenelet predict --out` and `scenelet extract` on the command line."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from pyarrow import dataset

from helpers.archives import Archive, make_archive
from helpers.tiny_model import tiny_model
from scenelet.cli import main
from scenelet.inference.classifier import load
from scenelet.model.file import write_model


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return make_archive(tmp_path_factory.mktemp("archive"), valid=6)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "tiny.scn"
    write_model(tiny_model(), path)
    return str(path)


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["scenelet", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_predict_out_prints_counts_and_errors(
    capsys, monkeypatch, tmp_path: Path, archive: Archive, model: str
) -> None:
    command = ["predict", model, str(archive.manifest), "--out", str(tmp_path / "out"), "--workers", "1"]
    code, out, err = run(capsys, monkeypatch, *command)
    assert code == 0  # bad recordings are results too
    assert out == "12 inputs, 19 windows, 5 errors, 12 parts\n"
    assert err.count("error: ") == 5
    code, out, err = run(capsys, monkeypatch, *command, "--format", "json", "--quiet")
    assert json.loads(out)["inputs"] == 12
    *errors, where = err.splitlines()
    assert [error.startswith("error: ") for error in errors] == 5 * [True]
    assert where == f"all: {tmp_path / 'out'}/_job/errors.csv; when they are fixed, read them with --retry-errors"
    code, out, _ = run(capsys, monkeypatch, *command, "--format", "csv")
    assert out.splitlines()[0].startswith("inputs,windows,errors,parts")


def test_predict_out_many_errors_are_counted(capsys, monkeypatch, tmp_path: Path, model: str) -> None:
    (tmp_path / "list.csv").write_text("path\n" + "".join(f"{k}.wav\n" for k in range(1200)))
    out = tmp_path / "out"
    code, _, err = run(capsys, monkeypatch, "predict", model, str(tmp_path / "list.csv"), "--out", str(out))
    assert code == 0
    assert f"and 1,195 more: {out}/_job/errors.csv" in err
    assert len((out / "_job/errors.csv").read_text().splitlines()) == 1201


def test_extract_writes_features_of_model_or_recipe(
    capsys, monkeypatch, tmp_path: Path, archive: Archive, model: str
) -> None:
    words = ["extract", str(archive.manifest), "--workers", "1", "--out"]
    code, out, _ = run(capsys, monkeypatch, *words, str(tmp_path / "a"), "--model", model)
    assert (code, out) == (0, "12 inputs, 19 windows, 5 errors, 12 parts\n")
    assert dataset.dataset(tmp_path / "a").schema.metadata[b"shape"] == b"2x16x13"
    settings = ["--recipe", "paper", "--set", "features.n_mels=64", "--set", "window.seconds=0.5"]
    code, out, _ = run(capsys, monkeypatch, *words, str(tmp_path / "b"), *settings)
    assert code == 0
    assert dataset.dataset(tmp_path / "b").schema.metadata[b"shape"].startswith(b"2x64x")


def test_extract_writes_embeddings(capsys, monkeypatch, tmp_path: Path, archive: Archive, model: str) -> None:
    words = ["extract", str(archive.manifest), "--workers", "1", "--embeddings", "--out"]
    code, out, _ = run(capsys, monkeypatch, *words, str(tmp_path / "a"), "--model", "esc10")
    assert code == 0
    assert out.startswith("12 inputs, ")
    rows = dataset.dataset(tmp_path / "a").to_table().to_pylist()
    classifier = load("esc10", threads=1)
    for index, name in sorted({(row["index"], row["input"]) for row in rows if row["error"] is None}):
        own = [row["embedding"] for row in rows if row["index"] == index]
        assert np.array_equal(np.float32(own), classifier.embeddings(archive.manifest.parent / name))
    assert all(row["embedding"] is None for row in rows if row["error"] is not None)
    code, _, err = run(capsys, monkeypatch, *words, str(tmp_path / "b"))
    assert (code, err) == (2, "error: --embeddings are those of a network; name its file with --model\n")
    assert not (tmp_path / "b").exists()
    code, out, _ = run(capsys, monkeypatch, *words, str(tmp_path / "b"), "--model", model)
    assert code == 0
    assert out.startswith("12 inputs, ")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--engine", "ray"], 2, "--engine is for bulk jobs; give --out DIR too"),
        (["--workers", "2"], 2, "--workers is for bulk jobs; give --out DIR too"),
        (["more.csv", "--out", "x"], 2, "--out takes one manifest or folder, not 2"),
        (["--out", "x", "--shard-size", "0"], 2, "--shard-size"),
    ],
)
def test_predict_out_wrong_options_are_refused(
    capsys, monkeypatch, tmp_path: Path, archive: Archive, model: str, words, code, message
) -> None:
    monkeypatch.chdir(tmp_path)
    ended, out, err = run(capsys, monkeypatch, "predict", model, str(archive.manifest), *words)
    assert (ended, out) == (code, "")
    assert message in err
    assert not list(tmp_path.iterdir())


def test_bulk_jobs_wrong_sources_are_refused(capsys, monkeypatch, tmp_path: Path, archive: Archive, model: str) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, monkeypatch, "predict", model, "s3://a/b.wav")
    assert code == 2
    assert "URLs are read in bulk" in err
    code, _, err = run(capsys, monkeypatch, "predict", model, "LIST.CSV")
    assert (code, err) == (2, "error: LIST.CSV: a list of recordings is read in bulk; give --out DIR too\n")
    code, _, err = run(capsys, monkeypatch, "predict", model, str(archive.manifest.with_name("a.wav")), "--out", "x")
    assert code == 1
    assert "a.wav: is a recording; list it in a CSV, or leave out --out" in err
    monkeypatch.setitem(sys.modules, "openvino", None)
    bulk = ["predict", model, str(archive.manifest), "--out", "x", "--runtime", "openvino"]
    code, _, err = run(capsys, monkeypatch, *bulk)
    assert code == 1
    assert 'this needs openvino; install it with: pip install "scenelet[openvino]"' in err
    code, _, err = run(capsys, monkeypatch, "predict", model, "none.csv", "--out", "x")
    assert code == 1
    assert "none.csv: no such file; give a CSV or Parquet file of recordings, or a folder" in err
    code, _, err = run(
        capsys,
        monkeypatch,
        "extract",
        str(archive.manifest),
        "--out",
        "x",
        "--model",
        model,
        "--recipe",
        "paper_short",
    )
    assert code == 2
    assert "--model, or --recipe and --set, not both" in err
    assert not list(tmp_path.iterdir())
