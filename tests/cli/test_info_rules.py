"""`scenelet info --rule`: counts beside the limits of a year, and the exit status."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.tiny_model import changed, tiny_model
from scenelet.model.file import write_model
from scenelet.model.rules import RULES, apply_rule
from scenelet.model.scene_model import TrainingCounts

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a model within the limits of 2025, one that has more bytes, and one that cannot be read."""
    root = tmp_path / "models"
    root.mkdir()
    write_model(tiny_model(), root / "general.scn")
    write_model(changed(tiny_model(), counts=TrainingCounts(conv=100_000, conv_kept=100_000)), root / "s1.scn")
    return root


def test_info_rule_prints_counts_and_limits(command: Command, folder: Path) -> None:
    code, printed, _ = command("info", folder / "general.scn", "--rule", "dcase2024")
    found = apply_rule(RULES["dcase2024"], tiny_model(), 0)
    assert code == 0
    assert re.findall(r"^(\S+) +(.*)$", printed, re.MULTILINE) == [
        ("rule", "dcase2024: all parameters"),
        ("bytes", f"{found.bytes:,}; limit 128,000"),
        ("multiply-adds", f"{found.macs:,} per clip of 1 s; limit 30,000,000"),
        ("result", "within the limits"),
    ]


def test_info_rule_exceeded_exits_with_1(command: Command, folder: Path) -> None:
    code, printed, _ = command("info", folder / "s1.scn", "--rule", "dcase2025")
    assert code == 1
    assert "result              exceeds the limits by 72,000 bytes" in printed
    code, printed, _ = command("info", folder / "s1.scn", "--rule", "dcase2025", "--format", "json")
    assert code == 1
    found = json.loads(printed)
    assert (found["rule"], found["bytes"], found["max_bytes"], found["is_within"]) == (
        "dcase2025",
        200_000,
        128_000,
        False,
    )
    assert command("info", folder / "s1.scn", "--rule", "dcase2022")[0] == 0  # one byte each


def test_info_rule_without_limits_exits_with_0(command: Command, folder: Path) -> None:
    code, printed, _ = command("info", folder / "s1.scn", "--rule", "disk")
    assert code == 0
    assert f"bytes               {(folder / 's1.scn').stat().st_size:,}\nresult              no limits" in printed


def test_info_rule_says_that_long_windows_count_in_full(command: Command) -> None:
    code, printed, _ = command("info", "esc10", "--rule", "dcase2024")
    assert code == 1
    assert "A clip counts as a whole window of 5 s" in printed
    assert "window" not in command("info", "esc10", "--rule", "dcase2021")[1]


def test_info_rule_of_a_folder_checks_every_model(command: Command, folder: Path) -> None:
    code, printed, _ = command("info", folder, "--rule", "dcase2025")
    assert code == 1
    head, *lines = printed.splitlines()
    assert re.split(r"\s{2,}", head) == ["model", "disk, kB", "rule, kB", "M MACs", "accuracy, %"]
    found = apply_rule(RULES["dcase2025"], tiny_model(), 0)
    cells = [re.split(r"\s{2,}", line) for line in lines]
    assert [row[0] for row in cells] == ["general", "s1"]
    assert cells[0][2:] == [f"{found.bytes / 1000:.2f}", f"{found.macs / 1e6:.2f}", "not known", "within the limits"]
    assert cells[1][-1] == "exceeds the limits by 72,000 bytes"
    code, printed, _ = command("info", folder, "--rule", "dcase2025", "--format", "json")
    assert code == 1
    assert [row["rule"]["is_within"] for row in json.loads(printed)] == [True, False]
    (folder / "s1.scn").unlink()
    assert command("info", folder, "--rule", "dcase2025")[0] == 0
    assert command("info", folder)[0] == 0


def test_info_rule_of_a_folder_fails_if_a_model_is_damaged(command: Command, folder: Path) -> None:
    (folder / "s1.scn").write_bytes(b"")
    code, printed, err = command("info", folder, "--rule", "dcase2025")
    assert (code, len(printed.splitlines())) == (1, 2)
    assert "left out: " in err
    assert command("info", folder)[0] == 0


def test_info_unknown_rule_is_refused(command: Command, folder: Path) -> None:
    for model in (folder, folder / "general.scn"):
        code, printed, err = command("info", model, "--rule", "dcase24")
        assert (code, printed) == (2, "")
        assert "did you mean 'dcase2024'?" in err


def test_info_has_the_costs_by_each_rule(command: Command, folder: Path) -> None:
    _, printed, _ = command("info", folder / "general.scn")
    table = printed.split("size by rule")[1]
    for name in ("paper", "dcase2020", "dcase2020_with_ssn", "dcase2021", "dcase2022", "dcase2023 to 2025", "disk"):
        assert re.search(rf"^{name} +[\d.]+ Ki?B", table, re.MULTILINE | re.IGNORECASE), name
    found = apply_rule(RULES["dcase2022"], tiny_model(), 0)
    assert re.search(rf"^dcase2022 +{found.bytes / 1000:.2f} kB +{found.macs / 1e6:.2f} ", table, re.MULTILINE)
    _, printed, _ = command("info", folder / "general.scn", "--format", "json")
    rules = json.loads(printed)["rules"]
    size = (folder / "general.scn").stat().st_size
    assert rules == {name: apply_rule(rule, tiny_model(), size).to_json() for name, rule in RULES.items()}
