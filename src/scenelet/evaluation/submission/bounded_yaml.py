"""Load untrusted YAML in bounded time and memory.

Nested aliases can stand for more values than fit into memory, so the nodes of the document are counted before they are
converted to values. Only PyYAML's safe loader is used.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from scenelet.evaluation.submission.faults import Fault, format_value

MAX_NODES = 10_000
"""Maximum number of values in a document, where every use of an alias counts."""


class _SyntaxError(NamedTuple):
    line: int | None
    reason: str


def load_yaml(file: str, text: str) -> tuple[Any, list[Fault]]:
    """Load a document.

    Args:
        file: name of the file, for messages.
        text: its content.

    Returns:
        The plain values and the duplicate keys as faults. If the document cannot be loaded, None and the faults.

    >>> load_yaml("a.meta.yaml", "submission: {label: x}")
    ({'submission': {'label': 'x'}}, [])
    """
    import yaml

    root = _catch_errors(lambda: yaml.compose(text, Loader=yaml.SafeLoader))
    if isinstance(root, _SyntaxError):
        return None, [_fault(file, root)]
    if root is None:
        return None, [Fault(file, "", "is empty; it must be YAML with the sections submission, system and results")]
    faults: list[Fault] = []
    count = _count(file, root, {}, faults)
    if count is None or count > MAX_NODES:
        reason = "an alias contains itself" if count is None else f"has over {MAX_NODES:,} values"
        return None, [Fault(file, "", f"{reason}; it must be a short file without nested aliases")]
    value = _catch_errors(lambda: yaml.safe_load(text))
    if isinstance(value, _SyntaxError):
        return None, [*faults, _fault(file, value)]
    return value, faults


def _catch_errors(load: Callable[[], Any]) -> Any:
    """Call `load` and return its result, or the error of PyYAML."""
    import yaml

    try:
        return load()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "a syntax error"
        return _SyntaxError(None if mark is None else mark.line + 1, " ".join(str(reason).split()))
    # PyYAML raises these for values such as `!!bool x`, `!!int`, 2020-13-45, and for escapes of invalid characters
    except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError, RecursionError):
        return _SyntaxError(None, "a value does not fit its type, or there are too many levels")


def _fault(file: str, error: _SyntaxError) -> Fault:
    where = "" if error.line is None else f"line {error.line}"
    return Fault(file, where, f"cannot be read ({error.reason}); it must be plain YAML")


def _count(file: str, node: Any, known: dict[int, int | None], faults: list[Fault]) -> int | None:
    """Count the values of a node; returns None if the node contains itself.

    Each node is visited once, since an anchor comes before its aliases. The recursion is thus as deep as the nesting
    of the text. Duplicate keys are added to `faults`.
    """
    import yaml

    if id(node) in known:
        return known[id(node)]
    known[id(node)] = None  # remains for an alias inside of its own anchor
    children: list[Any] = []
    if isinstance(node, yaml.SequenceNode):
        children = node.value
    elif isinstance(node, yaml.MappingNode):
        children = [child for pair in node.value for child in pair]
        keys: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in keys:
                line = f"line {key.start_mark.line + 1}"
                faults.append(Fault(file, line, f"key {format_value(key.value)} is a duplicate; it must occur once"))
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
