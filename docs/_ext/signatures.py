"""Short names of array types in signatures, as the code writes them."""

import re
from typing import Any

from sphinx.application import Sphinx

ARRAY_LIKE = re.compile(r"[\w.~]*_Buffer \|.*?_NestedSequence\[complex \| bytes \| str\]|[\w.~]*_Buffer \|[^,)]*")
ARRAY = re.compile(r"[\w.~]*ndarray\[[\w.~]*tuple\[[\w.~]*Any, \.\.\.\], [\w.~]*dtype\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\]")


def short(text: str | None) -> str | None:
    """Shorten a signature or return type to `ArrayLike` and `NDArray[...]`."""
    if text is None:
        return None
    return ARRAY.sub(r"NDArray[\1]", ARRAY_LIKE.sub("ArrayLike", text))


def process(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Shorten a signature; autodoc calls this with its text."""
    return short(signature), short(returns)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("autodoc-process-signature", process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
