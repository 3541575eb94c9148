"""Imports: `import scenelet` is light, and running a model never imports PyTorch."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import scenelet
from helpers.tiny_model import changed, tiny_model
from scenelet.model import file as modelfile

TRAINING = {"torch", "lightning", "matplotlib", "scenelet.nn", "scenelet.training"}


def loaded_by(code: str, *arguments: str) -> set[str]:
    """Return the top-level packages and the packages of scenelet that a new interpreter has after running the code."""
    script = f"import sys\n{code}\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    return {name for name in done.stdout.splitlines() if name.count(".") <= 1}


def test_import_scenelet_is_light() -> None:
    light = loaded_by("import scenelet; scenelet.__version__")
    heavy = {"numpy", "scipy", "onnx", "onnxruntime", "pydantic", "soundfile", "soxr", "torch", "rich", "typer"}
    assert not light & heavy
    assert {name for name in light if name.startswith("scenelet")} == {"scenelet"}


def test_predict_command_never_imports_torch(tmp_path: Path, tone_set: Path) -> None:
    modelfile.write_model(tiny_model(), tmp_path / "m.scn")
    run = "from scenelet.cli import main\ntry:\n    main()\nexcept SystemExit as end:\n    assert not end.code"
    used = loaded_by(run, "predict", str(tmp_path / "m.scn"), str(tone_set.parent / "low0.wav"))
    assert "onnxruntime" in used
    # these take longer to import than the prediction itself
    assert not used & {"scipy.signal", "scipy.stats", "scipy.sparse", "librosa", "openvino"}
    assert not used & TRAINING


def test_load_and_predict_never_import_torch() -> None:
    code = """
import scenelet
from scenelet.model.pretrained import example
assert scenelet.load("esc10").predict(example("esc10")).label == "dog"
"""
    used = loaded_by(code)
    assert "onnxruntime" in used
    assert not used & TRAINING


def test_dir_of_scenelet_offers_every_public_name() -> None:
    assert set(scenelet.__all__) <= set(dir(scenelet))


@pytest.mark.parametrize("name", scenelet.__all__)
def test_every_public_name_can_be_loaded(name: str) -> None:
    value = getattr(scenelet, name)
    assert name == "__version__" or value.__name__ == name


@pytest.mark.skipif(sys.platform == "win32", reason="ONNX Runtime stores nothing in the user's home there")
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "training"])
def test_runtimes_report_nothing(tmp_path: Path, tone_set: Path, runtime: str) -> None:
    """By default ONNX Runtime stores an identifier of the machine, and its reports, in these folders."""
    if runtime == "openvino" and find_spec("openvino") is None:
        pytest.skip("openvino is not installed")
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    modelfile.write_model(tiny_model(), tmp_path / "m.scn")
    # with one of these, ONNX Runtime reports nothing by itself
    quiet = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in quiet}
    environment |= {"HOME": str(home), "TMPDIR": str(temporary)}
    words = [str(tmp_path / "m.scn"), str(tone_set.parent / "low0.wav"), "--runtime", runtime]
    if runtime == "training":  # training imports ONNX Runtime through other packages
        words = ["-c", "import scenelet.training.loop, onnxruntime"]
    else:
        words = ["-m", "scenelet", "predict", *words]
    subprocess.run([sys.executable, *words], check=True, env=environment)
    found = [path for path in (*home.rglob("*"), *temporary.rglob("*")) if "matplotlib" not in path.parts]
    assert [path for path in found if path.is_file()] == []


@pytest.mark.parametrize("missing", ["torch", "sklearn", "lightning"])
def test_estimator_without_its_extra_names_the_extra(missing: str) -> None:
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
    fix = 'install it with: pip install "scenelet[train]", or ".[train]" in a clone'
    assert done.stdout == f"MissingExtraError this needs {missing}; {fix}\n"


def test_evaluate_and_check_modules_never_import_torch() -> None:
    modules = (
        "scenelet.evaluation.evaluate, scenelet.data.audit.audit, scenelet.model.summary, scenelet.data.feature_cache"
    )
    assert not loaded_by(f"import {modules}, scenelet.cli") & TRAINING


def test_evaluate_report_never_imports_torch(tmp_path: Path, tone_set: Path) -> None:
    model = changed(tiny_model(), labels=("high", "low", "other"))
    modelfile.write_model(model, tmp_path / "m.scn")
    run = "from scenelet.cli import main\ntry:\n    main()\nexcept SystemExit as end:\n    assert not end.code"
    used = loaded_by(run, "evaluate", str(tmp_path / "m.scn"), str(tone_set), "--out", str(tmp_path / "report"))
    assert (tmp_path / "report" / "listening.html").is_file()
    assert not used & TRAINING
