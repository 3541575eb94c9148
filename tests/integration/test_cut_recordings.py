"""Parts of recordings give the same results as files that were cut by hand, in everything that opens a clip."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from scenelet.audio.segment import Segment
from scenelet.config import FeatureConfig, WindowConfig
from scenelet.config.run_folder import DataRecord
from scenelet.data.audit.audit import audit
from scenelet.data.audit.statistics import recording_stats
from scenelet.data.clips import ClipTable
from scenelet.data.feature_cache import load_features, load_waveforms
from scenelet.data.json_lines import file_version
from scenelet.data.load import load_table
from scenelet.errors import DataError
from scenelet.evaluation.evaluate import evaluate
from scenelet.inference.classifier import load
from scenelet.model.pretrained import example
from scenelet.training.preflight import load_recorded_table

RATE = 22050
SPANS = ((0.0, 1.5, "dog"), (2.0, 2.4, "rain"), (2.5, 6.5, "dog"), (7.0, 9.0, "rain"))
"""Parts of a recording, shorter and longer than a window."""


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[ClipTable, ClipTable]:
    """Parts of a long recording, and the same sound in files that were cut by hand."""
    root = tmp_path_factory.mktemp("parts")
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 0.1, 10 * RATE) * (1 + np.sin(np.arange(10 * RATE) / 4000))
    for folder in ("long", "cut"):
        (root / folder).mkdir()
    soundfile.write(root / "long" / "night.flac", noise, RATE)
    samples, _ = soundfile.read(root / "long" / "night.flac")
    rows = {"long": ["filename,label,start,end"], "cut": ["filename,label"]}
    for index, (start, end, label) in enumerate(SPANS):
        name = f"{index}.wav"
        soundfile.write(root / "cut" / name, samples[round(start * RATE) : round(end * RATE)], RATE)
        rows["long"].append(f"night.flac,{label},{start},{end}")
        rows["cut"].append(f"{name},{label}")
    for folder, lines in rows.items():
        (root / folder / "clips.csv").write_text("\n".join(lines) + "\n")
    return load_table(root / "long"), load_table(root / "cut")


@pytest.mark.parametrize("function", [load_features, load_waveforms])
@pytest.mark.parametrize("keep_rest", [False, True])
def test_cached_windows_equal_those_of_cut_files(
    tables: tuple[ClipTable, ClipTable], function: object, keep_rest: bool
) -> None:
    features = FeatureConfig(sample_rate=16000, n_fft=512, hop_length=256, n_mels=32, channels="mono")
    window = WindowConfig(seconds=1.0, keep_rest=keep_rest)
    parts, cut = [function(table.clips, table.root, features, window, 1) for table in tables]  # type: ignore[operator]
    np.testing.assert_array_equal(parts.count, cut.count)
    assert set(parts.count.tolist()) >= {1, 2, 4}
    np.testing.assert_array_equal(parts.load(parts.rows()), cut.load(cut.rows()))


def test_file_version_differs_for_parts_of_one_file(tables: tuple[ClipTable, ClipTable]) -> None:
    clips = tables[0].clips
    assert len({file_version(clip) for clip in clips}) == len(clips) == len(SPANS)


def test_statistics_and_predictions_equal_those_of_cut_files(tables: tuple[ClipTable, ClipTable]) -> None:
    parts, cut = ([clip.recording for clip in table.clips] for table in tables)
    for part, file in zip(parts, cut, strict=True):
        assert recording_stats(part).digest == recording_stats(file).digest
    classifier = load("esc10", threads=2)
    for found, expected in zip(classifier.predict_many(parts), classifier.predict_many(cut), strict=True):
        assert found.probabilities == expected.probabilities
    assert classifier.predict(parts[0]).probabilities == classifier.predict(cut[0]).probabilities


def test_audit_finds_equal_parts_and_not_neighbors(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * RATE)
    soundfile.write(tmp_path / "a.wav", np.concatenate([noise, noise]), RATE)
    (tmp_path / "clips.csv").write_text("filename,label,start,end\na.wav,x,0,2\na.wav,y,2,4\na.wav,y,2.5,4\n")
    duplicates = [each for each in audit(load_table(tmp_path), 1.0, workers=1) if "duplicate" in each.kind]
    assert [(each.kind, each.clips) for each in duplicates] == [("duplicate", ("a.wav@0-2", "a.wav@2-4"))]


@pytest.mark.parametrize("audio", ["link", "embed"])
def test_evaluate_of_parts_and_its_listening_page(tmp_path: Path, audio: str) -> None:
    samples, rate = soundfile.read(example("esc10"))
    soundfile.write(tmp_path / "long.wav", np.concatenate([np.zeros(3 * rate), samples]), rate)
    end = 3 + len(samples) / rate
    (tmp_path / "clips.csv").write_text(f"filename,label,start,end\nlong.wav,rain,3,{end:.6f}\n")
    evaluate("esc10", tmp_path / "clips.csv", tmp_path / "out", audio=audio)  # type: ignore[arg-type]
    [clip] = json.loads((tmp_path / "out" / "predictions.json").read_text())["clips"]
    assert clip["filename"] == f"long.wav@3-{end:.6f}".rstrip("0")
    expected = load("esc10").predict(Segment(tmp_path / "long.wav", 3.0, end))
    assert clip["windows"] == expected.windows.tolist()
    page = (tmp_path / "out" / "listening.html").read_text()
    if audio == "link":
        assert f'src="../long.wav#t=3.000,{end:.3f}" data-start="-3.0"' in page
    else:
        assert 'data-start="0.0"' in page


def test_load_recorded_table_treats_several_labels_as_the_run_did(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, np.ones(RATE) / 2, RATE)
    (tmp_path / "clips.csv").write_text('filename,labels\na.wav,"x,z"\nb.wav,y\n')
    table = load_table(tmp_path, multi_label="first")
    assert load_recorded_table(DataRecord(path=tmp_path, multi_label="first")) == table
    with pytest.raises(DataError, match="'x,z' is several labels"):
        load_recorded_table(DataRecord(path=tmp_path))
