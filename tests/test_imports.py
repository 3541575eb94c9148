"""What may be loaded when: importing scenelet is light, and predicting never loads PyTorch."""

import subprocess
import sys
from pathlib import Path

from scenelet import modelfile
from tiny_model import tiny_model

HEAVY = ("torch", "scipy", "onnx", "onnxruntime", "lightning", "matplotlib", "pydantic", "soundfile")


def loaded(code: str, *arguments: str) -> set[str]:
    """Which of the heavy packages are loaded after `code`."""
    script = f"import sys\n{code}\nprint([name for name in {HEAVY} if name in sys.modules])"
    command = [sys.executable, "-c", script, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(eval(result.stdout.splitlines()[-1]))


def test_importing_scenelet_is_light() -> None:
    assert loaded("import scenelet; scenelet.__version__") == set()


def test_predicting_never_loads_torch(tmp_path: Path, tone_set: Path) -> None:
    modelfile.write(tiny_model(), tmp_path / "m.scn")
    run = "from scenelet.cli import main\ntry:\n    main()\nexcept SystemExit as end:\n    assert not end.code"
    seen = loaded(run, "predict", str(tmp_path / "m.scn"), str(tone_set.parent / "low0.wav"))
    assert "onnxruntime" in seen
    assert not seen & {"torch", "lightning", "matplotlib"}


def test_evaluating_and_checking_never_load_torch() -> None:
    modules = "scenelet.workflows.evaluate, scenelet.data.audit, scenelet.describe, scenelet.data.cache"
    assert not loaded(f"import {modules}, scenelet.cli") & {"torch", "lightning", "matplotlib"}
