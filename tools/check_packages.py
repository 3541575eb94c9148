"""Check that wheel and sdist install in a clean environment, and that each extra is enough for its commands.

    python tools/check_packages.py [--only wheel:serve sdist:none ...]

The script builds both from this folder and checks their contents. For each extra it creates a virtual environment,
installs the archive with that extra and the versions of `constraints.txt`, and runs the extra's commands in an empty
folder. A command whose extra is missing must end with a one-line error. The script prints a Markdown table, and exits
with 1 if something failed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
ALLOWED = ("scenelet/", "scenelet-")  # folders of a wheel in site-packages
LEFT_OUT = {"dev"}  # what `make test` installs

MAKE = """
import numpy as np, soundfile
from pathlib import Path
rng, t = np.random.default_rng(0), np.arange(5 * 16000) / 16000
for label, hz in (("low", 300), ("high", 3000)):
    for number in range(6):
        Path("data", label, f"place{number}").mkdir(parents=True)
        sound = 0.3 * np.sin(2 * np.pi * hz * t) + 0.01 * rng.standard_normal(len(t))
        soundfile.write(Path("data", label, f"place{number}", "a.wav"), sound, 16000)
Path("list.csv").write_text("path\\ndata/low/place0/a.wav\\ndata/high/place0/a.wav\\n")
"""
SERVE = """
import json, re, subprocess, sys, urllib.request
with subprocess.Popen([sys.executable, "-m", "scenelet", "serve", "esc10", "--port", "0"], stderr=subprocess.PIPE,
                      text=True) as service:
    address = re.search(r"http://[^ /]+", service.stderr.readline())[0]
    assert json.load(urllib.request.urlopen(address + "/health"))["status"] == "ok"
    service.terminate()
"""
FETCH = """
import functools, http.server, threading
from pathlib import Path
from scenelet.data.download.http import RemoteFile, download
from scenelet.data.download.session import Web
quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), quiet)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/list.csv"
remote = RemoteFile(url, Path("got.csv"), Path("list.csv").stat().st_size, lambda path: "")
with Web() as web:
    download(web, remote, lambda count: None)
assert Path("got.csv").read_bytes() == Path("list.csv").read_bytes()
"""
Command = tuple[int, tuple[str, ...]]
"""Expected exit code, and arguments of Python."""


def scenelet(*arguments: str, code: int = 0) -> Command:
    """Return a scenelet command."""
    return code, ("-m", "scenelet", *arguments)


def script(text: str) -> Command:
    """Return a command that runs a Python script."""
    return 0, ("-c", text)


TRAINED = ("train", "data", "--out", "run", "--recipe", "demo", "--set", "schedule.epochs=1", "--set", "prune.epochs=1")
NEEDS: dict[str, tuple[str, ...]] = {
    "train": TRAINED,
    "serve": ("serve", "esc10"),
    "fetch": ("fetch", "esc10", "--out", "."),
    "bulk": ("predict", "esc10", "list.csv", "--out", "rows"),
    "openvino": ("predict", "esc10", "data", "--runtime", "openvino"),
    "tflite": ("export", "esc10", "--out", "model.tflite"),
    "mic": ("listen", "esc10"),
}
"""Extra -> a command that has no work without it."""
WORK: dict[str, Sequence[Command]] = {
    "none": [scenelet(*command, code=1) for command in NEEDS.values()],
    "train": [scenelet(*TRAINED), scenelet("compress", "run", "--out", "m.scn"), scenelet("predict", "m.scn", "data")],
    "serve": [script(SERVE)],
    "fetch": [script(FETCH)],
    "bulk": [scenelet(*NEEDS["bulk"])],
    "ray": [scenelet(*NEEDS["bulk"], "--engine", "ray", "--workers", "1")],
    "openvino": [scenelet(*NEEDS["openvino"])],
    "tflite": [scenelet(*NEEDS["tflite"]), scenelet(*NEEDS["tflite"], "--int8", "data")],
    # here a machine has no sound card, and perhaps no PortAudio, which it must say
    "mic": [scenelet("listen", "esc10", "data/low/place0/a.wav"), scenelet("listen", "esc10", code=1)],
    "docs": [script("import docutils, furo, myst_nb, sphinx, sphinx_copybutton")],
}
ALWAYS = [
    script(MAKE),
    script("import sys, scenelet; assert not {'torch', 'scipy.signal'} & set(sys.modules)"),
    scenelet("predict", "esc10", "data", "--format", "json"),
    scenelet("info", "esc10"),
    scenelet("check", "data"),
    scenelet("export", "esc10", "--out", "model.onnx"),
]


def main() -> int:
    """Build, check and install the archives, and run the commands."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="KIND:EXTRA", help="e.g. wheel:serve; all by default")
    options = parser.parse_args()
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    if set(declared) - LEFT_OUT != set(WORK) - {"none"}:
        raise SystemExit(f"the extras are {', '.join(declared)}; add the commands of each to WORK")
    faults = 0
    with tempfile.TemporaryDirectory() as scratch:
        archives = build(Path(scratch))
        print("| archive | extra | installed, MB | what was run | |\n|---|---|---|---|---|")
        for kind, archive in archives.items():
            print(f"| {kind} | | {archive.stat().st_size / 1e6:.2f} | its list of files | {outside(archive) or 'ok'} |")
            faults += bool(outside(archive))
            for extra in WORK:
                if options.only is None or f"{kind}:{extra}" in options.only:
                    size, fault = tried(archive, extra, Path(scratch, "environment"))
                    faults += bool(fault)
                    commands = len(ALWAYS) + len(WORK[extra])
                    print(f"| {kind} | {extra} | {size:.0f} | {commands} commands | {fault or 'ok'} |", flush=True)
    return 1 if faults else 0


def build(scratch: Path) -> dict[str, Path]:
    """Build the sdist, and the wheel from it, in a new environment."""
    python = environment(scratch / "builder")
    run([python, "-m", "pip", "install", "--quiet", "build"], scratch)
    run([python, "-m", "build", "--outdir", str(scratch / "dist"), str(ROOT)], scratch)
    (wheel,), (sdist,) = (scratch / "dist").glob("*.whl"), (scratch / "dist").glob("*.tar.gz")
    return {"wheel": wheel, "sdist": sdist}


def outside(archive: Path) -> str:
    """Return the files that an archive should not hold; empty if there are none."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as file:
            odd = [name for name in file.namelist() if not name.startswith(ALLOWED)]
    else:
        with tarfile.open(archive) as file:
            tracked = set(run(["git", "ls-files"], ROOT).split()) | {"PKG-INFO"}
            odd = [name for name in (member.name.split("/", 1)[1] for member in file) if name not in tracked]
    return f"not ours: {', '.join(odd[:3])}" if odd else ""


def tried(archive: Path, extra: str, folder: Path) -> tuple[float, str]:
    """Return the MB of an environment with the archive and an extra, and the failure in it or an empty string."""
    python = environment(folder)
    wanted = str(archive) if extra == "none" else f"{archive}[{extra}]"
    try:
        constraints = ["--constraint", str(ROOT / "constraints.txt")]
        run([python, "-m", "pip", "install", "--quiet", *constraints, wanted], folder)
        run([python, "-m", "pip", "check"], folder)
        work = folder / "work"
        work.mkdir()
        for code, arguments in (*ALWAYS, *WORK[extra]):
            run([python, *arguments], work, code)
        return megabytes(folder), ""
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or "").strip().splitlines()
        return megabytes(folder), f"{' '.join(error.cmd[1:5])[:60]}: {error.returncode}, {lines[-1] if lines else ''}"
    finally:
        shutil.rmtree(folder)


def megabytes(folder: Path) -> float:
    """Return the MB of all files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*")) / 1e6


def environment(folder: Path) -> str:
    """Create a virtual environment and return the path of its Python."""
    venv.create(folder, with_pip=True)
    return str(folder / "bin" / "python")


def run(command: Sequence[str], folder: Path, code: int = 0) -> str:
    """Run a command in `folder` without the PYTHON variables of this process, and return its output.

    Raises:
        CalledProcessError: its exit code is not `code`, or it printed a traceback.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, timeout=1800)
    if done.returncode != code or any(_tracebacks(done.stderr)):
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
    return done.stdout


def _tracebacks(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if line.startswith("Traceback"))


if __name__ == "__main__":
    sys.exit(main())
