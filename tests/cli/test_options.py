"""Numbers with a unit on the command line."""

from collections.abc import Callable

import pytest

from scenelet.cli.options import parse_bytes, parse_count
from scenelet.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("128kB", 128_000),
        ("128000", 128_000),
        ("128000B", 128_000),
        (" 0.5 MB ", 500_000),
        ("500KB", 500_000),
        ("1.5kb", 1_500),
        ("0", 0),
    ],
)
def test_parse_bytes_knows_its_units(text: str, size: int) -> None:
    assert parse_bytes("--max-bytes", text) == size


@pytest.mark.parametrize(
    ("text", "count"), [("30M", 30_000_000), ("30m", 30_000_000), ("1.5G", 1_500_000_000), ("250k", 250_000), ("7", 7)]
)
def test_parse_count_knows_its_units(text: str, count: int) -> None:
    assert parse_count("--max-macs", text) == count


@pytest.mark.parametrize(("text", "count"), [("2.01k", 2_010), ("1.001M", 1_001_000), ("8.2k", 8_200)])
def test_parse_count_decimals_are_exact(text: str, count: int) -> None:
    """1000 times the number nearest to 2.01 is a little less than 2010."""
    assert parse_count("--max-macs", text) == count


@pytest.mark.parametrize("parse", [parse_bytes, parse_count])
@pytest.mark.parametrize(
    "text", ["", "many", "-3", "1e6", "3 kB each", "30MiB", "kB", "1.", ".5k", "inf", "nan", "3,5k"]
)
def test_parse_invalid_text_names_the_option(parse: Callable[[str, str], int], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse("--limit", text)
    assert str(caught.value).startswith(f"--limit {text}: write it as ")
    assert "\n" not in str(caught.value)


def test_parse_refuses_units_of_the_other() -> None:
    with pytest.raises(UsageError, match="kB or MB"):
        parse_bytes("--max-bytes", "30M")
    with pytest.raises(UsageError, match="k, M or G"):
        parse_count("--max-macs", "128kB")
