"""Facts of each year's challenge that a submission depends on.

Sources: the submission validators of the organizers, dcase2020_task1_submission_validator to
dcase2024_task1_submission_validator, which list classes, recordings and required keys. The limits are those of the
tasks' descriptions. A key whose definition or unit no public file confirms is written as null, or named in the docs.
"""

import functools
import re
from dataclasses import dataclass

from scenelet.data.tau_sets import THREE_CLASSES
from scenelet.model.rules import RULES

OUTPUT_START, OUTPUT_END, META_ENDING = ".output", ".csv", ".meta.yaml"
TEN_SCENES = tuple(THREE_CLASSES)
DEVICES = ("a", "b", "c", "s1", "s2", "s3", "s4", "s5", "s6")
DESCRIPTION_2021 = (
    "input_sampling_rate",
    "acoustic_features",
    "embeddings",
    "data_augmentation",
    "machine_learning_method",
    "ensemble_method_subsystem_count",
    "decision_making",
    "external_data_usage",
)
DESCRIPTION_2022 = (*DESCRIPTION_2021, "complexity_management", "pipeline", "framework")


@dataclass(frozen=True)
class Challenge:
    """A year's challenge.

    Attributes:
        year: the year.
        task: the third part of a submission's label.
        labels: the classes, in the order of the output's columns.
        recordings: number of recordings in the evaluation set, `0.wav` and so on, with one row each.
        clip_seconds: length of a recording.
        description: the required keys of `system.description`.
        complexity: the required keys of `system.complexity`.
        limits: (key, largest value) of `system.complexity`.
        nested_zip: whether the zip has a folder around `task1`, as the validators of 2020 and 2021 expect.
        devices: the keys of `device_wise` in the results.
        splits: names of the training splits, with a model, an output and a section of results each; "" if not split.
        energy: the required keys of `system.energy_consumption`.

    >>> CHALLENGES[2024].output_name("Lastname_INST_task1_1", "split_5")
    'Lastname_INST_task1_1.output.split_5.csv'
    """

    year: int
    task: str
    labels: tuple[str, ...]
    recordings: int
    clip_seconds: int
    description: tuple[str, ...]
    complexity: tuple[str, ...]
    limits: tuple[tuple[str, int], ...]
    nested_zip: bool = False
    devices: tuple[str, ...] = DEVICES
    splits: tuple[str, ...] = ("",)
    energy: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the output."""
        return ("filename", "scene_label", *self.labels)

    @property
    def title(self) -> str:
        """Name of the challenge.

        >>> CHALLENGES[2021].title
        'DCASE 2021 Task 1A'
        """
        return f"DCASE {self.year} Task {self.task.removeprefix('task').upper()}"

    @functools.cached_property
    def label_pattern(self) -> re.Pattern[str]:
        """Pattern of a label."""
        return re.compile(rf"(?:[^\W_]|-)+_(?:[^\W_]|-)+_{self.task}_[1-4]")

    @property
    def label_form(self) -> str:
        """Description of a label."""
        return f"<Name>_<Institute>_{self.task}_<1 to 4>, with letters, digits and hyphens between three underscores"

    @property
    def example_label(self) -> str:
        """Label of the example of a details file."""
        return f"Lastname_INST_{self.task}_1"

    @property
    def output_endings(self) -> tuple[str, ...]:
        """Endings of the names of the outputs, one per training split."""
        return tuple(self.output_name("", split) for split in self.splits)

    def output_name(self, label: str, split: str) -> str:
        """Return the name of the output of a training split."""
        return f"{label}{OUTPUT_START}{'.' if split else ''}{split}{OUTPUT_END}"


def _limits(year: int, size_key: str) -> tuple[tuple[str, int], ...]:
    """Return the limits of a year's size rule: of the key with the size, and of the multiply-accumulates."""
    rule = RULES[f"dcase{year}"]
    assert rule.max_bytes is not None
    assert rule.max_macs is not None
    return (size_key, rule.max_bytes), ("macs", rule.max_macs)


CHALLENGES = {
    challenge.year: challenge
    for challenge in (
        Challenge(
            year=2020,
            task="task1b",
            labels=("indoor", "outdoor", "transportation"),
            recordings=8640,
            clip_seconds=10,
            description=(*DESCRIPTION_2021, "complexity_management"),
            complexity=("total_parameters", "total_parameters_non_zero", "model_size"),
            limits=(("model_size", 500),),  # KB of 1024 bytes
            nested_zip=True,
            devices=(),
        ),
        Challenge(
            year=2021,
            task="task1a",
            labels=TEN_SCENES,
            recordings=7920,
            clip_seconds=10,
            description=DESCRIPTION_2021,
            complexity=("total_parameters",),
            limits=(),  # 128,000 bytes of non-zero parameters, of which the file has no key
            nested_zip=True,
        ),
        Challenge(
            year=2022,
            task="task1",
            labels=TEN_SCENES,
            recordings=118_800,
            clip_seconds=1,
            description=DESCRIPTION_2022,
            complexity=("total_parameters", "total_parameters_non_zero", "memory_use", "macs"),
            limits=_limits(2022, "total_parameters"),
        ),
        Challenge(
            year=2023,
            task="task1",
            labels=TEN_SCENES,
            recordings=118_800,
            clip_seconds=1,
            description=DESCRIPTION_2022,
            complexity=("total_model_size", "total_parameters", "total_parameters_non_zero", "memory_use", "macs"),
            limits=_limits(2023, "total_model_size"),
            energy=("training", "inference", "baseline_inference"),
        ),
        Challenge(
            year=2024,
            task="task1",
            labels=TEN_SCENES,
            recordings=135_730,
            clip_seconds=1,
            description=(
                "input_sampling_rate",
                "acoustic_features",
                "data_augmentation",
                "machine_learning_method",
                "external_data_usage",
                "complexity_management",
                "pipeline",
                "framework",
                "split_adaptations",
                "system_adaptations",
            ),
            complexity=("total_model_size", "total_parameters", "macs"),
            limits=_limits(2024, "total_model_size"),
            splits=("split_5", "split_10", "split_25", "split_50", "split_100"),
        ),
    )
}
"""The challenges by year."""
