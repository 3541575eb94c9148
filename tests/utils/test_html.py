"""Templates: every value is escaped, and a missing one is an error."""

import sys
from collections.abc import Iterator
from pathlib import Path

import jinja2
import pytest

from scenelet.utils.html import asset, render, text


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
