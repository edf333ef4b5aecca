"""Formulas become MathML when the site is built: a browser shows them without a script and without a network."""

import html
import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx

SIGN = r"<mo>(?:&#x02212;|&#x0002B;)</mo>"
AFTER = r"(?:<mo[^>]*>(?:&#x0003D;|&#x00028;|&#x0002C;|&#x000B7;|&#x000D7;)</mo>|<mrow>|<mtd>)"   # = ( , · ×


def mathml(latex: str, display: str = "inline") -> str:
    """Return a formula in MathML, its LaTeX in the attribute ``alttext``; display is "inline" or "block".

    Raises
    ------
    ValueError
        The formula contains a command that is not known.
    """
    made = convert(latex.strip(), display=display)
    if unknown := re.search(r">(\\[a-zA-Z]+)<", made):
        raise ValueError(f"{unknown[1]} in a formula cannot be shown: {latex}")
    # a sign that begins a term stands close to it
    made = re.sub(rf"({AFTER})({SIGN})", lambda found: found[1] + found[2].replace("<mo>", '<mo form="prefix">'), made)
    return made.replace("<math ", f'<math alttext="{html.escape(latex.strip())}" ', 1)


def inline(writer: Any, node: nodes.math) -> None:
    """Write a formula within a line."""
    writer.body.append(f'<span class="math">{mathml(node.astext())}</span>')
    raise nodes.SkipNode


def block(writer: Any, node: nodes.math_block) -> None:
    """Write a formula of its own; if it is too wide, it scrolls."""
    writer.body.append(f'<div class="math" tabindex="0">{mathml(node.astext(), "block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the formulas with Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
