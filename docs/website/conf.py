"""The settings of the site. ``python docs/website`` gathers its pages and calls Sphinx."""

import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "docs"), str(ROOT)]

import npse  # noqa: E402
from website import docstrings  # noqa: E402

project, author, copyright = "npse", "The npse authors", "The npse authors, MIT licence"
version = release = npse.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "numpydoc", "website.maths"]
html_theme = "furo"
html_title = "npse"
html_static_path = [str(HERE / "_static")]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style, pygments_dark_style = "friendly", "github-dark"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0072b2", "color-brand-content": "#0072b2",
                            "color-brand-visited": "#0072b2"},
    "dark_css_variables": {"color-brand-primary": "#66b9ee", "color-brand-content": "#66b9ee",
                           "color-brand-visited": "#66b9ee"},
}

# pages in Markdown, notebooks with the outputs that are committed
nb_execution_mode = "off"
nb_ipywidgets_js: dict[str, Any] = {}
nb_mime_priority_overrides = [("html", "image/png", 0)]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 6
html_math_renderer = "mathml"
suppress_warnings = ["myst.header"]                    # a page may begin with a heading of any level

# the reference
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False


def setup(app: Any) -> None:
    """Docstrings are plain text; they become the markup that Sphinx reads before numpydoc sees them."""
    app.connect("autodoc-process-docstring", docstrings.process, priority=400)
    app.connect("autodoc-process-signature", docstrings.process_signature)
