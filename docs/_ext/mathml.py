"""Equations as MathML, which browsers draw without scripts, fonts or other hosts."""

from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


def visit_inline(translator: Any, node: nodes.math) -> None:
    """Write an inline equation."""
    translator.body.append(drawn(node, as_block=False))
    raise nodes.SkipNode


def visit_block(translator: Any, node: nodes.math_block) -> None:
    """Write a block equation."""
    translator.body.append(f'<div class="math">{drawn(node, as_block=True)}</div>')
    raise nodes.SkipNode


def drawn(node: nodes.Element, as_block: bool) -> str:
    """Return the equation as MathML. If docutils cannot read it, log a warning, which fails the build."""
    try:
        return str(tex2mathml(node.astext(), as_block=as_block))
    except MathError as error:
        logger.warning("equation %r: %s", node.astext(), error, location=node)
        return ""


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
