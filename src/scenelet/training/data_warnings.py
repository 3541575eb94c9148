"""Warnings about the recordings: printed before training and stored in the run folder."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from scenelet.config.run_folder import WARNINGS
from scenelet.data.audit.audit import audit
from scenelet.data.audit.findings import Finding, background_note
from scenelet.data.clips import ClipTable
from scenelet.data.splits import Split
from scenelet.utils.console import print_message
from scenelet.utils.files import replace_file

MAX_PRINTED = 3


def print_data_warnings(out: Path, table: ClipTable, split: Split, window_seconds: float) -> None:
    """Print what `scenelet check` finds and write it to `warnings.json`. Findings do not stop a training.

    Statistics of recordings that `scenelet check` or another run has cached are not computed again. A run that has
    `warnings.json` is not checked again. The labels of the test subset are not looked at.
    """
    if (out / WARNINGS).is_file():
        return
    findings = audit(table, window_seconds, split, held_out=True, refresh=False)
    replace_file(out / WARNINGS, json.dumps([asdict(finding) for finding in findings], indent=2) + "\n")
    for line in warning_lines(findings, str(table.path)):
        print_message(line)
    if table.background is None and (note := background_note(table.labels)):
        print_message(f"note: {note}")


def warning_lines(findings: Sequence[Finding], data: str) -> list[str]:
    """Return a line that counts the findings of each kind, and the first few findings; [] if there are none."""
    if not findings:
        return []
    kinds = Counter(finding.kind for finding in findings)
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    first = [f"  {finding.kind}: {finding.message}" for finding in findings[:MAX_PRINTED]]
    return [f"warning: {counts}; `scenelet check {data}` lists them", *first]
