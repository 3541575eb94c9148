"""YAML from anywhere -> plain values and what is wrong with it, in bounded time and memory.

The nodes of the document are looked at before anything is made of them: aliases of aliases could
stand for more values than memory holds. Only PyYAML's safe loader is used.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from scenelet.evaluation.submission.faults import Fault, shown

MAX_NODES = 10_000
"""Values a document may stand for, aliases counted each time."""


class _Broken(NamedTuple):
    line: int | None
    reason: str


def load_yaml(file: str, text: str) -> tuple[Any, list[Fault]]:
    """The document's plain values, or None with a fault; keys that stand twice are faults too."""
    import yaml

    root = _guarded(lambda: yaml.compose(text, Loader=yaml.SafeLoader))
    if isinstance(root, _Broken):
        return None, [_fault(file, root)]
    if root is None:
        return None, [Fault(file, "", "is empty; it must be YAML with the sections submission, system and results")]
    faults: list[Fault] = []
    count = _count(file, root, {}, faults)
    if count is None or count > MAX_NODES:
        reason = "an alias stands for what it is part of" if count is None else f"stands for over {MAX_NODES:,} values"
        return None, [Fault(file, "", f"{reason}; it must be a short file without tricks")]
    value = _guarded(lambda: yaml.safe_load(text))
    if isinstance(value, _Broken):
        return None, [*faults, _fault(file, value)]
    return value, faults


def _guarded(make: Callable[[], Any]) -> Any:
    """What `make` gives, or how it broke."""
    import yaml

    try:
        return make()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "a fault of syntax"
        return _Broken(None if mark is None else mark.line + 1, " ".join(str(reason).split()))
    # what PyYAML lets through for values such as `!!bool x`, `!!int`, 2020-13-45, or escapes that are no character
    except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError, RecursionError):
        return _Broken(None, "a value that does not fit its type, or too many levels")


def _fault(file: str, broken: _Broken) -> Fault:
    where = "" if broken.line is None else f"line {broken.line}"
    return Fault(file, where, f"cannot be read ({broken.reason}); it must be plain YAML")


def _count(file: str, node: Any, known: dict[int, int | None], faults: list[Fault]) -> int | None:
    """How many values a node stands for; None when it is part of itself.

    Each node is looked at once: an anchor stands before its aliases, so these are known by then, and
    the recursion is no deeper than the text is nested.
    """
    import yaml

    if id(node) in known:
        return known[id(node)]
    known[id(node)] = None  # stays so for an alias of what is being looked at
    children: list[Any] = []
    if isinstance(node, yaml.SequenceNode):
        children = node.value
    elif isinstance(node, yaml.MappingNode):
        children = [child for pair in node.value for child in pair]
        keys: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in keys:
                line = f"line {key.start_mark.line + 1}"
                faults.append(Fault(file, line, f"key {shown(key.value)} is given again; it must stand once"))
            elif isinstance(key, yaml.ScalarNode):
                keys.add(key.value)
    total = 1
    for child in children:
        count = _count(file, child, known, faults)
        if count is None:
            return None
        total += count
    known[id(node)] = total
    return total
