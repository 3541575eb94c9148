"""Properties of a clip table."""

from pathlib import Path

from scenelet.data.clips import Clip, ClipTable


def _table(synthetic: bool = False, **columns: list[str | None]) -> ClipTable:
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    clips = tuple(Clip(Path(f"{i}.wav"), f"{i}.wav", **row) for i, row in enumerate(rows))  # type: ignore[arg-type]
    return ClipTable(Path(), "CSV meta.csv", clips, synthetic)


def test_table_labels_counts_and_groups_are_sorted() -> None:
    table = _table(label=["b", "a", "b"], group=["y", "y", "x"])
    assert table.labels == ("a", "b")
    assert list(table.counts().items()) == [("a", 1), ("b", 2)]
    assert table.groups == ("x", "y")


def test_table_folds_are_in_numeric_order() -> None:
    folds: list[str | None] = ["10", "extra", "9", None, "1"]
    assert _table(label=["a"] * 5, group=["g"] * 5, fold=folds).folds == ("1", "9", "10", "extra")


def test_describe_lists_the_contents_in_one_line() -> None:
    table = _table(label=["a", "b", "b"], group=["1", "2", "2"], fold=["1", "2", "2"])
    assert table.describe() == "CSV meta.csv: 3 clips, 2 classes, 2 groups, folds 1 2"
    synthetic = _table(label=["a", "b", "b"], group=["1", "2", "2"], split=["train", "test", None], synthetic=True)
    assert synthetic.describe() == (
        "CSV meta.csv: 3 clips, 2 classes, 2 groups, split train 1 test 1 none 1 (synthetic)"
    )
