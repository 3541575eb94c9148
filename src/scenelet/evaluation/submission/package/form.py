"""Form of an inference package: its label, files, functions, classes, devices and limits.

LABEL/                      the folder that pip installs
  setup.py, requirements.txt, README.md
  test_complexity.py        bytes and multiply-accumulates of each device's model
  wheels/                   scenelet itself, if it is given
  LABEL/                    the Python package
    LABEL_1.py to LABEL_4.py
    ckpts/LABEL_1/          general.scn, and DEVICE.scn of each device with a model of its own
    resources/              test.csv, the test clips of the development set; dummy.wav, 1 s of noise
"""

import re
from collections import Counter

from scenelet.data.tau_sets import THREE_CLASSES
from scenelet.model.rules import RULES

SCENES = tuple(THREE_CLASSES)
FUNCTIONS = {
    "predict": ("file_paths", "device_ids", "model_file_path", "use_cuda"),
    "load_model": ("model_file_path",),
    "load_inputs": ("file_paths", "device_ids", "model"),
    "get_model_for_device": ("model", "device_id"),
}
"""Mapping from a function that each module must have to the names of its arguments."""
OPTIONAL = {"model_file_path": "None", "use_cuda": "True"}
"""Mapping from an argument that the challenge may leave out to its default."""
MAX_MODULES = 4
RULE = RULES["dcase2025"]
"""Size rule of each device's model."""
CLIP_SECONDS = 1.0

DEVICE = re.compile(r"[abc]|s(?:[1-9]|10)")
LABEL = re.compile(r"[A-Za-z][A-Za-z0-9]*_[A-Za-z0-9]+_task1")
LABEL_FORM = "Lastname_Institute_task1 with letters and digits in name and institute, since it names a Python package"

SETUP, REQUIREMENTS, README, COMPLEXITY = "setup.py", "requirements.txt", "README.md", "test_complexity.py"
WHEELS, CHECKPOINTS, RESOURCES = "wheels", "ckpts", "resources"
TEST_LIST, DUMMY = "test.csv", "dummy.wav"


def module_names(label: str, count: int = MAX_MODULES) -> list[str]:
    """Return the names of a package's modules.

    >>> module_names("Lee_Inst_task1", 2)
    ['Lee_Inst_task1_1', 'Lee_Inst_task1_2']
    """
    return [f"{label}_{number}" for number in range(1, count + 1)]


def list_fault(data: bytes) -> str | None:
    r"""Return what is wrong with a list of test clips, as the baseline reads it, or None.

    >>> list_fault(b"filename\tscene_label\naudio/bus-a.wav\tbus\n")
    >>> list_fault(b"filename\n")
    'lists no clips'
    """
    try:
        header, *rows = [line.split("\t") for line in data.decode("utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError:
        return "is not UTF-8 text"
    except ValueError:
        return "is empty"
    if "filename" not in header:
        return "has no tab-separated column `filename`"
    if not rows:
        return "lists no clips"
    names = [row[header.index("filename")] if len(row) == len(header) else "" for row in rows]
    if not all(names):
        return f"has a row without a filename or with another number of columns, number {names.index('') + 1}"
    name, count = Counter(names).most_common(1)[0]
    return f"lists {name} twice" if count > 1 else None
