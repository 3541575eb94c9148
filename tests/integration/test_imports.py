"""What may be loaded when: importing scenelet is light, and running a model never loads PyTorch."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from helpers.tiny_model import changed, tiny_model
from scenelet.model import file as modelfile

TRAINING = {"torch", "lightning", "matplotlib", "scenelet.nn", "scenelet.training"}


def loaded_by(code: str, *arguments: str) -> set[str]:
    """Top-level packages and scenelet's rooms that a fresh interpreter has after running the code."""
    script = f"import sys\n{code}\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    return {name for name in done.stdout.splitlines() if name.count(".") <= 1}


def test_importing_scenelet_is_light() -> None:
    light = loaded_by("import scenelet; scenelet.__version__")
    heavy = {"numpy", "scipy", "onnx", "onnxruntime", "pydantic", "soundfile", "soxr", "torch", "rich", "typer"}
    assert not light & heavy
    assert {name for name in light if name.startswith("scenelet")} == {"scenelet"}


def test_predicting_never_loads_torch(tmp_path: Path, tone_set: Path) -> None:
    modelfile.write_model(tiny_model(), tmp_path / "m.scn")
    run = "from scenelet.cli import main\ntry:\n    main()\nexcept SystemExit as end:\n    assert not end.code"
    used = loaded_by(run, "predict", str(tmp_path / "m.scn"), str(tone_set.parent / "low0.wav"))
    assert "onnxruntime" in used
    # what these take to load is more than the prediction itself
    assert not used & {"scipy.signal", "scipy.stats", "scipy.sparse", "librosa", "openvino"}
    assert not used & TRAINING


@pytest.mark.skipif(sys.platform == "win32", reason="there its maker keeps nothing in the user's home")
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "training"])
def test_running_tells_nobody(tmp_path: Path, tone_set: Path, runtime: str) -> None:
    """ONNX Runtime would keep an identifier of the machine, and what it reports, in these folders."""
    if runtime == "openvino" and find_spec("openvino") is None:
        pytest.skip("openvino is not installed")
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    modelfile.write_model(tiny_model(), tmp_path / "m.scn")
    # with one of these, it is quiet by itself
    quiet = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in quiet}
    environment |= {"HOME": str(home), "TMPDIR": str(temporary)}
    words = [str(tmp_path / "m.scn"), str(tone_set.parent / "low0.wav"), "--runtime", runtime]
    if runtime == "training":  # it imports ONNX Runtime through other packages
        words = ["-c", "import scenelet.training.loop, onnxruntime"]
    else:
        words = ["-m", "scenelet", "predict", *words]
    subprocess.run([sys.executable, *words], check=True, env=environment)
    kept = [path for path in (*home.rglob("*"), *temporary.rglob("*")) if "matplotlib" not in path.parts]
    assert [path for path in kept if path.is_file()] == []


@pytest.mark.parametrize("missing", ["torch", "sklearn", "lightning"])
def test_the_estimator_says_which_extra_it_needs(missing: str) -> None:
    script = f"""
import sys
sys.modules[{missing!r}] = None
import scenelet
scenelet.load, scenelet.Classifier
try:
    from scenelet import SceneClassifier
except ImportError as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    mend = 'install it with: pip install "scenelet[train]", or ".[train]" in a clone'
    assert done.stdout == f"MissingExtraError this needs {missing}; {mend}\n"


def test_evaluating_and_checking_never_load_torch() -> None:
    modules = (
        "scenelet.evaluation.evaluate, scenelet.data.audit.audit, scenelet.model.summary, scenelet.data.feature_cache"
    )
    assert not loaded_by(f"import {modules}, scenelet.cli") & TRAINING


def test_writing_a_report_never_loads_torch(tmp_path: Path, tone_set: Path) -> None:
    model = changed(tiny_model(), labels=("high", "low", "other"))
    modelfile.write_model(model, tmp_path / "m.scn")
    run = "from scenelet.cli import main\ntry:\n    main()\nexcept SystemExit as end:\n    assert not end.code"
    used = loaded_by(run, "evaluate", str(tmp_path / "m.scn"), str(tone_set), "--out", str(tmp_path / "report"))
    assert (tmp_path / "report" / "listening.html").is_file()
    assert not used & TRAINING
