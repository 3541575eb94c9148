"""`scenelet train`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from scenelet.cli.completion import models, rules
from scenelet.cli.options import (
    AudioDirOption,
    ChangeOption,
    DataArgument,
    Format,
    FormatOption,
    MultiLabel,
    MultiLabelOption,
    QuietOption,
    RecipeOption,
    Tau3ClassOption,
    parse_bytes,
    parse_count,
)
from scenelet.errors import DataError, UsageError
from scenelet.utils.console import print_message, spinner
from scenelet.utils.console import quiet as suppress_messages
from scenelet.utils.text import duration

MAX_MACS_HELP = "Maximum multiply-accumulates per second of audio, e.g. 30M; width and depth are searched."
MAX_BYTES_HELP = "Maximum bytes of parameters, zeros included, e.g. 128kB; width and depth are searched."
RULE_HELP = "Size rule that counts and sets both limits, e.g. dcase2024; --max-macs, --max-bytes replace its numbers."
SOURCE_HELP = "Trained weights to start from: a .scn file, a built-in model or a run folder; `none`: random weights."
EACH_DEVICE_HELP = "Also fine-tune on each recording device alone; --out gets a run folder for each."
TEACHER_HELP = "Teacher to distill from: a run folder, or an .npz file of logits; may be repeated."


def train(
    data: DataArgument,
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    recipe: RecipeOption = None,
    fold: Annotated[str | None, typer.Option(help="Fold to hold out as test (default: the data's own split).")] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed (default: the recipe's, 0).")] = None,
    change: ChangeOption = None,
    audio_dir: AudioDirOption = None,
    tau_3_class: Tau3ClassOption = False,
    multi_label: MultiLabelOption = MultiLabel.refuse,
    max_macs: Annotated[
        str | None,
        typer.Option(help=MAX_MACS_HELP),
    ] = None,
    max_bytes: Annotated[
        str | None,
        typer.Option("--max-bytes", help=MAX_BYTES_HELP),
    ] = None,
    rule: Annotated[str | None, typer.Option(help=RULE_HELP, autocompletion=rules)] = None,
    teacher: Annotated[list[Path] | None, typer.Option(help=TEACHER_HELP)] = None,
    source: Annotated[str | None, typer.Option("--from", help=SOURCE_HELP, autocompletion=models)] = None,
    each_device: Annotated[bool, typer.Option("--each-device", help=EACH_DEVICE_HELP)] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Resume an interrupted run.")] = False,
    format: FormatOption = Format.table,
    quiet: QuietOption = False,
) -> None:
    """Train a classifier on labelled recordings."""
    from scenelet.config.recipes import load_recipe, parse_changes
    from scenelet.config.run_folder import RESUME_HINT, check_folder_is_new, check_run_exists, is_begun
    from scenelet.data.background import add_background
    from scenelet.data.load import load_table
    from scenelet.data.splits import make_split
    from scenelet.model.rules import find_rule
    from scenelet.training.device_runs import begun_runs, plan_device_runs
    from scenelet.training.preflight import check_batch_size
    from scenelet.training.ranks import Rank
    from scenelet.training.source import NO_SOURCE, default_source, read_source

    changes, options = change or [], {"split.fold": fold, "seed": seed}
    chosen = load_recipe(recipe or "default", changes, options)
    # A resumed run keeps its own settings, except for the devices. A run that has none yet begins with the command's.
    only_devices = not recipe and fold is None and seed is None and all(part.startswith("trainer.") for part in changes)
    begun = begun_runs(out) if each_device and resume else {}
    keeps_settings = (is_begun(out) or bool(begun)) and resume and only_devices
    config = None if keeps_settings else chosen
    rank = Rank() if config is None else check_batch_size(config)
    macs_limit = None if max_macs is None else parse_count("--max-macs", max_macs)
    bytes_limit = None if max_bytes is None else parse_bytes("--max-bytes", max_bytes)
    widths = [part for part in changes if part.partition("=")[0] == "network.width"]
    size_rule = None if rule is None else find_rule(rule, needs_limits=True)
    if size_rule is not None:
        macs_limit = size_rule.max_macs if macs_limit is None else macs_limit
        bytes_limit = size_rule.max_bytes if bytes_limit is None else bytes_limit
    has_limits = (macs_limit, bytes_limit) != (None, None)
    if widths and has_limits:
        raise UsageError(
            f"--max-macs, --max-bytes and --rule search network.width; leave out --set {widths[0]}, or them"
        )
    if not resume and not rank.is_worker:
        check_folder_is_new(out, RESUME_HINT)
    for path in teacher or ():
        if path.suffix != ".npz":
            check_run_exists(path)
    if resume and (begun or is_begun(out)) and not data.exists():
        raise DataError(f"{data}: no such file or folder; if the recordings of {out} have moved, give their new path")
    if source not in (None, NO_SOURCE):
        read_source(source).check_changes(chosen, list(parse_changes(changes)))
    table = load_table(data, audio_dir, tau_3_class, multi_label=multi_label.value)
    is_general = source not in (None, NO_SOURCE)
    if config is not None:
        table = add_background(table, config.data)
        clips = make_split(table, config.split).train
        if source is None and not (recipe or teacher or has_limits or begun or is_begun(out)):
            source = default_source(clips, table.background, list(parse_changes(changes)))
    start = None if source == NO_SOURCE else source
    runs = []
    if each_device:
        runs = plan_device_runs(table, chosen, out, start, not is_general, resume, keeps_settings)
    with suppress_messages(rank.is_worker), spinner("Loading PyTorch"):
        from scenelet.evaluation.metrics import accuracy_text
        from scenelet.training.train import train
        from scenelet.training.train_devices import train_devices
        from scenelet.training.width_search import NetworkLimits

    limits, name = NetworkLimits(macs_limit, bytes_limit, size_rule), recipe or "default"
    if each_device:
        for record in [*begun.values()][:1]:  # runs that have not begun yet are like those that have
            name = record.recipe if keeps_settings else name
            teacher = teacher or [Path(each.path) for each in record.teachers]
        results = train_devices(
            table,
            runs,
            recipe=name,
            resume=resume,
            teachers=teacher or (),
            limits=limits,
            trainer=chosen.trainer,
        )
    else:
        metrics = train(
            table,
            out,
            config,
            recipe=name,
            resume=resume,
            teachers=teacher or (),
            limits=limits,
            source=start,
            trainer=chosen.trainer,
        )
        results = {"": metrics}
    if not all(results.values()):  # another process prints the results
        return
    print_message(f"trained in {duration(60 * sum(metrics['minutes'] for metrics in results.values()))}")
    if format is Format.json:
        found = {"runs": {str(out / each): metrics for each, metrics in results.items()}}
        print(json.dumps(found if each_device else {"run": str(out), **metrics}, indent=2))
    for each, metrics in results.items():
        for split in ("validation", "test"):
            if split in metrics and format is Format.table:
                note = ", synthetic data" if metrics["synthetic"] else ""
                print(f"{f'{each}, ' * bool(each)}{split}: macro accuracy {accuracy_text(metrics[split])}{note}")
    print_message(f"next: scenelet compress {out} --out {out.name}{'_models' if each_device else '.scn'}")
