"""Size rules: what each year of DCASE Task 1, and the paper, count of a model, and the limits.

Sources are the public baselines and validators of each year, and NeSsi, the tool that counts since 2022. It takes the
multiply-accumulates of a PyTorch network from torchinfo.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from scenelet.errors import UsageError, did_you_mean
from scenelet.model.costs import torchinfo_macs
from scenelet.model.scene_model import SceneModel
from scenelet.model.sizes import sizes


@dataclass(frozen=True)
class Rule:
    """Size rule.

    Attributes:
        name: its name, as in `scenelet.model.sizes.sizes`.
        year: the year of the challenge; None: the rule belongs to no challenge.
        unit: the unit in which its bytes are usually printed; kB is 1000 bytes and KiB 1024.
        counts: what it counts, in one line; the bytes of a parameter are those of its type.
        max_bytes: its limit in bytes, or None.
        max_macs: its limit in multiply-accumulates per clip, or None.
        clip_seconds: length of the year's clips, or None.
    """

    name: str
    year: int | None
    unit: Literal["kB", "KiB"]
    counts: str
    max_bytes: int | None = None
    max_macs: int | None = None
    clip_seconds: float | None = None

    def format_bytes(self, size: int) -> str:
        """Format a number of bytes in the rule's unit.

        >>> RULES["dcase2020"].format_bytes(460_876)
        '450.07 KiB'
        """
        return f"{size / (1024 if self.unit == 'KiB' else 1000):,.2f} {self.unit}"

    @property
    def text(self) -> str:
        """Description of what the rule counts, and of its limits.

        >>> RULES["dcase2020"].text, RULES["disk"].text
        ('kept weights without norms; limit 500 KiB', 'the file, everything in it')
        >>> RULES["dcase2024"].text
        'all parameters; limit 128 kB, and 30 M multiply-adds per clip of 1 s'
        """
        if self.max_bytes is None:
            return self.counts
        limit = self.format_bytes(self.max_bytes).replace(".00", "")
        if self.max_macs is not None:
            limit += f", and {self.max_macs / 1e6:g} M multiply-adds per clip of {self.clip_seconds:g} s"
        return f"{self.counts}; limit {limit}"


_RULES = (
    Rule("paper", None, "kB", "kept weights and all norm parameters"),
    Rule("dcase2020", 2020, "KiB", "kept weights without norms", 500 * 1024, None, 10),
    Rule("dcase2020_with_ssn", 2020, "KiB", "kept weights, sub-spectral norms", 500 * 1024, None, 10),
    Rule("dcase2021", 2021, "kB", "nonzero weights and all norms", 128_000, None, 10),
    Rule("dcase2022", 2022, "kB", "all parameters, as int8", 128_000, 30_000_000, 1),
    Rule("dcase2023", 2023, "kB", "all parameters", 128_000, 30_000_000, 1),
    Rule("dcase2024", 2024, "kB", "all parameters", 128_000, 30_000_000, 1),
    Rule("dcase2025", 2025, "kB", "all parameters", 128_000, 30_000_000, 1),
    Rule("disk", None, "kB", "the file, everything in it"),
)
RULES = {rule.name: rule for rule in _RULES}
"""Mapping from the name of a size rule to the rule. That of 2025 holds for each device's model."""


@dataclass(frozen=True)
class RuleResult:
    """Costs of a model by a rule, beside the limits.

    Attributes:
        rule: the name of the rule.
        bytes: the bytes that it counts.
        max_bytes: its limit, or None.
        clip_seconds: length of the year's clips, or None.
        macs: multiply-accumulates per clip of this length, or None.
        max_macs: the limit, or None.
    """

    rule: str
    bytes: int
    max_bytes: int | None
    clip_seconds: float | None
    macs: int | None
    max_macs: int | None

    @property
    def is_within(self) -> bool:
        """True if the costs exceed no limit."""
        return not self.excesses

    @property
    def excesses(self) -> tuple[str, ...]:
        """The limits that the costs exceed, with the differences, in words.

        >>> RuleResult("dcase2024", 128_001, 128_000, 1, 10, 30_000_000).excesses
        ('1 byte',)
        """
        found = []
        if self.max_bytes is not None and (excess := self.bytes - self.max_bytes) > 0:
            found.append(f"{excess:,} {'byte' if excess == 1 else 'bytes'}")
        if self.max_macs is not None and self.macs is not None and (excess := self.macs - self.max_macs) > 0:
            found.append(f"{excess:,} multiply-accumulate{'' if excess == 1 else 's'}")
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """Return the attributes and `is_within` as JSON values."""
        return asdict(self) | {"is_within": self.is_within}


def find_rule(name: str, needs_limits: bool = False) -> Rule:
    """Return the rule of a name.

    Raises:
        UsageError: no rule has this name; or `needs_limits` is set, and the rule has no limits.

    >>> find_rule("dcase2024").max_bytes
    128000
    """
    known = [other for other, rule in RULES.items() if rule.max_bytes is not None or not needs_limits]
    if name not in known:
        fault = "this size rule has no limits" if name in RULES else f"no such size rule{did_you_mean(name, known)}"
        raise UsageError(f"--rule {name}: {fault}; give one of {', '.join(known)}")
    return RULES[name]


def apply_rule(rule: Rule, model: SceneModel, disk_bytes: int) -> RuleResult:
    """Count a model by a rule.

    Args:
        rule: one of `RULES`.
        model: the model.
        disk_bytes: the size of its file.

    Raises:
        ModelFileError: as `scenelet.model.shapes.shapes`.

    >>> from scenelet.model.file import read_model
    >>> from scenelet.model.pretrained import built_in
    >>> found = apply_rule(RULES["dcase2024"], read_model(built_in("esc10")), 0)
    >>> found.bytes, found.excesses
    (123159, ('81,735,058 multiply-accumulates',))
    """
    return RuleResult(
        rule=rule.name,
        bytes=sizes(model, disk_bytes)[rule.name],
        max_bytes=rule.max_bytes,
        clip_seconds=rule.clip_seconds,
        macs=None if rule.clip_seconds is None else clip_macs(model, rule.clip_seconds),
        max_macs=rule.max_macs,
    )


def clip_macs(model: SceneModel, seconds: float) -> int:
    """Count the multiply-accumulates of a model for a clip, as torchinfo counts them.

    The clip is cut into windows as in a prediction. A clip that is shorter than a window is padded to one, which counts
    in full. The front end does not count.

    Args:
        model: the model.
        seconds: length of the clip.

    Raises:
        ModelFileError: as `scenelet.model.shapes.shapes`.
    """
    rate = model.features.sample_rate
    return model.window.count(round(seconds * rate), rate) * torchinfo_macs(model)
