"""Imports stay small: `import scenelet` is light, and no prediction loads PyTorch."""

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
    """Return the top-level packages, and the packages of scenelet, that a new interpreter loads to run the code."""
    script = f"import sys\n{code}\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    return {name for name in done.stdout.splitlines() if name.count(".") <= 1}


def test_import_scenelet_loads_no_heavy_package() -> None:
    light = loaded_by("import scenelet; scenelet.__version__")
    heavy = {"numpy", "scipy", "onnx", "onnxruntime", "pydantic", "soundfile", "soxr", "torch", "rich", "typer"}
    assert not light & heavy
    assert {name for name in light if name.startswith("scenelet")} == {"scenelet"}


def test_predict_loads_no_training_package(tmp_path: Path, tone_set: Path) -> None:
    modelfile.write_model(tiny_model(), tmp_path / "m.scn")
    run = "from scenelet.cli import main\ntry:\n    main()\nexcept SystemExit as end:\n    assert not end.code"
    used = loaded_by(run, "predict", str(tmp_path / "m.scn"), str(tone_set.parent / "low0.wav"))
    assert "onnxruntime" in used
    # loading these takes longer than the prediction itself
    assert not used & {"scipy.signal", "scipy.stats", "scipy.sparse", "librosa", "openvino"}
    assert not used & {"tflite", "ai_edge_litert", "tflite_micro"}
    assert not used & TRAINING


def test_load_and_predict_load_no_training_package() -> None:
    code = """
import scenelet
from scenelet.model.pretrained import example
assert scenelet.load("esc10").predict(example("esc10")).label == "dog"
"""
    used = loaded_by(code)
    assert "onnxruntime" in used
    assert not used & TRAINING


def test_dir_of_scenelet_offers_every_public_name() -> None:
    assert {*scenelet.__all__, *scenelet._MODULES} <= set(dir(scenelet))


@pytest.mark.parametrize("name", sorted({*scenelet.__all__, *scenelet._MODULES}))
def test_every_public_name_can_be_loaded(name: str) -> None:
    value = getattr(scenelet, name)
    assert name == "__version__" or value.__name__ == name


@pytest.mark.skipif(sys.platform == "win32", reason="on Windows, ONNX Runtime writes nothing to the home folder")
@pytest.mark.parametrize(
    "runtime", ["onnxruntime", "openvino", "tflite", pytest.param("training", marks=pytest.mark.slow)]
)
def test_predict_any_runtime_leaves_no_telemetry_files(tmp_path: Path, tone_set: Path, runtime: str) -> None:
    """Look at the folders in which ONNX Runtime would store an identifier of the machine, and its reports."""
    if runtime in ("openvino", "tflite") and find_spec(runtime) is None:
        pytest.skip(f"{runtime} is not installed")
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    modelfile.write_model(tiny_model(), tmp_path / "m.scn")
    # with one of these variables, ONNX Runtime sends no telemetry anyway
    disabling = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in disabling}
    environment |= {"HOME": str(home), "TMPDIR": str(temporary)}
    arguments = [str(tmp_path / "m.scn"), str(tone_set.parent / "low0.wav"), "--runtime", runtime]
    if runtime == "training":  # it imports ONNX Runtime through other packages
        arguments = ["-c", "import scenelet.training.loop, onnxruntime"]
    elif runtime == "tflite":
        arguments = ["-m", "scenelet", "export", str(tmp_path / "m.scn"), "--out", str(tmp_path / "m.tflite")]
    else:
        arguments = ["-m", "scenelet", "predict", *arguments]
    subprocess.run([sys.executable, *arguments], check=True, env=environment)
    written = [path for path in (*home.rglob("*"), *temporary.rglob("*")) if "matplotlib" not in path.parts]
    assert [path for path in written if path.is_file()] == []


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


def test_base_install_imports_all_and_lacks_training_names() -> None:
    script = """
import sys
sys.modules["torch"] = None
import scenelet
from scenelet import *
assert load is scenelet.load and Classifier is scenelet.Classifier
print([hasattr(scenelet, name) for name in ("SceneClassifier", "train", "compress", "load", "nothing")])
print(getattr(scenelet, "train", "default"))
try:
    scenelet.train
except AttributeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    fix = 'this needs torch; install it with: pip install "scenelet[train]", or ".[train]" in a clone'
    assert done.stdout.splitlines() == ["[False, False, False, True, False]", "default", fix]


def test_import_all_loads_no_training_package() -> None:
    assert not loaded_by("from scenelet import *") & TRAINING


def test_evaluate_and_check_load_no_training_package() -> None:
    modules = (
        "scenelet.evaluation.evaluate, scenelet.data.audit.audit, scenelet.model.summary, scenelet.data.feature_cache"
    )
    assert not loaded_by(f"import {modules}, scenelet.cli") & TRAINING


def test_evaluate_report_loads_no_training_package(tmp_path: Path, tone_set: Path) -> None:
    model = changed(tiny_model(), labels=("high", "low", "other"))
    modelfile.write_model(model, tmp_path / "m.scn")
    run = "from scenelet.cli import main\ntry:\n    main()\nexcept SystemExit as end:\n    assert not end.code"
    used = loaded_by(run, "evaluate", str(tmp_path / "m.scn"), str(tone_set), "--out", str(tmp_path / "report"))
    assert (tmp_path / "report" / "listening.html").is_file()
    assert not used & TRAINING
