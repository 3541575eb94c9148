"""Train a network on labelled recordings into a run folder: `scenelet train`."""

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

from scenelet.config import RunConfig, TrainerConfig
from scenelet.config.run_folder import (
    DEVICES,
    RECORD,
    RunRecord,
    check_same_split,
    is_begun,
    is_finished,
    read_metrics,
    versions,
    write_metrics,
    write_record,
    write_statistics,
)
from scenelet.data.background import absolute_background, add_background
from scenelet.data.clips import ClipTable
from scenelet.data.load import as_table
from scenelet.data.splits import split_table
from scenelet.errors import ModelFileError, UsageError
from scenelet.model.file import check_model
from scenelet.nn import model_settings
from scenelet.nn.convert import to_scene_model
from scenelet.nn.standardize import StandardizedNetwork
from scenelet.training.batches import epoch_batches
from scenelet.training.curves import plot_curves
from scenelet.training.data_warnings import print_data_warnings
from scenelet.training.dataset import Dataset, load_dataset
from scenelet.training.device import device_name
from scenelet.training.distributed import check_devices
from scenelet.training.head import fit_head
from scenelet.training.loop import run_trainer
from scenelet.training.losses import build_loss
from scenelet.training.measure import evaluate_network
from scenelet.training.module import History, SceneModule
from scenelet.training.network import build_network, save_weights
from scenelet.training.precision import resolve_precision
from scenelet.training.ranks import Rank, find_rank
from scenelet.training.run_settings import resolve_devices, resolve_settings
from scenelet.training.source import Source
from scenelet.training.teacher import Teachers, load_teachers
from scenelet.training.transfer import check_freeze, find_source, start_network
from scenelet.training.width_search import DEPTHS, NetworkLimits, search_width
from scenelet.utils.console import print_message, quiet, shows_messages, spinner
from scenelet.utils.locks import file_lock
from scenelet.utils.text import first_few, pluralize

NO_LIMITS = NetworkLimits()
BUSY = "another process is training there; wait for it to finish, or choose another --out"


def train(
    data: str | os.PathLike[str] | ClipTable | Dataset,
    out: str | os.PathLike[str],
    config: RunConfig | None,
    *,
    recipe: str = "",
    resume: bool = False,
    teachers: Sequence[Path] = (),
    limits: NetworkLimits = NO_LIMITS,
    source: str | os.PathLike[str] | None = None,
    trainer: TrainerConfig | None = None,
    description: str = "Training",
    callbacks: Sequence[Callback] = (),
) -> dict[str, Any]:
    """Train on `data` into the run folder `out`. With several devices, each device has a process that calls this.

    Args:
        data: a path that `scenelet.data.load.load_table` takes, its table, or a data set loaded with `config`.
        out: the run folder. It must be new or empty unless `resume` is set; it may hold the CSV `data`.
        config: the settings; None: those of the run that is resumed. Only `trainer` may differ from them.
        recipe: name of the recipe, for the record.
        resume: continue after the last finished epoch. The result is the same as without the interruption.
        teachers: folders of finished runs, and `.npz` files of logits, to distill from. Empty: the resumed run's.
        limits: maximum costs of the network. Its width and depth are searched, and become settings of the run.
        source: a run folder, a `.scn` file or the name of a built-in model, whose weights the run starts from. Its
            features, windows and network replace those of `config`. None: the resumed run's, or random weights.
        trainer: devices for a run that is resumed without `config`; only the fields that were set are used.
        description: text next to the progress bar.
        callbacks: further Lightning callbacks, which must not change the training.

    Returns:
        The content of `metrics.json`; {} in the processes other than the first.

    Raises:
        SceneletError: the data, the settings or the run folder cannot be used. Other processes raise SystemExit.
    """
    out = Path(out)
    devices = resolve_devices(out, config, trainer)
    rank = find_rank(devices.devices, devices.num_nodes)
    check_devices(devices)
    with contextlib.ExitStack() as until_done:
        until_done.enter_context(quiet(rank.is_worker))
        table = data.table if isinstance(data, Dataset) else as_table(data)
        start = find_source(out, source, resume)
        if config is not None:
            table = add_background(table, config.data)
            config = config.model_copy(update={"data": absolute_background(config.data, table)})
        if limits != NO_LIMITS:
            config = _search_network(config, limits, table.labels, start)
        if start is not None and config is not None:
            config = start.apply(config)
        settings = resolve_settings(out, config, resume, devices, rank, table.path)
        dataset = data if isinstance(data, Dataset) else _load_dataset(table, settings, out, resume)
        check_freeze(settings, start, bool(teachers))
        network = _initial_network(settings, dataset, start)
        loaded = load_teachers(out, teachers, settings, dataset) if teachers or resume else Teachers()
        if not rank.is_worker:
            until_done.enter_context(file_lock(out / ".lock", f"{out}: {BUSY}"))
            # another process may have started and finished a run there in the meantime
            resolve_settings(out, config, resume, devices, rank, table.path)
            _begin_run(out, settings, recipe, dataset, loaded, start)
        if resume and is_finished(out):
            print_message(f"{out}: its training is finished, so nothing is left to resume")
            return {} if rank.is_worker else read_metrics(out)
        if settings.transfer.freeze:
            return _fit_last_layer(out, network, dataset, settings)
        module = _build_module(network, settings, dataset, loaded, rank)
        _print_plan(module, settings, dataset, loaded)
        best = settings.checkpoint == "validation"
        run_trainer(module, settings.precision, out, resume, best, description, devices, callbacks)
        return {} if rank.is_worker else _finish_run(out, network, dataset, module.history)


def _search_network(
    config: RunConfig | None, limits: NetworkLimits, labels: tuple[str, ...], source: Source | None
) -> RunConfig:
    """Return the settings with the widest network within the limits."""
    if source is not None:
        raise UsageError(
            "--max-macs, --max-bytes and --rule choose the network, and --from has one; leave them out, or --from"
        )
    if config is None:
        raise UsageError(
            "--max-macs, --max-bytes and --rule choose the network of a new run; leave them out to resume one"
        )
    with spinner("Finding width and depth"):
        config, costs = search_width(config, labels, limits)
    sizes = ["width", *(name for name in DEPTHS if name in model_settings(config.network.name))]
    found = ", ".join(f"{name} {getattr(config.network, name)}" for name in sizes)
    print_message(f"found: {found}; {costs.text(limits.rule)}")
    return config


def _load_dataset(table: ClipTable, config: RunConfig, out: Path, resume: bool) -> Dataset:
    if resume and not is_begun(out):
        print_message(f"{out}: holds no run yet, so a new run is started")
    dataset = load_dataset(table, config)
    devices = config.trainer.world_size
    if len(dataset.train) < devices:
        raise UsageError(
            f"{table.path}: {len(dataset.train)} training clips are fewer than the {devices} devices;"
            " lower trainer.devices or trainer.num_nodes"
        )
    return dataset


def _initial_network(config: RunConfig, dataset: Dataset, source: Source | None) -> StandardizedNetwork:
    """Build the network and check that a model file can hold it, so that an error comes before the training."""
    if source is not None:
        network = start_network(source, config, dataset)
    else:
        mean, deviation = dataset.band_statistics()
        network = build_network(config, len(dataset.labels), torch.from_numpy(mean), torch.from_numpy(deviation))
    try:
        check_model(to_scene_model(network, dataset.labels, config.features, config.window))
    except ModelFileError as error:
        raise UsageError(
            f"the network of these settings fits no model file: {error}; change network, features or window"
        ) from None
    return network


def _begin_run(
    out: Path, config: RunConfig, recipe: str, dataset: Dataset, teachers: Teachers, source: Source | None
) -> None:
    """Write the run's record and warnings. If the run is resumed, check that it still sees the same clips."""
    split_csv = split_table(dataset.split)
    if (out / RECORD).exists():
        check_same_split(out, split_csv, dataset.record.path)
    else:
        record = RunRecord(
            config=config,
            recipe=recipe,
            data=dataset.record,
            labels=dataset.labels,
            train_counts=tuple(dataset.train.class_counts()),
            versions=versions() | {"precision": resolve_precision(config.precision), "device": device_name()},
            teachers=teachers.records,
            source=None if source is None else source.record,
        )
        write_record(out, record, split_csv)
    if dataset.statistics is not None and not (out / DEVICES).exists():
        write_statistics(out, dataset.statistics)
    if shows_messages():
        print_data_warnings(out, dataset.table, dataset.split, config.window.seconds)


def _build_module(
    network: StandardizedNetwork, config: RunConfig, dataset: Dataset, teachers: Teachers, rank: Rank
) -> SceneModule:
    return SceneModule(
        network,
        build_loss(config.loss, dataset.train.epoch_counts()),
        config.schedule,
        epoch_batches(
            teachers.teach(dataset.train, config.distillation), config, rank=rank, members=config.network.members
        ),
        dataset.validation,
        distillation=teachers.distillation(config.distillation),
        rank=rank,
    )


def _print_plan(module: SceneModule, config: RunConfig, dataset: Dataset, teachers: Teachers) -> None:
    parameters = sum(p.numel() for p in module.network.parameters())
    epochs = f"{pluralize(config.schedule.epochs, 'epoch')} of {module.batches(0).size:,} clips"
    names = [record.path for record in teachers.records]
    distilled = f", distilled from {first_few(names)}" if names else ""
    devices = "" if module.rank.is_single else f", on {module.rank.world_size} devices"
    print_message(f"{config.network.name}: {parameters:,} parameters, {epochs}{distilled}{devices}")


def _fit_last_layer(out: Path, network: StandardizedNetwork, dataset: Dataset, config: RunConfig) -> dict[str, Any]:
    started = time.perf_counter()
    with spinner("Fitting the last layer"):
        l2 = fit_head(network, dataset, config)
    print_message(f"last layer fitted to {pluralize(len(dataset.train), 'clip')}, with an L2 penalty of {l2:g}")
    return _finish_run(out, network, dataset, [], time.perf_counter() - started)


def _finish_run(
    out: Path, network: StandardizedNetwork, dataset: Dataset, history: History, seconds: float = 0.0
) -> dict[str, Any]:
    """Measure the trained network and write weights, curves and metrics.

    Args:
        out, network, dataset: the run folder, and the network and data of the run.
        history: the epochs.
        seconds: duration of training that is in no epoch.
    """
    with spinner("Measuring"):
        metrics: dict[str, Any] = {
            name: evaluate_network(network, clips, dataset.labels) for name, clips in dataset.held_out()
        }
    minutes = (seconds + sum(row["seconds"] for row in history)) / 60
    metrics |= {"minutes": minutes, "synthetic": dataset.table.synthetic, "history": history}
    save_weights(out, network)
    if history:
        plot_curves(out, history)
    write_metrics(out, metrics)
    return metrics
