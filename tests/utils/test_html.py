"""Templates: every value is escaped, and a missing one is an error."""

import os
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import jinja2
import pytest

from scenelet.utils.html import asset, relative_url, render, text


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package with one template."""
    name = "package_with_a_template"
    (tmp_path / name / "templates").mkdir(parents=True)
    (tmp_path / name / "__init__.py").touch()
    template = "<p>{{ value }}, {{ value|printable }}</p><style>{{ asset('style.css') }}</style>"
    (tmp_path / name / "templates" / "page.html").write_text(template)
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def test_render_escapes_values_and_inserts_assets(package: str) -> None:
    page = render(package, "page.html", value="<b>\x1b")
    assert page.startswith("<p>&lt;b&gt;\x1b, &lt;b&gt;\\x1b</p>")
    assert asset("style.css") in page


def test_render_refuses_a_missing_value(package: str) -> None:
    with pytest.raises(jinja2.UndefinedError, match="value"):
        render(package, "page.html")


def test_text_reads_a_file_of_a_package(package: str) -> None:
    assert text(package, "templates/page.html").startswith("<p>")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.wav", "../data/a.wav"),
        ("50%41 #1?.wav", "../data/50%2541%20%231%3F.wav"),
        ('new\nline".wav', "../data/new%0Aline%22.wav"),
        (os.fsdecode(b"\xff.wav"), "../data/%FF.wav"),
        ("\u00fc.wav", "../data/%C3%BC.wav"),
    ],
)
def test_relative_url_is_percent_encoded(tmp_path: Path, name: str, expected: str) -> None:
    found = relative_url(tmp_path / "data" / name, tmp_path / "out")
    assert found == expected
    assert urllib.parse.unquote_to_bytes(found) == b"../data/" + os.fsencode(name)


def test_relative_url_in_the_same_folder_has_no_scheme(tmp_path: Path) -> None:
    assert relative_url(tmp_path / "http:x.wav", tmp_path) == "http%3Ax.wav"
