"""An inference package in a process of its own: its modules and its complexity script, as evaluators call them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.scene_models import BASELINE, SCENES, write_scene_model
from scenelet.evaluation.submission.package.write import package_files, write_package
from scenelet.inference.classifier import load

LABEL = "Lee_Inst_task1"
PREDICT = """
import importlib, json, sys
module = importlib.import_module("Lee_Inst_task1.Lee_Inst_task1_" + sys.argv[1])
logits, classes = module.predict(json.loads(sys.argv[2]), json.loads(sys.argv[3]), use_cuda=False)
print(json.dumps([[row.softmax(0).tolist() for row in logits], classes]))
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A general model and one of s1, of the baseline's size."""
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("general", "s1")):
        write_scene_model(folder / f"{name}.scn", seed, features=BASELINE, width=32, temperature=200.0)
    return folder


@pytest.fixture(scope="module")
def package(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("package")
    (folder / "list.csv").write_text("filename\naudio/bus-lyon-1-2-0-a.wav\n")
    write_package(folder / LABEL, package_files([models, models / "s1.scn"], LABEL, folder / "list.csv"))
    return folder / LABEL


def run(folder: Path, package: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    done = [sys.executable, *arguments]
    return subprocess.run(done, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(("module", "names"), [("1", ["general", "s1", "general"]), ("2", ["s1", "s1", "s1"])])
def test_predict_agrees_with_the_classifier(
    package: Path, models: Path, tmp_path: Path, tau: Path, module: str, names: list[str]
) -> None:
    clips = []
    for index, path in enumerate(sorted((tau / "clips").glob("*.flac"))[:3]):
        samples, rate = soundfile.read(path)
        soundfile.write(tmp_path / f"{index}.wav", samples[index * rate : (index + 1) * rate], rate)
        clips.append(str(tmp_path / f"{index}.wav"))
    done = run(tmp_path, package, "-c", PREDICT, module, json.dumps(clips), json.dumps(["a", "s1", "unknown"]))
    assert done.returncode == 0, done.stderr
    found, classes = json.loads(done.stdout)
    assert classes == list(SCENES)
    for clip, name, row in zip(clips, names, found, strict=True):
        expected = list(load(models / f"{name}.scn", threads=1).predict(clip).probabilities.values())
        assert max(expected) < 0.9
        assert np.abs(np.array(row) - expected).max() < 1e-5


def test_complexity_script_prints_bytes_and_macs_of_each_device(package: Path, tmp_path: Path) -> None:
    pytest.importorskip("torchinfo", reason="torchinfo is not installed")
    done = run(tmp_path, package, str(package / "test_complexity.py"))
    assert done.returncode == 0, done.stderr
    row = "122,296 of 128,000 B     29,419,156 of 30,000,000 MACs"
    assert done.stdout.splitlines() == [
        f"{device:>7}    {row}" for device in ("a", "b", "c", *(f"s{n}" for n in range(1, 11)), "unknown")
    ]
    written = json.loads((tmp_path / "predictions" / f"{LABEL}_1" / "complexity.json").read_text())
    assert (written["max_MACs"], written["max_Params"]) == (29_419_156, 122_296)


def test_complexity_script_of_a_model_above_a_limit_fails(package: Path, tmp_path: Path) -> None:
    pytest.importorskip("torchinfo", reason="torchinfo is not installed")
    script = (package / "test_complexity.py").read_text()
    assert "MAX_BYTES, MAX_MACS = 128_000, 30_000_000" in script
    lower = tmp_path / "lower.py"
    lower.write_text(script.replace("128_000", "122_295"))
    done = run(tmp_path, package, str(lower), "--submission_index", "2")
    assert (done.returncode, done.stderr.strip().splitlines()[-1]) == (1, "a model exceeds a limit")
