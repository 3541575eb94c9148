"""The tests mirror the package: each test file belongs to a module of `src/scenelet`."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE, TESTS = ROOT / "src" / "scenelet", ROOT / "tests"
MODULES = {path.relative_to(PACKAGE).with_suffix("").as_posix() for path in PACKAGE.rglob("*.py")}
OTHER_FOLDERS = ("benchmarks", "docs", "fuzz", "helpers", "integration")
SEVERAL_COMMANDS = (
    "cli/test_stdout.py",
    "cli/test_early_refusals.py",
    "cli/test_every_command.py",
    "cli/test_mistakes.py",
    "cli/test_odd_names.py",
    "cli/test_quiet.py",
)
"""Tests of what several commands have in common."""


def module_of(test: Path) -> str | None:
    """Return the module of a test file: `test_MODULE.py` or `test_MODULE_ASPECT.py` in the folder of its package."""
    words = test.stem.removeprefix("test_").split("_")
    for count in range(len(words), 0, -1):
        module = (test.parent / "_".join(words[:count])).as_posix()
        for name in (module, f"{module}/__init__"):
            if name in MODULES:
                return name
    return None


def test_every_test_file_belongs_to_a_module() -> None:
    files = [path.relative_to(TESTS) for path in TESTS.rglob("test_*.py")]
    own = [path for path in files if path.parts[0] not in OTHER_FOLDERS and path.as_posix() not in SEVERAL_COMMANDS]
    assert [path.as_posix() for path in own if module_of(path) is None] == []
    assert len(own) > 100


def test_every_test_of_several_commands_exists() -> None:
    assert [name for name in SEVERAL_COMMANDS if not (TESTS / name).is_file()] == []


@pytest.mark.parametrize(
    ("test", "module"),
    [
        ("audio/test_windows.py", "audio/windows"),
        ("training/test_estimator_sklearn.py", "training/estimator"),
        ("config/test_recipes.py", "config/recipes/__init__"),
        ("audio/test_nothing.py", None),
    ],
)
def test_module_of_finds_the_longest_module_name(test: str, module: str | None) -> None:
    assert module_of(Path(test)) == module


def test_package_has_at_most_17_names() -> None:
    names = [path.name for path in PACKAGE.iterdir() if not path.name.startswith("__")]
    assert len(names) <= 17
