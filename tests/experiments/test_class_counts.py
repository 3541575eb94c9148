"""Table 2, from the official files and from other data."""

from pathlib import Path

from scenelet.data.load import load_table
from scenelet.experiments.class_counts import class_counts, counts_markdown


def test_class_counts_of_the_official_files_are_table_2(tau: Path) -> None:
    root = tau / "TAU-urban-acoustic-scenes-2020-3class-development"
    counts = class_counts(load_table(root, require_audio=False))
    for subset in ("train", "test"):
        clips = {label: count["clips"] for label, count in counts["subsets"][subset].items()}
        assert clips == counts["paper"][subset]
    text = counts_markdown(counts)
    assert "| total | 9,185 | 4,185 | 1,030 | 9,185 | 4,185 |" in text
    assert "| indoor | 2,704 (86) | 1,297 (39) |" in text


def test_class_counts_of_other_data_are_by_fold(tone_set: Path) -> None:
    counts = class_counts(load_table(tone_set))
    assert list(counts["subsets"]) == ["fold 1", "fold 2", "fold 3"]
    assert counts["subsets"]["fold 1"]["low"] == {"clips": 4, "groups": 4}
    assert counts["paper"] is None
    assert "| total | 8 | 8 | 8 |" in counts_markdown(counts)
