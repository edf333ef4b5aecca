"""Formula, code and number do not drift: what a page writes is computed and compared with the shipped functions.

notebooks/README.md says what this file reads on a page. tests/latex.py reads the formulas; tests/page_arrays.py has
the arrays, and the formulas that cannot be computed.
"""

import ast
import functools
import itertools
import re

import jupytext
import numpy as np
import page_arrays
import pytest
from latex import Formula, Unknown, parse, split, value
from test_notebooks import refresh

from npse import reference

pytestmark = pytest.mark.filterwarnings("ignore:overflow")
every_page = pytest.mark.parametrize("page", refresh.PAGES, ids=lambda page: page.stem)
MATH = re.compile(r"\$\$(?P<shown>.+?)\$\$|\$(?P<inline>[^$\n]+(?:\n[^$\n]+)?)\$", re.DOTALL)
HEADING = re.compile(r"^(#{1,6}) (.*)$", re.MULTILINE)
NAME = re.compile(r"d?[A-Za-z\\]+'?(_\{?[\w\\{}]+\}?)?(\^\d)?$")


@functools.cache
def cells(page):
    return jupytext.read(page).cells


@functools.cache
def run(page):
    """Return for each cell the `Worked` numbers that it made, or None."""
    names, made, last = {}, [], None
    final = max((number for number, cell in enumerate(cells(page)) if "Worked(" in cell.source), default=-1)
    for number, cell in enumerate(cells(page)):
        if cell.cell_type == "code" and number <= final:          # what follows may take long
            exec(compile(cell.source, page.name, "exec"), names)
        worked = names.get("worked")
        made.append(worked if worked is not last else None)
        last = worked
    return made


def formulas(text):
    """Yield (text, whether displayed) for each formula in Markdown; code is left out."""
    for found in MATH.finditer(re.sub(r"`[^`\n]*`", "", text)):
        yield " ".join((found["shown"] or found["inline"]).split()), bool(found["shown"])


def parts(page, texts=None):
    """Yield (text, whether it is for the pencil, number of the cell) for each piece of Markdown under one heading."""
    pencil = None                                                 # the level of the heading that began the section
    for number, cell in enumerate(cells(page)):
        if cell.cell_type != "markdown":
            continue
        source = (texts or {}).get(number, cell.source)
        starts = [found.start() for found in HEADING.finditer(source)]
        for start, end in zip([0, *starts], [*starts, len(source)], strict=True):
            piece = source[start:end]
            if heading := HEADING.match(piece):
                level = len(heading[1])
                if pencil and level <= pencil:
                    pencil = None
                if not pencil and "pencil" in heading[2].lower():
                    pencil = level
            yield piece, bool(pencil), number


def plain(name):
    return re.sub(r"\s", "", name)


def wrong_numbers(pieces, worked):
    """Return what is wrong with the numbers of a section for the pencil.

    Parameters
    ----------
    pieces : list of str
        The formulas of the section.
    worked : dict
        What the shipped functions say, by name.
    """
    said, used = [], set()
    for chain in (chain for piece in pieces for chain in split(piece, r"\\qquad|\\quad|[,;:]")):
        sides = split(chain, r"=|\\approx")
        if len(sides) < 2:
            continue
        name, found = plain(sides[0]), []
        for side, sign in zip(sides, ["=", *re.findall(r"=|\\approx", chain)], strict=True):
            try:
                number = worked[plain(side)] if plain(side) in worked else value(parse(side), worked)
            except Unknown:                                       # a side in letters
                continue
            except (ValueError, KeyError, IndexError, TypeError) as error:
                said.append(f"cannot be computed, {error}")
                continue
            digits = max(map(len, re.findall(r"\.(\d+)", side)), default=0)
            found.append((side, np.squeeze(number), 1e-9 if sign == "=" else 0.5 * 10.0**-digits + 1e-9))
        used.update(map(plain, sides))
        if found and name not in worked and NAME.match(name):
            said.append(f"{name} is computed, but the cell below does not give it: {chain}")
        for (one, first, _), (other, second, error) in itertools.pairwise(found):
            if first.shape != second.shape or not np.allclose(first, second, rtol=0, atol=error):
                said.append(f"{one} is {first.tolist()}, but {other} is {second.tolist()}, in {chain}")
    return said + [f"{name} is given, but the section does not compute it" for name in worked if name not in used]


def pencil_sections(page, texts=None):
    """Yield (formulas, worked numbers) for each stretch of a section for the pencil that ends in a code cell."""
    made, waiting = run(page), []
    by_cell = {}
    for piece, pencil, number in parts(page, texts):
        if pencil:
            by_cell.setdefault(number, []).extend(text for text, _ in formulas(piece))
    for number, worked in enumerate(made):
        waiting += by_cell.get(number, [])
        if worked is not None:
            yield waiting, worked
            waiting = []
    if any(re.search(r"=.*\d", text) for text in waiting):
        yield waiting, {}


def arrays(page):
    return getattr(page_arrays, page.stem.partition("_")[2], dict)()


def statements(text):
    """Return the equalities of a formula, without 'for every i'."""
    if r"\text{ if }" in text:
        return [text]
    return [part for part in split(text, r"\\qquad|\\quad") if not part.startswith(r"\text")]


def wrong_formulas(page, texts=None):
    """Return what is wrong with the formulas of a page outside of its sections for the pencil."""
    known, listed, said = arrays(page), [*page_arrays.LISTED.get(page.stem, [])], []
    for piece, pencil, _ in parts(page, texts):
        heading = HEADING.match(piece)
        here = known | known.get(heading[2] if heading else "", {})             # arrays of this section alone
        for text, shown in () if pencil else formulas(piece):
            if numbered := re.search(r"(.*?)\s*\\qquad \((\d+)\)$", text):
                if page_arrays.PAPER.get(int(numbered[2])) != numbered[1]:
                    said.append(f"not equation ({numbered[2]}) of the paper: {numbered[1]}")
            elif text in listed:
                listed.remove(text)
            elif shown or ("=" in text and re.search(r"[A-Za-z}\d]\[", text)):
                said += failures(text, here)
    return said + [f"listed, but not on the page: {text}" for text in listed]


def failures(text, known):
    for statement in statements(text):
        try:
            if not Formula(statement, known).holds():
                yield f"the shipped functions give other numbers: {statement}"
        except (ValueError, KeyError, IndexError, TypeError) as error:
            yield f"cannot be computed, {type(error).__name__} {error}: {statement}"


def shown_functions(page):
    """Return the functions of the book that a page shows by `Source`."""
    source = "\n".join(cell.source for cell in cells(page) if cell.cell_type == "code")
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    names = [argument.id for call in calls if getattr(call.func, "id", "") == "Source" for argument in call.args]
    return [getattr(reference, name) for name in names if name in reference.OPS]


def docstring_formulas(docstring):
    """Yield the formulas with indices in a docstring, as LaTeX."""
    for line in docstring.splitlines():
        if not re.match(r"\s*\w+\[[^\]]*\] +\+?= ", line):
            continue
        line = re.sub(r" +(\+?=)", r" \1", line)
        line = re.split(r";|:|,  |(?<=\S)   ", line.strip())[0]
        line = re.sub(r"sum over ([\w, ]+) of", r"\\sum_{\1}", line).replace("+=", r"\mathrel{+}=")
        yield re.sub(r"\bdxp\b", r"d\\tilde{x}", re.sub(r"\bxp\b", r"\\tilde{x}", line)).replace("*", r"\cdot ")


def wrong_docstring(page, function, docstring=None):
    """Return what is wrong with the formulas in the docstring of a function that a page shows."""
    name, docstring, known = function.__name__, docstring or function.__doc__, arrays(page)
    renamed = page_arrays.RENAMED.get(page.stem, {}).get(name, {})
    known |= {here: known[there] for here, there in renamed.items()}
    found = [*docstring_formulas(docstring)]
    said = [f"{name}: {failure}" for text in found for failure in failures(text, known)]
    if not found and name not in page_arrays.DOCSTRINGS:
        said.append(f"{name}: no formula in its docstring is checked; list it in tests/page_arrays.py")
    return said + [f"{name}: its docstring has no line: {line}" for line in page_arrays.DOCSTRINGS.get(name, [])
                   if line not in docstring]


def wrong_shapes(page, texts=None):
    """Return the shapes in the tables of a page that are not those of the declarations of its functions."""
    declared = {}
    for function in shown_functions(page):
        for name, axes in (function.contract.arguments | function.contract.results).items():
            declared.setdefault(name, set()).add(axes.replace(" ", ", "))
    said = []
    for piece, _, _ in parts(page, texts):
        for name, axes in re.findall(r"`(\w+)`(?: has|,) shape `\(([^)]*)\)`", piece):
            name = page_arrays.DECLARED.get(page.stem, {}).get(name, name)
            if axes not in declared.get(name, ()):
                said.append(f"{name} has shape ({axes}) on the page, but is declared as {declared.get(name)}")
    return said


@every_page
def test_numbers_worked_by_hand_are_those_of_the_shipped_functions(page):
    sections = [*pencil_sections(page)]
    assert bool(sections) == any(pencil for _, pencil, _ in parts(page))
    assert [fault for texts, worked in sections for fault in wrong_numbers(texts, worked)] == []


@every_page
def test_formulas_are_those_of_the_shipped_functions(page):
    assert wrong_formulas(page) == []


@every_page
def test_docstrings_of_listed_functions_are_right(page):
    assert [fault for function in shown_functions(page) for fault in wrong_docstring(page, function)] == []


@every_page
def test_shapes_are_those_of_the_declarations(page):
    assert wrong_shapes(page) == []
