"""Targets for tables, recipes and lists from users: CSV, TSV, TOML, YAML, Parquet."""

from collections.abc import Callable, Sequence
from pathlib import Path

from fuzz.targets import SCRATCH, Target, outcome, parts
from scenelet.bulk.manifest import read_inputs
from scenelet.config import SplitConfig
from scenelet.config.recipes import load_recipe
from scenelet.data.audit.tau_gaps import tau_gap_findings
from scenelet.data.load import load_table
from scenelet.data.splits import make_split
from scenelet.evaluation.submission.challenge import CHALLENGES, Challenge
from scenelet.evaluation.submission.details import read_details
from scenelet.evaluation.submission.faults import Fault
from scenelet.evaluation.submission.validate_meta import check_meta
from scenelet.evaluation.submission.validate_output import check_output
from scenelet.experiments.systems import load_systems


def table(data: bytes) -> str:
    """Read a CSV of labelled recordings."""
    path = SCRATCH.file("clips.csv", data)

    def read() -> None:
        found = load_table(path, require_audio=False)
        assert found.describe()
        assert len(found.counts()) == len(found.labels) > 1

    return outcome(read)


def tau(data: bytes) -> str:
    """Read a TAU root: meta.csv, the two tables of the official split, and training lists unless these are empty."""
    labels, train, test, *lists = parts(data, 6)
    files = {"meta.csv": labels, "evaluation_setup/fold1_train.csv": train, "evaluation_setup/fold1_test.csv": test}
    files |= dict(zip(("split5.csv", "split25.csv", "test.csv"), lists, strict=True))
    for name, content in files.items():
        path = SCRATCH.file(f"tau/{name}", content)
        if not content and name.startswith("split"):
            path.unlink()
    # if the last byte is even: as in training, where missing recordings are an error
    needs_audio = bool(data) and data[-1] % 2 == 0

    def read() -> None:
        found = load_table(SCRATCH.path / "tau", require_audio=False)
        assert found.describe()
        for percent in found.percentages:
            split = make_split(found, SplitConfig.model_validate({"percent": percent}))
            assert {clip.percent for clip in split.train} <= {5, percent}
        list(tau_gap_findings(found))

    word = outcome(read)
    if needs_audio:
        outcome(lambda: load_table(SCRATCH.path / "tau"))
    return word


def recipe(data: bytes) -> str:
    """Read a recipe, and values of `--set`."""
    text, *changes = data.split(b"\n--8<--\n")
    path = SCRATCH.file("own.toml", text)
    changes_text = [change.decode(errors="replace") for change in changes]
    return outcome(lambda: load_recipe(str(path), changes_text))


def systems(data: bytes) -> str:
    """Read a table of systems, whose rows become settings."""
    path = SCRATCH.file("systems.toml", data)

    def read() -> None:
        found = load_systems(str(path))
        for row in found.rows[:4]:
            found.config(row, "comparison")

    return outcome(read)


def details(data: bytes) -> str:
    """Read the details of a submission."""
    challenge, text = _year(data)
    path = SCRATCH.file("details.toml", text)
    return outcome(lambda: read_details(path, challenge))


def output(data: bytes) -> str:
    """Check the predictions of a submission. Faults are listed, not raised."""
    challenge, text = _year(data)
    return _listed(check_output("x.output.csv", text, challenge, partial=True))


def meta(data: bytes) -> str:
    """Check the meta information of a submission in YAML."""
    challenge, text = _year(data)
    return _listed(check_meta("x.meta.yaml", text, challenge, f"Chang_QTI_{challenge.task}_1"))


def _year(data: bytes) -> tuple[Challenge, bytes]:
    """Return the challenge whose year is on the first line, and the rest; without a year, that of 2020 and all."""
    first, _, rest = data.partition(b"\n")
    years = {str(year).encode(): challenge for year, challenge in CHALLENGES.items()}
    return (years[first], rest) if first in years else (CHALLENGES[2020], data)


def _listed(faults: Sequence[Fault]) -> str:
    lines = list(map(str, faults))
    assert all(line.isprintable() for line in lines), lines
    return "read" if all(fault.warning for fault in faults) else "refused"


def _listing(name: str) -> Callable[[bytes], str]:
    def target(data: bytes) -> str:
        path: Path = SCRATCH.file(name, data)
        return outcome(lambda: [text.encode() for text in read_inputs(str(path))])

    return target


TARGETS: dict[str, Target] = {
    "table": table,
    "tau": tau,
    "recipe": recipe,
    "systems": systems,
    "details": details,
    "output": output,
    "meta": meta,
    "manifest": _listing("list.csv"),
    "parquet": _listing("list.parquet"),
}
