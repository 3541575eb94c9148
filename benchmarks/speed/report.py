"""The page `benchmarks.md`, written from the measurements."""

import statistics
from dataclasses import dataclass
from typing import Any

EXPORTED = ("int8", "waveform")
"""Rows that compare exported files with scenelet itself, not with the usual pipeline."""


@dataclass(frozen=True)
class Result:
    """A row: milliseconds per clip of every round, and the floor."""

    name: str
    title: str
    ours: list[float]
    reference: list[float]
    floor: float


EXPLAINED = """
Both sides alternate in one run, each in its own process. A figure is the median over the rounds, with the fastest
and the slowest round in brackets. *Ours* is what the commands run. *The reference* is the usual pipeline, written
plainly: librosa (load, STFT, decibels, A-weighting, mel; it computes the mel matrix for each file, as its
`melspectrogram` does) and CP-ResNet (width 64, rho 5) in eager PyTorch, fp32, with the default memory layout, one clip
after another. "The same network" is `shared_resnet` under the same conditions. Recordings are 10 s of noise, stereo,
48 kHz, 24 bit. The network is `shared_resnet`, width 64, two sub-bands, three classes, (2, 256, 431).

*The floor* is the minimum that the machine needs, measured in the same run. For training it is 3 x 2 x {macs:,}
operations, for prediction a third of that, at {gflops:.0f} GFLOP/s. This is the machine's fastest product of two
4096 x 4096 matrices, in bf16 if the processor has it, otherwise in fp32. Reading and features are not included, and
ONNX Runtime computes in fp32. For log-mel, the floor is the time of libsndfile, soxr (one thread per channel) and
SciPy's FFT of the frames alone. Norms, residual additions and ReLU move {norms:.0f} MB a clip in a training step in
bf16. A copy moves {gbytes:.1f} GB/s, so they need {norm_ms:.1f} ms, which the floor does not include.
"""


def markdown(found: dict[str, Any]) -> str:
    """Return the text of `benchmarks.md`."""
    machine = found["machine"]
    lines = [
        "# Benchmarks",
        "",
        f"Written by `{found['command']}`. Machine: {_machine(machine)};"
        f" {'norms compiled' if machine['compiler'] else 'no C++ compiler'}. {found['rounds']} rounds"
        " (3 for folders).",
    ]
    floors = found["floors"]
    per_ms = {"norm_ms": 1000 * floors["norm_bytes"] / floors["bytes"], "norms": floors["norm_bytes"] / 1e6}
    speeds = {"gflops": floors["flops"] / 1e9, "gbytes": floors["bytes"] / 1e9}
    lines += [EXPLAINED.format(macs=floors["macs"], **speeds, **per_ms)]
    rows = [row for row in found["rows"] if row["name"] not in EXPORTED]
    if rows:
        lines += ["| ms per clip | ours | reference | ratio | floor | ours / floor |", "|---|---|---|---|---|---|"]
        lines += [_row(row) for row in rows]
        lines.append("")
    lines += _same(found["differences"])
    lines += _exported([row for row in found["rows"] if row["name"] in EXPORTED])
    if "cold" in found:
        lines += _cold(found["cold"])
    if "long" in found:
        lines += _long(found["long"])
    if "bulk" in found:
        lines += _bulk(found["bulk"])
    if "drift" in found:
        lines += _drift(found["drift"])
    return "\n".join(lines)


def _machine(machine: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    cores = f"{machine['cores']} cores of {machine['processor']}, {machine['system']}"
    return f"{cores}; Python {machine['python']}, {packages}"


def _exported(rows: list[dict[str, Any]]) -> list[str]:
    """Compare files of `scenelet export` with their source."""
    if not rows:
        return []
    lines = ["## Exported files", "", "The same network and window, in ONNX Runtime with all its threads.", ""]
    lines += ["| ms per window | the file | what it is compared with | ratio |", "|---|---|---|---|"]
    for row in rows:
        ratio = statistics.median(row["reference"]) / statistics.median(row["ours"])
        lines.append(f"| {row['title']} | {_spread(row['ours'])} | {_spread(row['reference'])} | {_down(ratio)} |")
    return [*lines, ""]


def _row(row: dict[str, Any]) -> str:
    ours, reference = statistics.median(row["ours"]), statistics.median(row["reference"])
    return (
        f"| {row['title']} | {_spread(row['ours'])} | {_spread(row['reference'])} | {_down(reference / ours)} |"
        f" {row['floor']:.1f} | {ours / row['floor']:.2f} |"
    )


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f}-{max(values):.1f})"


def _down(value: float) -> str:
    """Format with two digits, rounded down."""
    return f"{int(value * 100) / 100:.2f}"


def _same(differences: dict[str, float]) -> list[str]:
    return [
        "Both sides compute the same. Largest differences: log-mel of the clip"
        f" {differences['db_then_mel']:.1e} dB in CP-ResNet's order and {differences['mel_then_db']:.1e} dB in the"
        " usual one; probabilities of the same weights, librosa and eager PyTorch against the `.scn`,"
        f" {differences['file']:.1e} with ONNX Runtime and {differences['file_openvino']:.1e} with OpenVINO; logits of"
        f" the same network in training mode, fp32, fast norms against plain ones, {differences['training_same']:.1e}.",
        "",
    ]


def _cold(cold: dict[str, list[dict[str, float]]]) -> list[str]:
    rows = ["## Cold start", "", "One 10 s file, a new process each time.", ""]
    rows += ["| | seconds | peak memory, MB |", "|---|---|---|"]
    names = {"ours": "`scenelet predict`", "reference": "the reference (librosa, PyTorch)"}
    for side, runs in cold.items():
        seconds = [run["seconds"] for run in runs]
        spread = f"{statistics.median(seconds):.2f} ({min(seconds):.2f}-{max(seconds):.2f})"
        rows.append(f"| {names[side]} | {spread} | {max(run['bytes'] for run in runs) / 1e6:.0f} |")
    return [*rows, ""]


def _long(runs: list[dict[str, float]]) -> list[str]:
    rows = ["## Long recordings", "", "`scenelet predict`, stereo, 48 kHz, 24 bit.", ""]
    rows += ["| minutes | seconds | seconds per minute | peak memory, MB |", "|---|---|---|---|"]
    for run in runs:
        each = run["seconds"] / run["minutes"]
        rows.append(f"| {run['minutes']} | {run['seconds']:.1f} | {each:.3f} | {run['bytes'] / 1e6:.0f} |")
    return [*rows, ""]


def _bulk(bulk: dict[str, Any]) -> list[str]:
    count, cores = bulk["inputs"], bulk["cores"]
    middle = {way: statistics.median(values) for way, values in bulk["seconds"].items()}
    names = {"ray": f"Ray, {cores}", "local": f"local, {cores}", "ray_alone": "Ray, 1"}
    gain, share = middle["ray_alone"] / middle["ray"], middle["local"] / middle["ray"]
    return [
        "## Bulk prediction",
        "",
        f"`scenelet predict {bulk['model']} MANIFEST --out DIR` on {count:,} inputs of 1 s (mono, 48 kHz, 16 bit); the"
        " whole command, including its start (and that of Ray's cluster)."
        f" By `{bulk['command']}` on {_machine(bulk['machine'])}.",
        "",
        "| engine, workers | seconds | before the first part and after the last | inputs per second |",
        "|---|---|---|---|",
        *(
            f"| {names[way]} | {_spread(values)} | {_spread(bulk['around'][way])} | {int(count / middle[way])} |"
            for way, values in bulk["seconds"].items()
        ),
        "",
        f"Ray on {cores} processors has {_down(gain)} times the throughput of Ray on one, and {_down(share)} of the"
        " local engine's on the same.",
        "",
    ]


def _drift(drift: dict[str, Any]) -> list[str]:
    names = ("fast", "threads", "layout")
    rows = [
        "## Drift",
        "",
        f"{drift['steps']} steps of Adam in fp32 at the paper's rate, from one seed on the same batches. The"
        " table has the distance of all convolution weights at the end, relative to their norm.",
        "",
        "| seed | compiled norms against PyTorch's, same layout | PyTorch's norms, one thread against"
        f" {drift['threads_of_all']} | compiled, channels-last against PyTorch's, default layout |",
        "|---|---|---|---|",
    ]
    rows += [
        f"| {seed} | " + " | ".join(f"{run[name]:.2e}" for name in names) + " |"
        for seed, run in enumerate(drift["seeds"])
    ]
    means = [statistics.mean(run[name] for run in drift["seeds"]) for name in names]
    rows.append("| mean | " + " | ".join(f"{mean:.2e}" for mean in means) + " |")
    return [*rows, ""]
