"""Append-only JSON lines: truncated and damaged lines, and the version of a clip's file."""

import os
from pathlib import Path

import pytest

from scenelet.data.clips import Clip
from scenelet.data.json_lines import JsonLines, file_version
from scenelet.errors import AudioError


@pytest.fixture
def lines(tmp_path: Path) -> JsonLines:
    return JsonLines(tmp_path / "lines.jsonl")


def _values(lines: JsonLines) -> list[object]:
    return list(lines.read())


def test_read_returns_what_was_appended(lines: JsonLines) -> None:
    assert _values(lines) == []
    lines.append([["a", 1], {"b": [2.5]}])
    lines.append([])
    lines.append(["\ud800 and ü"])
    assert _values(lines) == [["a", 1], {"b": [2.5]}, "\ud800 and ü"]


def test_read_returns_none_for_damaged_and_truncated_lines(lines: JsonLines) -> None:
    lines.path.write_bytes(b"[1]\n\xff\n[2\n\0\0\n" + b"[" * 5000 + b"\n[3]\n[4]")
    assert _values(lines) == [[1], None, None, None, None, [3], None]


def test_append_removes_a_truncated_line(lines: JsonLines) -> None:
    for start in (b"", b"[1]\n", b"[1]\n[2]\n"):
        lines.path.write_bytes(start + b"[3, 4")
        lines.append([[5]])
        assert lines.path.read_bytes() == start + b"[5]\n"


def test_replace_writes_all_lines(lines: JsonLines) -> None:
    lines.append([[1], [2]])
    lines.replace([[3]])
    assert _values(lines) == [[3]]


def test_keep_last_removes_superseded_and_damaged_lines(lines: JsonLines) -> None:
    lines.append([["a", 1], ["b", 2], ["a", 3], None, ["c", 4], ["b", 5]])
    lines.keep_last(lambda value: value and value[0])
    assert _values(lines) == [["a", 3], ["c", 4], ["b", 5]]


def test_keep_last_leaves_a_file_without_repetition(lines: JsonLines) -> None:
    lines.append([["a", 1], ["b", 2]])
    before = lines.path.stat().st_ino
    lines.keep_last(lambda value: value[0])
    assert lines.path.stat().st_ino == before
    assert _values(lines) == [["a", 1], ["b", 2]]


def test_file_version_changes_with_size_and_time(tmp_path: Path) -> None:
    clip = Clip(tmp_path / "a.wav", "a.wav", "x", "a.wav")
    with pytest.raises(AudioError, match=r"a\.wav: no longer exists \(No such file or directory\)"):
        file_version(clip)
    versions = []
    for content, seconds in ((b"1", 1), (b"2", 1), (b"12", 1), (b"12", 2)):
        clip.path.write_bytes(content)
        os.utime(clip.path, (seconds, seconds))
        versions.append(file_version(clip))
    assert versions[0] == versions[1] == "a.wav|1|1000000000"
    assert len(set(versions)) == 3
