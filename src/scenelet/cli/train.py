"""`scenelet train`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from scenelet.cli.options import Format, parse_bytes, parse_count
from scenelet.errors import UsageError
from scenelet.utils.console import print_message, quiet, spinner
from scenelet.utils.text import duration


def train(
    data: Annotated[Path, typer.Argument(help="TAU root, class-per-folder tree, or CSV/TSV with filename,label.")],
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    recipe: Annotated[str | None, typer.Option(help="Recipe name or TOML file; `default` if not given.")] = None,
    fold: Annotated[str | None, typer.Option(help="Fold to hold out as test.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, order and mixing.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="On top of the recipe; may be repeated.")
    ] = None,
    audio_dir: Annotated[Path | None, typer.Option(help="Where a CSV's files lie.")] = None,
    tau_3_class: Annotated[bool, typer.Option("--tau-3-class", help="Map the ten TAU scenes to three.")] = False,
    max_macs: Annotated[
        str | None, typer.Option(help="Find width and depth: so many multiply-accumulates a second of sound, e.g. 30M.")
    ] = None,
    max_bytes: Annotated[
        str | None,
        typer.Option("--max-bytes", help="Find width and depth: so many bytes of parameters, zeros included."),
    ] = None,
    teacher: Annotated[Path | None, typer.Option(help="Run folder whose network teaches this one (distil).")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last finished epoch.")] = False,
    format: Annotated[Format, typer.Option(help="What to print.")] = Format.table,
) -> None:
    """Train a classifier on labelled recordings."""
    from scenelet.config.recipes import load_recipe
    from scenelet.config.run_folder import RESUME_HINT, check_folder_is_new, check_run_exists, is_begun
    from scenelet.data.load import load_table
    from scenelet.data.splits import make_split
    from scenelet.training.preflight import check_batch_size
    from scenelet.training.ranks import Rank

    changes = list(change or [])
    changes += [] if fold is None else [f'split.fold="{fold}"']
    changes += [] if seed is None else [f"seed={seed}"]
    chosen = load_recipe(recipe or "default", changes)
    # the run's own settings, on other devices at most; one that was killed before it had any begins as it would have
    own = is_begun(out) and resume and not recipe and all(part.startswith("trainer.") for part in changes)
    config = None if own else chosen
    rank = Rank() if config is None else check_batch_size(config)
    macs_limit = None if max_macs is None else parse_count("--max-macs", max_macs)
    bytes_limit = None if max_bytes is None else parse_bytes("--max-bytes", max_bytes)
    widths = [part for part in changes if part.partition("=")[0] == "network.width"]
    if widths and (macs_limit, bytes_limit) != (None, None):
        raise UsageError(f"--max-macs and --max-bytes find network.width; leave out --set {widths[0]}, or them")
    if not resume and not rank.is_worker:
        check_folder_is_new(out, RESUME_HINT)
    if teacher is not None:
        check_run_exists(teacher)
    table = load_table(data, audio_dir, tau_3_class)
    if config is not None:
        make_split(table, config.split)
    with quiet(rank.is_worker), spinner("Loading PyTorch"):
        from scenelet.training.train import train
        from scenelet.training.width_search import NetworkLimits

    metrics = train(
        table,
        out,
        config,
        recipe=recipe or "default",
        resume=resume,
        teacher=teacher,
        limits=NetworkLimits(macs_limit, bytes_limit),
        trainer=chosen.trainer,
    )
    if not metrics:  # another process talks
        return
    print_message(f"trained in {duration(60 * metrics['minutes'])}")
    if format is Format.json:
        print(json.dumps({"run": str(out), **metrics}, indent=2))
    for side in ("validation", "test"):
        if side in metrics and format is Format.table:
            made = " (made scenes)" if metrics["synthetic"] else ""
            print(f"{side}: macro accuracy {100 * metrics[side]['macro_accuracy']:.1f} %{made}")
    print_message(f"next: scenelet compress {out} --out {out.name}.scn")
