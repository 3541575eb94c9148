"""Train a network on labelled recordings, into a run folder."""

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from scenelet.config import RunConfig, TrainerConfig, setting_keys
from scenelet.config.run_folder import RESUME_HINT, check_folder_is_new, is_begun
from scenelet.data.load import load_table
from scenelet.errors import ModelFileError, RunError, UsageError
from scenelet.model import file as modelfile
from scenelet.nn import model_settings
from scenelet.nn.convert import to_scene_model
from scenelet.training import run_record as runs
from scenelet.training.augment import build_augmentations
from scenelet.training.batches import EpochBatches
from scenelet.training.data_warnings import print_data_warnings
from scenelet.training.dataset import Dataset, evaluate_network, load_dataset
from scenelet.training.distributed import check_devices
from scenelet.training.loop import has_checkpoint, run_trainer
from scenelet.training.losses import build_loss
from scenelet.training.mixing import NO_MIXING, build_mixer
from scenelet.training.module import SceneModule
from scenelet.training.preflight import check_batch_shares
from scenelet.training.ranks import SINGLE, Rank, find_rank
from scenelet.training.teacher import Teacher, load_teacher
from scenelet.training.time_estimate import print_time_estimate
from scenelet.training.width_search import DEPTHS, NetworkLimits, search_width
from scenelet.utils.console import print_message, quiet, spinner
from scenelet.utils.locks import file_lock
from scenelet.utils.text import pluralize


def train(
    data: Path,
    out: Path,
    config: RunConfig | None,
    *,
    recipe: str = "",
    audio_dir: Path | None = None,
    tau_3_class: bool = False,
    resume: bool = False,
    teacher: Path | None = None,
    limits: NetworkLimits | None = None,
    cache_dir: Path | None = None,
    description: str = "Training",
    talk: bool = True,
    trainer: TrainerConfig | None = None,
) -> dict[str, Any]:
    """Train on `data` into the run folder `out`; returns what `metrics.json` holds.

    On several devices each has a process that comes here; the first talks, writes and returns so, the others return {}
    when training is done. See docs/devices.md.

    Args:
        data: a TAU root, a class-per-folder tree, or a CSV/TSV.
        out: the run folder; must be new unless `resume`, or hold nothing but the CSV `data`.
        config: the settings; None only with `resume`, which then takes the run's own. A resumed run must have the
            same, but for `trainer`.
        recipe: what the settings are called, for the record.
        audio_dir: where a CSV's files lie, when not beside it.
        tau_3_class: map the ten TAU scenes to indoor, outdoor, transportation.
        resume: go on from the run's last finished epoch; the end is the same as undisturbed.
        teacher: a finished run folder, whose network gives `config.distillation` of each label; None: the labels alone, or
            with `resume` the teacher that the run has.
        limits: on what the network costs; its width and depth are found, see `scenelet.training.width_search`. They
            become settings of the run.
        cache_dir: of the feature cache; None: `scenelet.utils.files.cache_folder()`.
        description: shown beside the progress bar.
        talk: say what was recognized and how the epochs go; the bar shows in any case.
        trainer: where `config` is None, on what to go on: those of its settings that were set replace the run's.

    Raises:
        SceneletError: data, settings or run folder cannot be used.
        SystemExit: in a process that follows another one, when training failed.
    """
    devices = _devices(out, config, trainer)
    rank = find_rank(devices.devices, devices.num_nodes)
    check_devices(devices)
    talk = talk and not rank.is_worker
    with contextlib.ExitStack() as until_the_end:
        until_the_end.enter_context(quiet(rank.is_worker))
        if limits is not None and limits != NetworkLimits() and config is None:
            raise UsageError("--max-macs and --max-bytes choose the network of a new run; leave them out to resume one")
        if config is not None and limits is not None and limits != NetworkLimits():
            config = _within(config, limits, load_table(data, audio_dir, tau_3_class).labels, talk)
        given, config = config, _settings(data, out, config, resume, rank)
        config = config.model_copy(update={"trainer": devices})
        check_batch_shares(config)
        if talk and resume and not is_begun(out):
            print_message(f"{out}: holds no run yet, so one is begun")
        source = runs.DataRecord(
            path=str(data.resolve()),
            audio_dir=None if audio_dir is None else str(audio_dir.resolve()),
            tau_3_class=tau_3_class,
        )
        dataset = load_dataset(source, config, cache_dir, talk)
        mean, deviation = dataset.band_statistics()
        network = runs.build_network(config, len(dataset.labels), torch.from_numpy(mean), torch.from_numpy(deviation))
        # what a model file cannot hold is better known before training than after
        try:
            modelfile.check_model(to_scene_model(network, dataset.labels, config.features, config.window))
        except ModelFileError as error:
            raise UsageError(
                f"what these settings describe fits no model file: {error}; change network, features or window"
            ) from None
        taught = load_teacher(out, teacher, config, dataset) if teacher is not None or resume else None
        if len(dataset.train) < devices.world_size:
            raise UsageError(
                f"{data}: {len(dataset.train)} clips to train on are fewer than the {devices.world_size} devices; lower"
                " trainer.devices or trainer.num_nodes"
            )
        if not rank.is_worker:
            busy = f"{out}: another training is at work there; wait for its end, or choose another --out"
            until_the_end.enter_context(file_lock(out / ".lock", busy))
            _settings(data, out, given, resume, rank)  # since then another training may have begun there, and ended
            _begin(out, config, recipe, dataset, taught)
            if talk:
                print_data_warnings(out, source, dataset.split, config.window.seconds, cache_dir)
        loss = build_loss(config.loss, dataset.train.class_counts())
        module = SceneModule(
            network,
            loss,
            config.schedule,
            epoch_batches(dataset, config, rank=rank),
            dataset.validation,
            teacher=None if taught is None else (taught.network, config.distillation),
            rank=rank,
            sync_norms=devices.sync_batchnorm,
        )
        parameters = sum(p.numel() for p in network.parameters())
        if talk:
            epochs = f"{pluralize(config.schedule.epochs, 'epoch')} of {len(dataset.train):,} clips"
            by = "" if taught is None else f", taught by {taught.record['run']}"
            on = "" if rank.is_single else f", on {rank.world_size} devices"
            print_message(f"{config.network.name}: {parameters:,} parameters, {epochs}{by}{on}")
            if rank.is_single and not (resume and has_checkpoint(out)):
                print_time_estimate(module, config)
        run_trainer(
            module, config.precision, out, resume, config.checkpoint == "validation", description, talk, devices
        )
        if rank.is_worker:
            return {}
        minutes = sum(row["seconds"] for row in module.history) / 60

        with spinner("Measuring"):
            metrics: dict[str, Any] = {
                side: evaluate_network(network, clips, dataset.labels) for side, clips in dataset.held_out()
            }
        metrics |= {"minutes": minutes, "synthetic": dataset.source.synthetic, "history": module.history}
        runs.save_weights(out, network)
        runs.plot_curves(out, module.history)
        runs.write_metrics(out, metrics)
        return metrics


def _within(config: RunConfig, limits: NetworkLimits, labels: tuple[str, ...], talk: bool) -> RunConfig:
    """The settings with a network that is within the limits."""
    with spinner("Finding width and depth"):
        config, costs = search_width(config, labels, limits)
    if talk:
        chosen = {"width": config.network.width} | {
            name: getattr(config.network, name) for name in DEPTHS if name in model_settings(config.network.name)
        }
        found = ", ".join(f"{name} {value}" for name, value in chosen.items())
        size = f"{costs.macs_per_second:,} multiply-accumulates a second"
        print_message(f"found: {found}; {size}, {costs.parameter_bytes:,} bytes of parameters")
    return config


def epoch_batches(
    dataset: Dataset, config: RunConfig, first_epoch: int = 0, rank: Rank = SINGLE
) -> Callable[[int], EpochBatches]:
    """Epoch -> its batches, the first `mixing.epoch_fraction` of the schedule's epochs mixed.

    `first_epoch` is added to an epoch, so that fine-tuning goes on where training ended: it draws anew, and is
    mixed only where training was to its end. `rank` is whose shares of the batches they are.
    """
    moves, mixer = build_augmentations(config.augment), build_mixer(config.mixing)
    whole = config.mixing.epoch_fraction == 1
    mixed_epochs = round(config.mixing.epoch_fraction * config.schedule.epochs)

    def batches(epoch: int) -> EpochBatches:
        own = mixer if whole or first_epoch + epoch < mixed_epochs else NO_MIXING
        return EpochBatches(
            dataset.train, config.schedule.batch_size, moves, own, config.seed, first_epoch + epoch, rank
        )

    return batches


def _devices(out: Path, config: RunConfig | None, changes: TrainerConfig | None) -> TrainerConfig:
    """What to train on: what the settings say, or the run's own settings with changes on top."""
    if config is not None:
        return config.trainer
    own = runs.read_record(out).config.trainer if is_begun(out) else TrainerConfig()
    return own if changes is None else own.model_copy(update=changes.model_dump(exclude_unset=True))


def _settings(data: Path, out: Path, config: RunConfig | None, resume: bool, rank: Rank) -> RunConfig:
    """The settings to train with; refuses to write over a run, or to resume one with other settings."""
    if resume and is_begun(out):
        stored = runs.read_record(out).config
        if config is not None and config.model_copy(update={"trainer": stored.trainer}) != stored:
            keys = (key for key in setting_keys() if not key.startswith("trainer."))
            first = next(key for key in keys if _value(config, key) != _value(stored, key))
            values = f"{first} was {_value(stored, first)!r} and is now {_value(config, first)!r}"
            raise RunError(
                f"{out}: was begun with other settings ({values}); resume it with the same ones, or with none"
            )
        return stored
    if config is None:
        raise RunError(f"{out}: holds no run to resume; start it without --resume")
    if not rank.is_worker:
        check_folder_is_new(out, "choose another --out" if resume else RESUME_HINT, beside=data)
    return config


def _value(config: RunConfig, key: str) -> Any:
    return functools.reduce(getattr, key.split("."), config)


def _begin(out: Path, config: RunConfig, recipe: str, dataset: Dataset, taught: Teacher | None) -> None:
    """Write the run's record, or check that a resumed run still sees the same clips."""
    record = runs.RunRecord(
        config=config,
        recipe=recipe,
        data=dataset.source,
        labels=dataset.labels,
        train_counts=tuple(dataset.train.class_counts()),
        versions=runs.versions(),
        teacher=None if taught is None else taught.record,
    )
    if not (out / runs.RECORD).exists():
        runs.write_record(out, record, dataset.split)
        return
    runs.check_same_split(out, dataset.split, dataset.source.path)
