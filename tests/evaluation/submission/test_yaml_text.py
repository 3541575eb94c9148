"""Untrusted YAML: faults in bounded time, whatever the text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenelet.evaluation.submission.faults import Fault
from scenelet.evaluation.submission.yaml_text import MAX_META_BYTES, read_yaml

META = "Chang_QTI_task1_1.meta.yaml"

NESTED_ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30)
)
NESTED_MERGES = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 30)
)


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("a: [1, 2\nb: 3", "line 2", "must be plain YAML"),
        ("a: !!python/object/apply:os.system [exit]", "line 1", "tag"),
        ("a: 1\nb: !null", "line 2", "tag"),
        ("a: 1\n---\nb: 1", "line 2", "must be plain YAML"),
        ("results: 1\nresults: 2", "line 2", "'results' is a duplicate"),
        (NESTED_ALIASES, "line 2", "an alias; write its content out"),
        (NESTED_MERGES, "line 2", "an alias"),
        ("a: &a [*a]", "line 1", "an alias"),
        ("[" * 20_000, "", "too many levels"),
        (f"a: {'9' * 5000}", "", "does not fit its type"),
        ("a: 2020-13-45", "", "does not fit its type"),
        ("a: !!bool x", "", "does not fit its type"),
        ("a: !!timestamp x", "", "does not fit its type"),
        ("a: !!int ''", "", "does not fit its type"),
        ('a: "\\UFFFFFFFF"', "", "does not fit its type"),
        ("a: \x00", "", "must be plain YAML"),
        ("#" * (MAX_META_BYTES + 1), "", "larger than 64 KiB"),
    ],
)
def test_read_yaml_names_the_fault(text: str, where: str, words: str) -> None:
    fault = read_yaml(META, text.encode())
    assert isinstance(fault, Fault)
    assert fault.where == where
    assert words in fault.message
    assert "\n" not in str(fault)


SYNTAX = st.text(st.sampled_from(list("ab01:-?[]{},&*!|>'\"%@#.~<= \n\t\\xuU\ufeff\x85é")), max_size=60)
TAGGED = st.builds(
    "{}: !!{} {}\n".format,
    st.sampled_from(["submission", "system", "results", "<<", "="]),
    st.sampled_from(
        ["bool", "int", "float", "null", "timestamp", "binary", "set", "omap", "pairs", "map", "seq", "merge"]
    ),
    SYNTAX,
)


@given(st.one_of(SYNTAX, TAGGED))
def test_read_yaml_of_arbitrary_text_gives_a_value_or_a_fault(text: str) -> None:
    value = read_yaml(META, text.encode("utf-8", "surrogatepass"))
    assert not isinstance(value, Fault) or str(value).isprintable()


def test_read_yaml_names_the_line_that_is_not_utf8() -> None:
    assert read_yaml(META, b"a: 1\nb: \xff").where == "line 2"
