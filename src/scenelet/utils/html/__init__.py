"""Shared parts of the HTML pages: one style in light and dark, spectrograms on a canvas, and templates.

A page is one file that needs no network: its styles and scripts are inserted into it.
"""

import functools
import os
import urllib.parse
from importlib import resources
from pathlib import Path

import jinja2
from markupsafe import Markup

from scenelet.errors import escape_unprintable


def asset(name: str) -> str:
    """Return the text of a file in this folder: a style sheet or a script.

    >>> asset("style.css").startswith("/*")
    True
    """
    return text(__name__, name)


def text(package: str, name: str) -> str:
    """Return the text of a file in a package."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def relative_url(path: Path, folder: Path) -> str:
    """Return the percent-encoded URL of a file, relative to `folder` unless it is on another drive.

    >>> relative_url(Path("data/50%.wav"), Path("data"))
    '50%25.wav'
    """
    absolute = os.path.abspath(path)
    try:
        relative = os.path.relpath(absolute, os.path.abspath(folder))
    except ValueError:  # on another drive
        return Path(absolute).as_uri()
    return urllib.parse.quote(os.fsencode(relative.replace(os.sep, "/")), safe="/")


def render(package: str, template: str, **values: object) -> str:
    """Render a Jinja template as a page. Every value is escaped.

    A template can extend or include those of this package, e.g. "live_page/page.html". It has the function `asset`,
    which inserts a file of this folder, and the filter `printable`, which is `scenelet.errors.escape_unprintable`.
    `{{ value|tojson }}` is safe within a script. A missing value is an error.

    Args:
        package: the package that holds the folder `templates`, e.g. "scenelet.evaluation".
        template: the template's file name.
        values: the variables of the template.
    """
    return _templates(package).get_template(template).render(values)


@functools.cache
def _templates(package: str) -> jinja2.Environment:
    loader = jinja2.ChoiceLoader([jinja2.PackageLoader(package), jinja2.PackageLoader(__name__)])
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["printable"] = escape_unprintable
    environment.globals["asset"] = lambda name: Markup(asset(name))  # noqa: S704 - an asset is not user input
    return environment
