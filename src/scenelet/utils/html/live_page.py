"""Title of the page that classifies recordings and live sound, as `scenelet serve` and `scenelet export` write it.

The page itself is `templates/live_page/page.html`. Each package extends it and defines where the predictions come from.
"""

from collections.abc import Sequence

MAX_TITLE_LABELS = 3


def heading(name: str, labels: Sequence[str]) -> str:
    """Return the title of the page, which names what the model hears.

    Examples:
        >>> heading("esc10", ["chainsaw", "dog", "rain", "rooster", "sneezing"])
        'esc10: chainsaw, dog, rain and 2 more'
    """
    rest = len(labels) - MAX_TITLE_LABELS
    return f"{name}: {', '.join(labels[:MAX_TITLE_LABELS])}" + (f" and {rest} more" if rest > 0 else "")
