"""What is wrong with the recordings, said in a few lines before training and kept in the run folder."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from scenelet.config.run_folder import WARNINGS
from scenelet.data.audit.audit import audit
from scenelet.data.audit.findings import Finding
from scenelet.data.load import load_table
from scenelet.data.splits import Split
from scenelet.training.run_record import DataRecord
from scenelet.utils.console import print_message
from scenelet.utils.files import replace_file

SHOWN = 3


def print_data_warnings(
    out: Path, source: DataRecord, split: Split, window_seconds: float, cache_dir: Path | None
) -> None:
    """Say what `scenelet check` finds, and write it to `warnings.json`; nothing of it stops a training.

    What was measured by `scenelet check`, or for another run, is not measured again. A run that has been warned is not
    warned again. The labels of the test side are not looked at.
    """
    if (out / WARNINGS).is_file():
        return
    audio_dir = None if source.audio_dir is None else Path(source.audio_dir)
    table = load_table(Path(source.path), audio_dir, source.tau_3_class)
    findings = audit(table, window_seconds, split, held_out=True, again=False, cache_dir=cache_dir)
    replace_file(out / WARNINGS, json.dumps([asdict(finding) for finding in findings], indent=2) + "\n")
    for line in warning_lines(findings, source.path):
        print_message(line)


def warning_lines(findings: Sequence[Finding], data: str) -> list[str]:
    """The kinds with their counts, and the first few sentences; nothing where nothing was found."""
    if not findings:
        return []
    kinds = Counter(finding.kind for finding in findings)
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    first = [f"  {finding.kind}: {finding.message}" for finding in findings[:SHOWN]]
    return [f"warning: {counts}; `scenelet check {data}` lists them", *first]
