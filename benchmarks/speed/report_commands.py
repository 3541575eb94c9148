"""Sections on complete commands and on whole trainings, of the page of benchmarks."""

import statistics
from typing import Any

from benchmarks.speed.report_format import median, round_down, spread


def cold(part: dict[str, Any]) -> list[str]:
    """Show the times of commands from their start."""
    rows = ["## Cold start", "", "One 10 s file, a new process each time.", ""]
    rows += ["| | seconds | peak memory, MB |", "|---|---|---|"]
    names = {"ours": "`scenelet predict`", "reference": "the reference (librosa, PyTorch)"}
    for side, name in names.items():
        seconds = spread([run["seconds"] for run in part[side]], digits=2)
        rows.append(f"| {name} | {seconds} | {max(run['bytes'] for run in part[side]) / 1e6:.0f} |")
    return [*rows, ""]


def long(part: dict[str, Any]) -> list[str]:
    """Show the times of long recordings."""
    rows = ["## Long recordings", "", "`scenelet predict`, stereo, 48 kHz, 24 bit.", ""]
    rows += ["| minutes | seconds | seconds per minute | peak memory, MB |", "|---|---|---|---|"]
    for run in part["runs"]:
        each = run["seconds"] / run["minutes"]
        rows.append(f"| {run['minutes']} | {run['seconds']:.1f} | {each:.3f} | {run['bytes'] / 1e6:.0f} |")
    return [*rows, ""]


def bulk(part: dict[str, Any]) -> list[str]:
    """Show the times of `predict --out`."""
    count, cores = part["inputs"], part["cores"]
    middle = {way: median(values) for way, values in part["seconds"].items()}
    names = {"ray": f"Ray, {cores}", "local": f"local, {cores}", "ray_alone": "Ray, 1"}
    gain, share = middle["ray_alone"] / middle["ray"], middle["local"] / middle["ray"]
    return [
        "## Bulk prediction",
        "",
        f"`scenelet predict {part['model']} MANIFEST --out DIR` on {count:,} inputs of 1 s (mono, 48 kHz, 16 bit); the"
        " whole command, including its start (and that of Ray's cluster).",
        "",
        "| engine, workers | seconds | before the first part and after the last | inputs per second |",
        "|---|---|---|---|",
        *(
            f"| {names[way]} | {spread(values)} | {spread(part['around'][way])} | {int(count / middle[way])} |"
            for way, values in part["seconds"].items()
        ),
        "",
        f"Ray on {cores} processors has {round_down(gain)} times the throughput of Ray on one, and {round_down(share)}"
        " of the local engine's on the same.",
        "",
    ]


def drift(part: dict[str, Any]) -> list[str]:
    """Show how far trainings diverge that differ in rounding only."""
    names = ("fast", "threads", "layout")
    rows = [
        "## Drift",
        "",
        f"{part['steps']} steps of Adam in fp32 at the paper's rate, from one seed on the same batches. The"
        " table has the distance of all convolution weights at the end, relative to their norm.",
        "",
        "| seed | compiled layers against PyTorch's, same layout | PyTorch's layers, one thread against"
        f" {part['threads_of_all']} | compiled, channels-last against PyTorch's, default layout |",
        "|---|---|---|---|",
    ]
    rows += [
        f"| {seed} | " + " | ".join(f"{run[name]:.2e}" for name in names) + " |"
        for seed, run in enumerate(part["seeds"])
    ]
    means = [statistics.mean(run[name] for run in part["seeds"]) for name in names]
    rows.append("| mean | " + " | ".join(f"{mean:.2e}" for mean in means) + " |")
    return [*rows, ""]
