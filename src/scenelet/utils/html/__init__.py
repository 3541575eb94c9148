"""What our HTML pages share: one look in light and dark, the drawing of spectrograms, and templates.

A page is one file that needs no network: styles and scripts are put into it.
"""

import functools
from importlib import resources

import jinja2
from markupsafe import Markup

from scenelet.errors import escape_unprintable


def asset(name: str) -> str:
    """The text of a file in this folder: a style sheet or a script."""
    return text(__name__, name)


def text(package: str, name: str) -> str:
    """The text of a file that lies in a package."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def render(package: str, template: str, **values: object) -> str:
    """A page from a Jinja template, every value escaped; `asset(NAME)` puts a file of this folder into it.

    The filter `escape_unprintable` is that of `scenelet.utils.text`; `{{ value|tojson }}` is safe within a script.

    Args:
        package: where the template lies, in a folder `templates` of it, e.g. "scenelet.evaluation".
        template: its file name.
        values: what it names; one that is missing is an error.
    """
    return _templates(package).get_template(template).render(values)


@functools.cache
def _templates(package: str) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["printable"] = escape_unprintable
    environment.globals["asset"] = lambda name: Markup(asset(name))  # noqa: S704 - a file of ours
    return environment
