"""Settings of the documentation site, which `make docs` builds into docs/_build/html without a network."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = str(HERE.parent / "src")
# Document and run the code of this clone, even if another version is installed.
sys.path[:0] = [SOURCE, str(HERE / "_ext")]
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [SOURCE, os.environ.get("PYTHONPATH")]))

project, author = "scenelet", "The scenelet authors"
copyright = author

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "commands",  # this and the next four are in docs/_ext
    "links",
    "mathml",
    "offline",
    "signatures",
]
exclude_patterns = ["_build", "_ext"]

html_theme = "furo"
html_title = "scenelet"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_theme_options = {"footer_icons": []}
pygments_style, pygments_dark_style = "tango", "github-dark"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300  # seconds per cell, on a busy machine
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
default_role = "literal"  # docstrings name things in single backticks
napoleon_google_docstring, napoleon_numpy_docstring = True, False
napoleon_use_rtype = False

copybutton_prompt_text, copybutton_only_copy_prompt_lines = "$ ", True
