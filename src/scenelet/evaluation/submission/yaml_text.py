"""Untrusted YAML text to values, or to a fault with its line."""

from typing import Any

from scenelet.evaluation.submission.faults import Fault, decode_text, format_value

MAX_META_BYTES = 1 << 16  # several times the size with twenty authors and five sections of results


def read_yaml(file: str, data: bytes) -> Any:
    """Read a YAML document; returns a fault on an error.

    >>> read_yaml("a.meta.yaml", b"label: x"), str(read_yaml("a.meta.yaml", b"a: [1"))[:20]
    ({'label': 'x'}, 'a.meta.yaml, line 1:')
    """
    if len(data) > MAX_META_BYTES:
        return Fault(file, "", f"is larger than {MAX_META_BYTES >> 10} KiB; it must be a few KiB")
    text = decode_text(file, data)
    return text if isinstance(text, Fault) else _load_yaml(file, text)


def _load_yaml(file: str, text: str) -> Any:
    """Load a document with PyYAML's safe loader, without aliases and duplicate keys; returns a fault on an error.

    Aliases are refused because nested ones can stand for more values than fit into memory.
    """
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                mark = self.peek_event().start_mark
                raise yaml.MarkedYAMLError(problem="an alias; write its content out", problem_mark=mark)
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = set[Any]()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in keys:
                    problem = f"the key {format_value(key.value)} is a duplicate"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                keys.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
            return super().construct_mapping(node, deep)

    where, reason = "", "a value does not fit its type, or there are too many levels"
    try:
        return yaml.load(text, Loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f"line {mark.line + 1}"
        reason = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "a syntax error")
    # PyYAML raises these for values such as `!!bool x`, `!!int`, 2020-13-45, and for escapes of invalid characters
    except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError, RecursionError):
        pass
    return Fault(file, where, f"cannot be read ({' '.join(reason.split())}); it must be plain YAML")
