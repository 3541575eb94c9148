"""The page `benchmarks.md`, written from the measurements."""

import statistics
from typing import Any

from benchmarks.speed.instruction_sets import AVX2, BEST
from benchmarks.speed.networks import NETWORKS, THREADS
from benchmarks.speed.report_commands import bulk, cold, drift, long
from benchmarks.speed.report_format import median, round_down, show_run, spread
from benchmarks.speed.rows import ROWS

EXPLAINED = """
All sides alternate in one run, each in its own process. A figure is the median over the rounds, with the fastest and
the slowest round in brackets. *Ours* is what the commands run. *The reference* is the usual pipeline, written plainly:
librosa (load, STFT, decibels, A-weighting, mel; it computes the mel matrix for each file, as its `melspectrogram` does)
and CP-ResNet (width 64, rho 5) in eager PyTorch, fp32, with the default memory layout, one clip after another. It has
the allocator setting and the threads of ours. librosa uses one thread. The ratio compares these two. *As people run it*
is the reference with the default allocator of the C library. "The same network" is `shared_resnet` under the same
conditions. Recordings are 10 s of noise, stereo, 48 kHz, 24 bit. The network is `shared_resnet`, width 64, two
sub-bands, three classes, (2, 256, 431).

*The floor* is the minimum that the machine needs, measured in the same run. For training it is 3 x 2 x {macs:,}
operations, for prediction a third of that, at the speed of the fastest product of two 4096 x 4096 matrices. Reading,
features, norms and additions are not included. For log-mel, the floor is the time of libsndfile, soxr (one thread per
channel) and SciPy's FFT of the frames alone.
"""
LIMITED = """
Environment variables limited PyTorch, oneDNN, MKL, NumPy, OpenBLAS and Numba to AVX2, in all processes
(`benchmarks/speed/instruction_sets.py`). SciPy's FFT and soxr have no AVX-512 code, and libsndfile was not examined.
**ONNX Runtime cannot be limited**: in the rows with an asterisk, our network used AVX-512 and the reference's did not.
They therefore have no ratio. OpenVINO fails when it is limited, so it has no rows here.
"""


def markdown(found: dict[str, Any]) -> str:
    """Return the text of `benchmarks.md`."""
    main = next(part["run"] for part in found.values())
    compiled = "layers compiled" if main["machine"]["compiler"] else "no C++ compiler"
    lines = ["# Benchmarks", "", f"Written by {show_run(main)}; {compiled}. {main['rounds']} rounds (3 for folders)."]
    if "limits" in found:
        lines.append(EXPLAINED.format(macs=found["limits"][BEST]["floors"]["macs"]))
        for instructions in (AVX2, BEST):
            lines += _instruction_set(found, instructions)
    lines += _networks(found.get("networks", {}), main)
    lines += _exported(found, main)
    for name, section in {"cold": cold, "long": long, "bulk": bulk, "drift": drift}.items():
        if name in found:
            lines += [*section(found[name]), *_by([found[name]], main)]
    return "\n".join(lines)


def _by(parts: list[dict[str, Any]], main: dict[str, Any]) -> list[str]:
    """Name the runs of parts that are not from the main run."""
    runs = [part["run"] for part in parts if part["run"] != main]
    return [line for run in runs[:1] for line in (f"By {show_run(run)}.", "")]


def _heading(instructions: str, run: dict[str, Any]) -> str:
    return "AVX2" if instructions == AVX2 else str(run["machine"]["instructions"])


def _instruction_set(found: dict[str, Any], instructions: str) -> list[str]:
    """Show the rows of one instruction set with their floors and differences."""
    limits = found["limits"].get(instructions)
    parts = {name: found[name] for name, row in ROWS.items() if row.floor and instructions in found.get(name, {})}
    if not limits or not parts:
        return []
    lines = [f"## {_heading(instructions, found['limits']['run'])}", *([LIMITED] if instructions == AVX2 else [""])]
    lines += ["| ms per clip | ours | reference | ratio | as people run it | floor | ours / floor |"]
    lines += ["|---|---|---|---|---|---|---|"]
    lines += [_row(name, part[instructions], instructions) for name, part in parts.items()]
    floors, differences = limits["floors"], limits["differences"]
    lines += [
        "",
        f"The product of matrices has {floors['flops'] / 1e9:.0f} GFLOP/s and a copy {floors['bytes'] / 1e9:.1f} GB/s."
        f" Norms, additions and ReLU move {floors['norm_bytes'] / 1e6:.0f} MB a clip in a training step in bf16, and"
        f" twice as much in fp32; at the speed of a copy, {1000 * floors['norm_bytes'] / floors['bytes']:.1f} ms in"
        f" bf16. Of the libraries' time, libsndfile takes {1000 * floors['libsndfile']:.1f} ms, soxr"
        f" {1000 * floors['soxr']:.1f} ms and SciPy {1000 * floors['scipy']:.1f} ms. Our reader of uncompressed WAV"
        f" files takes {1000 * floors['our_reader']:.1f} ms in place of libsndfile's, so ours can be below this floor.",
        "",
        *_same(differences),
    ]
    return lines + _by(list(parts.values()), found["limits"]["run"])


def _row(name: str, times: dict[str, list[float]], instructions: str) -> str:
    row, middle = ROWS[name], median(times["ours"])
    is_fair = instructions == BEST or not row.runtime
    ratio = round_down(median(times["reference"]) / middle) if is_fair else "-"
    of_floor = f"{middle / median(times['floor']):.2f}" if is_fair else "-"
    ours, reference, default = (spread(times[side]) for side in ("ours", "reference", "default"))
    columns = [f"{row.title}{'' if is_fair else ' *'}", ours, reference, ratio, default]
    return f"| {' | '.join(columns)} | {median(times['floor']):.1f} | {of_floor} |"


def _same(differences: dict[str, float]) -> list[str]:
    openvino = f" and {differences['file_openvino']:.1e} with OpenVINO" if "file_openvino" in differences else ""
    return [
        "Both sides compute the same. Largest differences: log-mel of the clip"
        f" {differences['db_then_mel']:.1e} dB in CP-ResNet's order and {differences['mel_then_db']:.1e} dB in the"
        " usual one; probabilities of the same weights, librosa and eager PyTorch against the `.scn`,"
        f" {differences['file']:.1e} with ONNX Runtime{openvino}; logits of the same network in training mode, fp32,"
        f" fast layers against plain ones, {differences['training_same']:.1e}.",
        "",
    ]


def _networks(part: dict[str, Any], main: dict[str, Any]) -> list[str]:
    """Show the steps of the networks, next to plain PyTorch."""
    lines = []
    for instructions in (AVX2, BEST):
        if instructions not in part:
            continue
        measured: dict[str, dict[str, list[float]]] = part[instructions]
        sides = list(next(iter(measured.values())))
        precisions = [side.split()[1] for side in sides if side.startswith("ours")]
        pairs = [("plain fp32", f"ours {precision}") for precision in precisions]
        pairs += [("plain bf16", "ours bf16")] if "bf16" in precisions else []
        ratios = [f"{above} / {below}" for above, below in pairs]
        lines += [f"### {_heading(instructions, part['run'])}", ""]
        lines += [f"| ms per clip | threads | {' | '.join([*sides, *ratios])} |"]
        lines += ["|" + "---|" * (2 + len(sides) + len(ratios))]
        for key, times in measured.items():
            name, threads = key.split()
            shown = [f"{median(times[side]):.1f}" for side in sides]
            shown += [round_down(median(times[above]) / median(times[below])) for above, below in pairs]
            lines.append(f"| {NETWORKS[name].title} | {threads} | {' | '.join(shown)} |")
        lines += ["", f"BC-ResNet's step relative to Shared-ResNet's of width 28, ours: {_broadcast(measured)}.", ""]
    if not lines:
        return []
    heading = ["## Training steps of the networks", ""]
    text = [
        "Ours next to the same network in plain PyTorch (default memory layout, `torch.optim.Adam`, same allocator;"
        " bf16 by autocast). Medians. Batches of (10, 2, 256, 431) for the first two, (16, 1, 64, 216) for BC-ResNet"
        " and width 28, and (16, 1, 40, 501) for the baseline.",
        "",
    ]
    return [*heading, *text, *lines, *_by([part], main)]


def _broadcast(measured: dict[str, dict[str, list[float]]]) -> str:
    parts = []
    for threads in THREADS:
        wide, narrow = measured[f"bc_resnet_38 {threads}"], measured[f"shared_resnet_28 {threads}"]
        for side in (side for side in wide if side.startswith("ours")):
            ratio = median(wide[side]) / median(narrow[side])
            parts.append(f"{ratio:.1f} in {side.split()[1]} with {threads} thread{'s' if threads > 1 else ''}")
    return ", ".join(parts)


def _exported(found: dict[str, Any], main: dict[str, Any]) -> list[str]:
    """Compare files of `scenelet export` with their source."""
    parts = {name: found[name] for name, row in ROWS.items() if row.floor is None and name in found}
    if not parts:
        return []
    lines = ["## Exported files", "", "The same network and window, in ONNX Runtime with all its threads.", ""]
    lines += ["| ms per window | the file | what it is compared with | ratio |", "|---|---|---|---|"]
    for name, part in parts.items():
        times = part[BEST]
        ratio = statistics.median(times["reference"]) / statistics.median(times["ours"])
        shown = f"{spread(times['ours'])} | {spread(times['reference'])}"
        lines.append(f"| {ROWS[name].title} | {shown} | {round_down(ratio)} |")
    return [*lines, "", *_by(list(parts.values()), main)]
