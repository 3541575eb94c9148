"""`scenelet check`."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scenelet.cli.options import (
    AudioDirOption,
    DataArgument,
    Format,
    FormatOption,
    MultiLabel,
    MultiLabelOption,
    QuietOption,
    Tau3ClassOption,
)
from scenelet.errors import escape_unprintable
from scenelet.utils.console import print_message
from scenelet.utils.text import pluralize

if TYPE_CHECKING:
    from scenelet.data.audit.findings import Finding
    from scenelet.data.clips import ClipTable
    from scenelet.data.clips import MultiLabel as Treatment

MAX_LINES = 20
"""Maximum number of lines about findings of one kind."""


def check(
    data: DataArgument,
    fold: Annotated[str | None, typer.Option(help="Fold to hold out as test (default: check all folds).")] = None,
    window: Annotated[float, typer.Option(min=0.1, help="Window length in seconds.")] = 5.0,
    audio_dir: AudioDirOption = None,
    tau_3_class: Tau3ClassOption = False,
    multi_label: MultiLabelOption = MultiLabel.refuse,
    max_label_issues: Annotated[
        int, typer.Option(min=0, help="Maximum label errors to list, the most probable first.")
    ] = 40,
    workers: Annotated[int | None, typer.Option(min=1, help="Number of processes (default: one per core).")] = None,
    format: FormatOption = Format.table,
    quiet: QuietOption = False,
) -> None:
    """Check recordings before training.

    The exit code is 1 if there are errors.
    """
    from scenelet.config import SplitConfig
    from scenelet.data.audit.audit import audit
    from scenelet.data.audit.findings import Finding, background_note
    from scenelet.data.splits import make_split
    from scenelet.errors import DataError

    table, findings = _load(data, audio_dir, tau_3_class, multi_label.value)
    print_message(table.describe())
    notes = list(table.notes)  # `load_table` has printed them
    if note := background_note(table.labels):
        print_message(f"note: {note}")
        notes.append(note)
    split = None
    if fold is not None or len(table.folds) < 2:
        try:
            split = make_split(table, SplitConfig(fold=fold))
            print_message(split.description)
        except DataError as error:
            if fold is not None:
                raise
            findings.append(Finding("error", "no split", (), str(error)))
    findings += audit(table, window, split, workers, max_label_issues=max_label_issues, held_out=fold is not None)
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = len(findings) - errors
    if format is Format.json:
        report = {
            "data": table.describe(),
            "clips": len(table.clips),
            "classes": table.counts(),
            "errors": errors,
            "warnings": warnings,
            "notes": notes,
            "findings": [asdict(finding) for finding in findings],
        }
        print(json.dumps(report, indent=2))
    else:
        _print_findings(findings)
    clips = pluralize(len(table.clips), "clip")
    print_message(f"{clips}: {pluralize(errors, 'error')}, {pluralize(warnings, 'warning')}")
    if errors:
        raise typer.Exit(1)


def _load(
    data: Path, audio_dir: Path | None, tau_3_class: bool, multi_label: "Treatment"
) -> "tuple[ClipTable, list[Finding]]":
    """Load the clips, and return missing recordings as a finding, so that the others are still checked."""
    from scenelet.data.audit.findings import Finding
    from scenelet.data.load import load_table
    from scenelet.errors import MissingAudioError

    try:
        return load_table(data, audio_dir, tau_3_class, multi_label=multi_label), []
    except MissingAudioError as error:
        table = load_table(data, audio_dir, tau_3_class, require_audio=False, multi_label=multi_label)
        missing = set(error.names)
        present = tuple(clip for clip in table.clips if clip.recording_name not in missing)
        if not present:
            raise
        return replace(table, clips=present), [Finding("error", "missing", error.names, str(error))]


def _print_findings(findings: "Sequence[Finding]") -> None:
    """Print a line per finding, kind by kind, and only the first few of a kind that many recordings have."""
    width = max((len(finding.kind) for finding in findings), default=0) + 2
    messages = defaultdict(list)
    for finding in findings:
        messages[finding.severity, finding.kind].append(escape_unprintable(finding.message))
    for (severity, kind), lines in messages.items():
        if len(lines) > MAX_LINES and kind != "label":  # --max-label-issues limits the labels
            lines[MAX_LINES:] = [f"and {pluralize(len(lines) - MAX_LINES, 'more clip')}; --format json lists all"]
        for line in lines:
            print(f"{severity:<8}{kind:<{width}}{line}")
