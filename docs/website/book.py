"""The pages of the book: each op with its formula, its declaration, numbers, and its source in all editions.

Everything is read from the declarations (`npse.reference.contract.TABLE`), the docstrings and the sources when the site
is built, so that no page can differ from the code.
"""

import ast
import inspect
import itertools
import json
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from npse import reference
from npse.gradcheck.cases import cases_of
from npse.notebook.listing import folded
from npse.reference.contract import TABLE

EDITIONS = {"cpu": "CPU edition, Numba", "cuda": "CUDA edition, numba.cuda"}
SMALL = {"N": 1, "H": 2, "W": 2, "C": 2, "M": 1, "K": 2, "kh": 2, "kw": 2, "Cin": 1, "Cout": 2, "G": 1, "D": 2, "L": 2}
SHOWN = 24                      # an array with more elements is cut
DRAWS = 20

Values = dict[str, Any]


def chapters() -> dict[str, list[str]]:
    """Return the chapters of the book in its order: the path of the file below npse/reference, and its ops."""
    found: dict[str, list[str]] = {}
    for name, op in TABLE.items():
        if name == op.__name__:                                     # no second name
            path = op.__module__.removeprefix("npse.reference.").replace(".", "/")
            found.setdefault(path, []).append(name)
    return found


# sources

def sources_of(text: str, op: str, known: Callable[[str], bool] = lambda name: False) -> str:
    """Return the source of the op in a chapter of a compiled edition, with what it uses of this file.

    Parameters
    ----------
    text : str
        The chapter's source.
    op : str
    known : function of a name
        Whether a function is left out, because it is another op.

    Returns
    -------
    str
        Empty if the chapter does not have the op.
    """
    defined: dict[str, ast.stmt] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            defined[node.name] = node
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            defined[node.targets[0].id] = node
    if not isinstance(defined.get(op), ast.FunctionDef):
        return ""
    wanted, waiting = {op}, [op]
    while waiting:
        names = {node.id for node in ast.walk(defined[waiting.pop()]) if isinstance(node, ast.Name)}
        new = sorted(name for name in names & {*defined} - wanted if not known(name))
        wanted |= {*new}
        waiting += new
    lines = text.splitlines()
    parts = []
    for name, node in defined.items():
        if name in wanted:
            first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
            parts.append("\n".join(lines[first - 1:node.end_lineno]))
    return "\n\n\n".join(parts)


def source_in(edition: str, chapter: str, op: str, package: Path) -> str:
    """Return the source of an op in an edition; empty if the edition leaves the op to the book."""
    file = package / edition / f"{chapter}.py"
    return sources_of(file.read_text(encoding="utf-8"), op, lambda name: name in TABLE) if file.exists() else ""


# numbers

def drawn(axes: str, rng: np.random.Generator) -> Any:
    """Return small whole numbers of declared axes, in an array or a tuple; KeyError if a letter has no small size."""
    *letters, kind = axes.strip("()").split() or [""]
    if kind not in ("int", "uint8", "bool"):
        letters, kind = axes.strip("()").split(), "float"
    sizes = (2, 2) if letters == ["*"] else tuple(int(a) if a.isdigit() else SMALL[a] for a in letters)
    if axes.startswith("("):
        return sizes
    if kind == "float":
        return rng.integers(-4, 5, sizes).astype(float)
    return rng.integers(0, 2, sizes).astype({"int": np.int64}.get(kind, kind))


def call(op: str, known: Values, seed: int = 0) -> tuple[Values, Values]:
    """Call an op with small whole numbers; ``known`` holds values that are given, and the results of the forward pass.

    Returns
    -------
    arguments, results : dict of str to value

    Raises
    ------
    KeyError, TypeError, ValueError
        The op takes something that cannot be drawn by its declaration.
    """
    contract = TABLE[op].contract
    rng = np.random.default_rng(seed)
    arguments = {}
    for name in contract.signature.parameters:
        if name not in contract.arguments:
            continue
        if name in known:
            arguments[name] = known[name]
        elif name.endswith("_shape"):
            arguments[name] = known[name.removesuffix("_shape")].shape
        elif name.startswith("d") and name[1:] in known:
            arguments[name] = rng.integers(-4, 5, np.shape(known[name[1:]])).astype(float)
        elif name not in contract.optional:
            arguments[name] = drawn(contract.arguments[name], rng)
    return arguments, results_of(op, TABLE[op](**arguments))


def results_of(op: str, result: Any) -> Values:
    """Return the results of a call by their declared names."""
    names = [name.rstrip("?") for name in TABLE[op].contract.results]
    return dict(zip(names, result if isinstance(result, tuple) else (result,), strict=False))


def recorded(op: str) -> tuple[Values, Values]:
    """Return the arguments and results of the first call of an op in the judge's list of cases."""
    calls: list[tuple[Values, Values]] = []

    class Recorder:
        def __getattr__(self, name: str) -> Any:
            function = getattr(reference, name)
            if name != op:
                return function

            def called(*given: Any, **named: Any) -> Any:
                result = function(*given, **named)
                bound = inspect.signature(function).bind(*given, **named).arguments
                calls.append((dict(bound), results_of(op, result)))
                return result
            return called

    case = cases_of(op)[0]
    rng = np.random.default_rng(0)
    arguments = case.arguments(rng)
    y = case.forward(Recorder(), **arguments)
    if case.backward and not calls:
        case.backward(Recorder(), rng.normal(size=np.shape(y)), **arguments)
    return calls[0]


def numbers(op: str, forward: tuple[Values, Values] | None = None) -> tuple[Values, Values]:
    """Return arguments and results of a small call; after ``forward``, the call of its forward pass, with its values.

    Of several draws it is the one whose results have the most different values, so that no ReLU is zero everywhere.
    """
    known = {} if forward is None else forward[0] | forward[1]
    try:
        with np.errstate(all="raise"):
            return max((call(op, known, seed) for seed in range(DRAWS)), key=variety)
    except (KeyError, TypeError, ValueError, FloatingPointError):
        return recorded(op)


def variety(shown: tuple[Values, Values]) -> int:
    """Return how many different numbers other than zero the results of a call hold."""
    return sum(np.count_nonzero(np.unique(value)) for value in shown[1].values())


def written(value: Any) -> str:
    """Return a value as text: an array with four digits, cut after SHOWN elements."""
    if not isinstance(value, np.ndarray | np.generic):
        return repr(value)
    if np.size(value) <= SHOWN:
        return np.array2string(np.asarray(value), precision=4, suppress_small=True, separator=" ", max_line_width=60)
    some = " ".join(f"{float(number):.4g}" for number in np.ravel(value)[:8])
    return f"{some} ..."


def table_of_numbers(arguments: Values, results: Values) -> str:
    """Return a call as text: each argument, a line, each result."""
    def lines(values: Values) -> Iterator[str]:
        for name, value in values.items():
            shape = f" {np.shape(value)}" if np.ndim(value) and isinstance(value, np.ndarray) else ""
            head = f"{name}{shape}"
            text = written(value)
            yield f"{head} =\n{text}" if "\n" in text else f"{head} = {text}"
    return "\n".join([*lines(arguments), "→", *lines(results)])


# pages

@dataclass(frozen=True)
class Lesson:
    """A notebook that explains ops: its file and title, the ops that it shows, and the paper's formula of the first."""

    file: str
    title: str
    ops: tuple[str, ...]
    formula: str

    @classmethod
    def read(cls, path: Path) -> "Lesson":
        """Read a notebook. Its ops are those of its listings, ``Source(op)``; its formula is the first displayed."""
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        shown = [name for call in re.findall(r"\bSource\(([^)]*)\)", code) for name in re.split(r"[\s,]+", call)]
        section = re.search(r"^## The formula\n+\$\$(.*?)\$\$", text, re.DOTALL | re.MULTILINE)
        return cls(path.name, text.partition("\n")[0].lstrip("# "), tuple(name for name in shown if name in TABLE),
                   section[1] if section else "")


def lessons(folder: Path) -> list[Lesson]:
    """Return the notebooks of a folder in their order."""
    return [Lesson.read(path) for path in sorted(folder.glob("[0-9]*.ipynb"))]


def explained(op: str, known: list[Lesson], up: str) -> str:
    """Return the paper's formula of an op, and links to the notebooks that show it; empty if there are none."""
    found = [lesson for lesson in known if op in lesson.ops]
    formulas = [f"$$\n{lesson.formula}\n$$\n" for lesson in found if lesson.ops[0] == op and lesson.formula]
    named = ", ".join(f"[{lesson.title}]({up}notebooks/{lesson.file})" for lesson in found)
    return "\n".join([*formulas, f"Explained in the notebook {named}.\n" if named else ""])


def declaration(op: str) -> str:
    """Return the declared arrays of an op as a table in Markdown."""
    contract = TABLE[op].contract
    rows = ["| array | axes | |", "|---|---|---|"]
    for name, axes in contract.arguments.items():
        notes = [note for note, names in (("may be None", contract.optional), ("no gradient", contract.fixed))
                 if name in names]
        rows.append(f"| `{name}` | `{axes}` | {', '.join(notes)} |")
    rows += [f"| → `{name.rstrip('?')}` | `{axes or 'one number'}` | result |"
             for name, axes in contract.results.items()]
    return "\n".join(rows)


def fenced(text: str, language: str = "text") -> str:
    """Return a block of code in Markdown."""
    return f"```{language}\n{text}\n```"


def section(op: str, chapter: str, root: Path, known: list[Lesson], forward: tuple[Values, Values] | None = None
            ) -> tuple[str, tuple[Values, Values]]:
    """Return the section of an op as Markdown, and the numbers in it."""
    package, up = root / "npse", "../" * (chapter.count("/") + 1)
    function: Any = TABLE[op]
    shown = numbers(op, forward)
    code, _ = folded(function)
    editions = [f"**The book**\n\n{fenced(code, 'python')}"]
    for edition, label in EDITIONS.items():
        source = source_in(edition, chapter, op, package)
        editions.append(f"**{label}**\n\n" + (fenced(source, "python") if source else "Uses the book's."))
    columns = "\n".join(f":::{{container}} edition\n{text}\n:::" for text in editions)
    formula, heads, rest = (inspect.getdoc(function) or "").partition("\n\nParameters\n")
    details = ("<details><summary>Arguments and results</summary>\n\n"
               f"{fenced(f'Parameters{chr(10)}{rest}')}\n\n</details>")
    text = f"""## {op}

{explained(op, known, up)}
:::{{container}} formula
{fenced(formula)}
:::

{details if heads else ''}

::::{{container}} facts
:::{{container}} declared
{declaration(op)}
:::
:::{{container}} numbers
{fenced(table_of_numbers(*shown))}
:::
::::

:::::{{container}} editions
{columns.replace(':::', '::::')}
:::::
"""
    return text, shown


def page(chapter: str, ops: list[str], root: Path, known: list[Lesson]) -> str:
    """Return the page of a chapter as Markdown.

    Parameters
    ----------
    chapter : str
        The path of its file below npse/reference, without .py.
    ops : list of str
    root : Path
        The repository.
    known : list of Lesson
    """
    module = inspect.getmodule(TABLE[ops[0]])
    first, _, rest = (inspect.getdoc(module) or chapter).partition("\n")
    parts = [f"# {heading(chapter)}\n\n{first}\n"]
    if rest.strip():
        parts.append(fenced(textwrap.dedent(rest.strip("\n"))))
    parts.append(" · ".join(f"[`{op}`](#{op})" for op in ops) + "\n")
    calls: dict[str, tuple[Values, Values]] = {}
    for op in ops:
        of = next((name for name in ops if op in TABLE[name].contract.backward), None)   # type: ignore[attr-defined]
        text, calls[op] = section(op, chapter, root, known, calls.get(of or ""))
        parts.append(text)
    return "\n".join(parts)


def heading(chapter: str) -> str:
    """Return the title of a chapter: ``excitations/eca`` gives "Excitation: eca"."""
    folder, _, name = chapter.rpartition("/")
    words = {"se": "squeeze and excitation", "conv": "convolution", "sgd": "SGD"}.get(name, name.replace("_", " "))
    return f"Excitation: {words}" if folder else words[0].upper() + words[1:]


def contents(pages: dict[str, list[str]]) -> str:
    """Return the first page of the book: its chapters and their ops."""
    rows = []
    for chapter, ops in pages.items():
        named = ", ".join(f"[`{op}`]({chapter}.md#{op})" for op in itertools.islice(ops, 4))
        more = f" and {len(ops) - 4} more" if len(ops) > 4 else ""
        rows.append(f"| [{heading(chapter)}]({chapter}.md) | {named}{more} |")
    table = "\n".join(["| chapter | ops |", "|---|---|", *rows])
    return f"""# The book

Every operation in plain NumPy, its backward pass under it, and beside it the same operation in
the compiled editions. These pages are made from the declarations, the docstrings and the sources,
and the numbers are computed when the site is built. An example holds small whole numbers where
the declaration of an op allows it, and otherwise the first case of the judge.

{table}
"""
