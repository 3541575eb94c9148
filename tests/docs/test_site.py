"""Tests of the site's extensions: no request to other hosts, equations, links and references."""

import json
import re
from inspect import signature
from pathlib import Path

import pytest
from commands import all_commands, shown
from docutils.utils.math.latex2mathml import tex2mathml
from links import led
from offline import faults, loaded_from_elsewhere
from signatures import short
from sphinx.util.inspect import stringify_signature

from helpers import doc_pages as pages
from scenelet.evaluation.metrics import confusion_matrix

EQUATION = re.compile(r"\$\$(.+?)\$\$|(?<![\\$])\$([^$\n]+)\$", re.DOTALL)


@pytest.mark.parametrize(
    "page",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<script src="//cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="http://cdn.example/x.css">',
        '<link rel="preload" as="font" href="https://cdn.example/x.woff2">',
        '<img alt="" src="https://cdn.example/x.png">',
        '<img src="a.png" srcset="https://cdn.example/x.png 2x">',
        '<iframe src="https://cdn.example/"></iframe>',
        '<p style="background: url(https://cdn.example/x.png)">',
        "<style>@import 'https://cdn.example/x.css';</style>",
        "<style>p { background: url( 'https://cdn.example/x.png' ) }</style>",
    ],
)
def test_loaded_from_elsewhere_other_host_is_found(page: str) -> None:
    assert any("cdn.example" in found for found in loaded_from_elsewhere(page))


@pytest.mark.parametrize(
    "page",
    [
        '<a href="https://example.org/">a reader may go there</a>',
        '<link rel="canonical" href="https://example.org/">',
        '<script src="_static/x.js"></script><img src="data:image/png;base64,AAAA">',
        '<svg xmlns="http://www.w3.org/2000/svg"></svg>',
    ],
)
def test_loaded_from_elsewhere_own_host_passes(page: str) -> None:
    assert loaded_from_elsewhere(page) == []


def test_faults_style_sheet_is_checked(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("p { background: url(https://cdn.example/x.png) }")
    (tmp_path / "b.css").write_text("/* https://example.org */ p { background: url(x.png) }")
    assert list(faults(tmp_path)) == ["a.css: style https://cdn.example/x.png"]


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.name)
def test_equations_of_a_page_become_mathml(page: Path) -> None:
    text = re.sub(r"`[^`\n]+`", "", pages.BLOCK.sub("", page.read_text(encoding="utf-8")))
    for block, inline in EQUATION.findall(text):
        assert tex2mathml(block or inline, as_block=bool(block)).startswith("<math")


def test_method_page_has_equations() -> None:
    assert len(EQUATION.findall((pages.ROOT / "docs" / "method.md").read_text(encoding="utf-8"))) > 30


def test_led_link_out_of_docs_stays_on_the_site() -> None:
    folder = pages.ROOT / "docs"
    assert led("see [its card](../src/scenelet/model/pretrained/esc10.md).", folder) == "see [its card](esc10.md)."
    assert (
        led("in [benchmarks/tables/search](../benchmarks/tables/search); each", folder)
        == "in `benchmarks/tables/search`; each"
    )
    assert led("[a file](../pyproject.toml) and [a page](method.md)", folder) == (
        "[a file](../pyproject.toml) and [a page](method.md)"
    )


def test_all_commands_have_help() -> None:
    words = [words for words, _ in all_commands()]
    assert {"train", "predict", "submit write"} <= set(words)
    assert all(command.help for _, command in all_commands())


def test_shown_default_is_written_as_in_toml() -> None:
    assert [shown(value) for value in (None, True, "one_of", (2, 2), 0.5)] == [
        "(none)",
        "true",
        '"one_of"',
        "[2, 2]",
        "0.5",
    ]


def test_short_array_types_get_short_names() -> None:
    written = stringify_signature(signature(confusion_matrix), unqualified_typehints=True)
    assert short(written) == "(targets: ArrayLike, predictions: ArrayLike, classes: int) -> NDArray[~numpy.int64]"
    assert short("(label: str, windows: ndarray[tuple[Any, ...], dtype[float32]])") == (
        "(label: str, windows: NDArray[float32])"
    )


def test_notebook_has_no_outputs() -> None:
    cells = json.loads(pages.NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
