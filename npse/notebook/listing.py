"""Listings: the source of functions of the installed package, with what is around the code folded."""

import ast
import html
import inspect
import textwrap
from collections.abc import Callable
from typing import Any


def folded(function: Callable[..., Any]) -> tuple[str, str]:
    """Return the code of a function, and what its listing folds.

    The code begins at ``def``. Of the docstring it keeps the first line. The second text is the declaration of the op
    and the whole docstring; it is empty if the code leaves nothing out.
    """
    lines = textwrap.dedent(inspect.getsource(function)).rstrip().splitlines()     # methods are indented
    node = ast.parse("\n".join(lines)).body[0]
    assert isinstance(node, ast.FunctionDef)
    declaration, code = lines[:node.lineno - 1], lines[node.lineno - 1:]
    docstring = node.body[0]
    if not ast.get_docstring(node) or docstring.lineno == docstring.end_lineno:
        return "\n".join(code), "\n".join(declaration)
    first, last = (number - node.lineno for number in (docstring.lineno, docstring.end_lineno or 0))
    whole = code[first:last + 1]
    code[first:last + 1] = [f'{whole[0].rstrip()}"""']
    return "\n".join(code), "\n".join([*declaration, *whole])


class Source:
    """The source code of functions of the installed package; a notebook shows it if it ends a cell."""

    def __init__(self, *functions: Callable[..., Any]) -> None:
        parts = [folded(function) for function in functions]
        self._code = "\n\n\n".join(code for code, _ in parts)
        self._rest = "\n\n".join(rest for _, rest in parts if rest)

    def __repr__(self) -> str:
        return self._code

    def _repr_html_(self) -> str:
        """Return highlighted code whose lines scroll: JupyterLab breaks lines of Markdown code within words."""
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import PythonLexer

        style = "white-space: pre; overflow-x: auto; font-family: monospace; font-size: 0.9em"
        page = highlight(self._code, PythonLexer(), HtmlFormatter(noclasses=True, nobackground=True, prestyles=style))
        if not self._rest:
            return page
        return (f"{page}<details><summary>Declaration and docstring</summary>"
                f'<pre style="{style}">{html.escape(self._rest)}</pre></details>')

    def _repr_markdown_(self) -> str:
        return f"```python\n{self._code}\n```"
