"""Planted faults: each is named with its file, its line or key, and what it must be."""

from collections.abc import Callable

import pytest
import yaml

from helpers.example_submission import SMALL, label_of, readers, valid_system
from scenelet.evaluation.submission.validate import check_system

CHALLENGE = SMALL[2024]
LABEL = label_of(CHALLENGE)
OUTPUT, META = f"{LABEL}.output.split_25.csv", f"{LABEL}.meta.yaml"
Files = dict[str, bytes]
RESULTS = "results.development_dataset.split_50"


def row(line: int, change: Callable[[list[str]], list[str]]) -> Callable[[Files], None]:
    """Change the fields of one line, counted from 1, of the output."""

    def plant(files: Files) -> None:
        lines = files[OUTPUT].decode().splitlines()
        lines[line - 1] = "\t".join(change(lines[line - 1].split("\t")))
        files[OUTPUT] = "\n".join(lines).encode() + b"\n"

    return plant


def field(line: int, column: int, value: str) -> Callable[[Files], None]:
    return row(line, lambda fields: [*fields[:column], value, *fields[column + 1 :]])


def text(old: str, new: str, name: str = OUTPUT) -> Callable[[Files], None]:
    def plant(files: Files) -> None:
        assert old in files[name].decode()
        files[name] = files[name].decode().replace(old, new).encode()

    return plant


def without_line(line: int) -> Callable[[Files], None]:
    def plant(files: Files) -> None:
        lines = files[OUTPUT].splitlines(keepends=True)
        files[OUTPUT] = b"".join(lines[: line - 1] + lines[line:])

    return plant


def key(path: str, value: object = ...) -> Callable[[Files], None]:
    """Set a value of the meta information, or remove its key."""

    def plant(files: Files) -> None:
        document = section = yaml.safe_load(files[META])
        *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
        for part in parents:
            section = section[part]
        if value is ...:
            del section[last]
        else:
            section[last] = value
        files[META] = yaml.safe_dump(document).encode()

    return plant


def renamed(old: str, new: str) -> Callable[[Files], None]:
    def plant(files: Files) -> None:
        files[new] = files.pop(old)

    return plant


OTHER = LABEL.replace("_1", "_2")
AUTHOR = {"lastname": "L", "firstname": "F", "email": "a@b.org", "affiliation": {}, "corresponding": True}
PLANTED = {
    # the output
    "comma": (text("\t", ","), f"{OUTPUT}, line 1", "the delimiter must be a tab"),
    "no header": (without_line(1), f"{OUTPUT}, line 1", "the header is missing; it must be filename, scene_label"),
    "other header": (text("tram\n", "train\n"), f"{OUTPUT}, line 1", "it must be filename, scene_label, airport"),
    "missing row": (without_line(5), OUTPUT, "has no row for 3.wav; it must have one for each recording"),
    "duplicate": (field(5, 0, "2.wav"), f"{OUTPUT}, line 5", "is a duplicate of line 4; it must occur once"),
    "other file": (
        field(5, 0, "12.wav"),
        f"{OUTPUT}, line 5",
        "'12.wav' is unknown; it must be one of 0.wav to 11.wav",
    ),
    "other format": (field(5, 0, "3.flac"), f"{OUTPUT}, line 5", "'3.flac' is unknown; it must be one of 0.wav"),
    "other class": (field(5, 1, "beach"), f"{OUTPUT}, line 5", "'beach' is unknown; it must be one of airport, bus"),
    "no number": (field(5, 4, "high"), f"{OUTPUT}, line 5", "metro 'high' is not a number; it must be a finite"),
    "comma in number": (field(5, 2, "0,5"), f"{OUTPUT}, line 5", "airport '0,5' is not a number; it must be"),
    "nan": (field(5, 11, "nan"), f"{OUTPUT}, line 5", "tram 'nan' is not a number; it must be a finite number"),
    "missing field": (row(5, lambda fields: fields[:-1]), f"{OUTPUT}, line 5", "has 11 fields; it must have 12"),
    "empty line": (text("\n6.wav", "\n\n6.wav"), f"{OUTPUT}, line 8", "is empty; it must be deleted"),
    # names
    "missing split": (lambda files: files.pop(OUTPUT), OUTPUT, "is missing; it must be added"),
    "other task": (renamed(META, META.replace("task1", "task1b")), META.replace("task1", "task1b"), "its name must be"),
    "other number": (renamed(META, META.replace("_1.", "_2.")), META.replace("_1.", "_2."), f"must begin with {LABEL}"),
    # the meta information
    "other label": (key("submission.label", OTHER), f"{META}, submission.label", f"it must be {LABEL}, as in the"),
    "long abbreviation": (
        key("submission.abbreviation", "Eleven_char"),
        f"{META}, submission.abbreviation",
        "must be text of at most 10 characters",
    ),
    "no corresponding author": (
        key("submission.authors.0.corresponding", False),
        f"{META}, submission.authors",
        "must have exactly one author with corresponding = true, and has 0",
    ),
    "two corresponding authors": (
        key("submission.authors", [AUTHOR, AUTHOR | {"affiliation": []}]),
        f"{META}, submission.authors",
        "must have exactly one author with corresponding = true, and has 2",
    ),
    "no email": (key("submission.authors.0.email"), f"{META}, submission.authors #1.email", "it must be added"),
    "parameters in words": (
        key("system.complexity.total_parameters", "61 K"),
        f"{META}, system.complexity.total_parameters",
        "is '61 K'; it must be an integer",
    ),
    "too large": (
        key("system.complexity.total_model_size", 128_001),
        f"{META}, system.complexity.total_model_size",
        "must be at most 128,000",
    ),
    "too slow": (key("system.complexity.macs", 30_000_001), f"{META}, system.complexity.macs", "at most 30,000,000"),
    "no adaptations": (
        key("system.description.split_adaptations"),
        f"{META}, system.description.split_adaptations",
        "is missing; it must be added",
    ),
    "no source code": (key("system.source_code"), f"{META}, system.source_code", "it must be added"),
    "result in words": (
        key(f"{RESULTS}.overall.accuracy", "54.3 %"),
        f"{META}, {RESULTS}.overall.accuracy",
        "is '54.3 %'; it must be a number, or null",
    ),
    "no class": (key(f"{RESULTS}.class_wise.bus"), f"{META}, {RESULTS}.class_wise.bus", "it must be added"),
    "no device": (key(f"{RESULTS}.device_wise.s5"), f"{META}, {RESULTS}.device_wise.s5", "it must be added"),
    "no results of a split": (key(RESULTS), f"{META}, {RESULTS}", "is missing; it must be added"),
    "syntax": (text("submission:", "submission", META), f"{META}, line", "it must be plain YAML"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_check_system_names_the_planted_fault(name: str) -> None:
    plant, where, words = PLANTED[name]
    files = valid_system(CHALLENGE)
    assert check_system(readers(files), CHALLENGE) == []
    plant(files)
    faults = [fault for fault in check_system(readers(files), CHALLENGE, LABEL) if not fault.warning]
    lines = [str(fault) for fault in faults]
    assert any(line.startswith(where) and words in line for line in lines), lines
    assert len(lines) <= 3
