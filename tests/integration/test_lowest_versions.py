"""The lowest versions that pyproject.toml allows: each is given, and none has a vulnerability that we know of."""

import tomllib
from pathlib import Path

import pytest

from tools.lowest_versions import lowest_versions

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOWEST = dict(line.split("==") for line in lowest_versions(PROJECT))


def numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


@pytest.mark.parametrize(
    ("name", "safe"),
    {
        "filelock": "3.24",  # CVE-2025-68146, CVE-2026-22701; and a lock file may be deleted while it is held
        "fsspec": "2026.6",
        "jinja2": "3.1.6",  # CVE-2025-27516
        "numpy": "2",
        "onnx": "1.21",  # CVE-2026-27489, CVE-2026-34445
        "requests": "2.32.4",  # CVE-2024-47081
        "torch": "2.10",  # CVE-2025-32434, CVE-2026-24747
        "urllib3": "2.6.3",  # CVE-2025-66471, CVE-2026-21441
    }.items(),
)
def test_lowest_version_is_safe(name: str, safe: str) -> None:
    assert numbers(LOWEST[name]) >= numbers(safe)


def test_withdrawn_versions_of_lightning_are_excluded() -> None:
    (lightning,) = [each for each in PROJECT["optional-dependencies"]["train"] if each.startswith("lightning")]
    assert {"!=2.6.2", "!=2.6.3"} <= set(lightning.split(","))


def test_lowest_versions_without_a_lower_bound_raises() -> None:
    with pytest.raises(AssertionError, match="has no lowest version"):
        lowest_versions({"dependencies": ["numpy"], "optional-dependencies": {}})
