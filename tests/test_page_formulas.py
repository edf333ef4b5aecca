"""Formula, code and number do not drift: what a page writes is computed and compared with the shipped functions.

notebooks/README.md says what this file reads on a page. tests/latex.py reads the formulas; tests/page_arrays.py has
the arrays, and the formulas that cannot be computed.
"""

import ast
import functools
import importlib
import itertools
import re

import jupytext
import numpy as np
import page_arrays
import pytest
from latex import Formula, Unknown, named, parse, split, value
from test_notebooks import refresh

from npse import reference

TRAINING = ("08", "09")                                           # these pages train networks
every_page = pytest.mark.parametrize("page", refresh.PAGES, ids=lambda page: page.stem)
every_page_that_runs = pytest.mark.parametrize("page", [
    pytest.param(page, id=page.stem, marks=pytest.mark.slow if page.stem[:2] in TRAINING else ())
    for page in refresh.PAGES])
MATH = re.compile(r"\$\$(?P<shown>.+?)\$\$|\$(?P<inline>[^$\n]+(?:\n[^$\n]+)?)\$", re.DOTALL)
HEADING = re.compile(r"^(#{1,6}) (.*)$", re.MULTILINE)
NAME = re.compile(r"d?[A-Za-z\\]+'?(_\{?[\w\\{}]+\}?)?(\^\d)?$")


@functools.cache
def cells(page):
    return jupytext.read(page).cells


@functools.cache
def run(page):
    """Return for each cell the `Worked` numbers that it made, or None; what follows the last of them is not run."""
    names, made, last = {}, [], None
    end = max((number for number, cell in enumerate(cells(page), start=1) if "Worked({" in cell.source), default=0)
    for cell in cells(page)[:end]:
        if cell.cell_type == "code":
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
            except Unknown as error:                              # a side in letters
                base = str(error.args[0]).rstrip("0123456789")
                if base.endswith("_") and any(other.startswith(base) for other in worked):
                    said.append(f"{error.args[0]} is given nowhere: {chain}")
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


def section_arrays(piece, known):
    """Return the arrays of a page, with those that the section of this piece has for itself."""
    heading = HEADING.match(piece)
    return known | known.get(heading[2] if heading else "", {})


def statements(text):
    """Return the equalities of a formula, and the letters that it says it holds for, as in 'for every i, j'."""
    if r"\text{ if }" in text:
        return [text], []
    parts = split(text, r"\\qquad|\\quad")
    for_every = [part for part in parts if re.match(r"\\text\{for (all|every)", part)]
    letters = re.findall("[A-Za-z]", "".join(part.partition("}")[2] for part in for_every))
    return [part for part in parts if part not in for_every], letters


def is_indexed(text):
    return "=" in text and re.search(r"[A-Za-z}\d]\[", text)


def is_numbered(text):
    return re.search(r"\\qquad \(\d+\)$", text)


def is_of_the_paper(text):
    return text in [rf"{formula} \qquad ({number})" for number, formula in page_arrays.PAPER.items()]


def wrong_formulas(page, texts=None):
    """Return what is wrong with the formulas of a page outside of its sections for the pencil."""
    known, listed, said = arrays(page), [*page_arrays.LISTED.get(page.stem, [])], []
    for piece, pencil, _ in parts(page, texts):
        here = section_arrays(piece, known)
        for text, shown in () if pencil else formulas(piece):
            if is_numbered(text):
                said += [] if is_of_the_paper(text) else [f"this is not in the paper: {text}"]
            elif text in listed:
                listed.remove(text)
            elif shown or is_indexed(text):
                said += failures(text, here)
    return said + [f"listed, but not on the page: {text}" for text in listed]


def failures(text, known):
    parts, letters = statements(text)
    for statement in parts:
        try:
            formula = Formula(statement, known)
            if letters and (len({*letters}) < len(letters) or not formula.holds_for(letters)):
                yield f"it is not for every {', '.join(letters)}: {statement}"
            if not formula.holds():
                yield f"the shipped functions give other numbers: {statement}"
        except (ValueError, KeyError, IndexError, TypeError) as error:
            yield f"cannot be computed, {type(error).__name__} {error}: {statement}"


def shown_functions(page):
    """Return the functions of the book that a page shows by `Source`."""
    source = "\n".join(cell.source for cell in cells(page) if cell.cell_type == "code")
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    names = [getattr(argument, "id", "") for call in calls
            if getattr(call.func, "id", "") == "Source" for argument in call.args]
    return [getattr(reference, name) for name in names if name in reference.OPS]


def one_space(docstring):
    """Return a docstring without the spaces that align its equals signs."""
    return re.sub(r"(?<=\S) +(\+?=)", r" \1", docstring)


def docstring_formulas(docstring):
    """Yield the formulas with indices in a docstring, without what follows them on their line."""
    for line in one_space(docstring).splitlines():
        if re.match(r"\s*\w+\[[^\]]*\] \+?= ", line):
            yield re.split(r";|:|,  |(?<=\S)   ", line.strip())[0]


def as_latex(formula):
    formula = re.sub(rf"\b(d?)({'|'.join(page_arrays.LETTERS)})\b",
                     lambda word: word[1] + page_arrays.LETTERS[word[2]], formula)
    formula = re.sub(r"sum over ([\w, ]+) of", r"\\sum_{\1}", formula).replace("+=", r"\mathrel{+}=")
    formula = re.sub(r"\bdxp\b", r"d\\tilde{x}", re.sub(r"\bxp\b", r"\\tilde{x}", formula))
    return formula.replace("*", r"\cdot ")


def wrong_docstring(page, function, docstring=None):
    """Return what is wrong with the formulas in the docstring of a function that a page shows."""
    name, docstring, known = function.__name__, docstring or function.__doc__, arrays(page)
    renamed = page_arrays.RENAMED.get(page.stem, {}).get(name, {})
    known |= {here: known[there] for here, there in renamed.items()}
    found = [*docstring_formulas(docstring)]
    begun = [line for line in docstring.splitlines() if re.match(r"\s*\w+\[[^\]]*\] ", line)]
    said = [f"{name}: {failure}" for text in found for failure in failures(as_latex(text), known)]
    if not found and name not in page_arrays.DOCSTRINGS:
        said.append(f"{name}: no formula in its docstring is checked; list it in tests/page_arrays.py")
    if len(begun) != len(found):
        said.append(f"{name}: this is no formula: {begun}")
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


@every_page_that_runs
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


def graph_numbers(monkeypatch, module, figure):
    """Yield (name, number) for each value and gradient in the graph that a figure of a page draws."""
    figures = importlib.import_module(f"npse.notebook.figures.{module}")
    drawn = []
    monkeypatch.setattr(figures, "draw_graph", lambda ax, nodes, edges: drawn.append(nodes))
    getattr(figures, figure)().png()
    for node in drawn[0].values():
        name = plain(node.text.strip("$").split("=")[0])
        for shown, of in ((node.value, name), (node.gradient, f"d{name}")):
            number = shown.split("=")[-1].replace("ln", r"\ln").replace("·", r"\cdot")
            if number and not node.operation:
                yield of, np.asarray(value(parse(f"({number})"), {}), float)


def known_number(name, worked):
    """Return a worked number, or a vector of those with this name and a place; None if there is none."""
    for spelt in (name, name.replace("dW", "dw")):
        try:
            return named(spelt, worked)
        except Unknown:
            if entries := [worked[entry] for entry in sorted(worked) if re.fullmatch(rf"{re.escape(spelt)}_\d", entry)]:
                return np.array(entries)
    return None


@pytest.mark.parametrize(("page", "figure", "section", "count"), [
    ("00_before_you_begin", "three_operations", 0, 12),
    ("00_before_you_begin", "one_layer", 1, 8),
    ("01_convolution", "two_windows", 1, 14),
    ("02_squeeze", "average", 0, 1),
    ("02_squeeze", "average", 1, 1),
    ("03_excitation", "two_layers", 0, 5),
    ("03_excitation", "two_layers", 1, 9),
])
def test_numbers_in_the_graphs_are_those_of_the_pages(page, figure, section, count, monkeypatch):
    page = next(source for source in refresh.PAGES if source.stem == page)
    worked = [made for made in run(page) if made is not None][section]
    found = 0
    for name, number in graph_numbers(monkeypatch, page.stem.partition("_")[2], figure):
        known = known_number(name, worked)
        if known is not None:
            assert np.allclose(number, known), name
            found += 1
    assert found == count


# The tests notice: one character is changed, in every place in turn.


def other_numbers(text):
    """Yield the text with one digit changed, for each digit."""
    for found in re.finditer(r"\d", text):
        yield text[:found.start()] + str((int(found[0]) + 1) % 10) + text[found.end():]


def other_formulas(text):
    """Yield the text with one letter, digit or sign changed; words and commands stay."""
    words = [found.span() for found in re.finditer(r"\\text\{[^}]*\}|\\[A-Za-z]+", text)]
    for found in re.finditer(r"[A-Za-z\d+=-]", text):
        if not any(start <= found.start() < end for start, end in words):
            sign = found[0]
            new = {"+": "-", "-": "+", "=": "+", "z": "y", "Z": "Y", "9": "0"}.get(sign) or chr(ord(sign) + 1)
            yield text[:found.start()] + new + text[found.end():]


def other_docstrings(text):
    """Yield a formula of a docstring with one letter, digit or sign changed; the words of the sum stay."""
    kept = [found.span() for found in re.finditer(r"sum over|\bof\b", text)]
    for found in re.finditer(r"[A-Za-z\d+=*/]", text):
        if not any(start <= found.start() < end for start, end in kept):
            new = {"+": "-", "=": "+", "*": "+", "/": "*", "z": "y"}.get(found[0]) or chr(ord(found[0]) + 1)
            yield text[:found.start()] + new + text[found.end():]


def renamed(text, changed):
    """Whether the change is another letter for an index that occurs once, which means the same."""
    old, new = ({*re.findall("[a-z]", one)} - {*re.findall("[a-z]", other)} for one, other in
                ((text, changed), (changed, text)))
    return len(old) == len(new) == 1 and text.count(*old) == 1


def computed(text, worked):
    """Return the values of all sides of a formula, None for one in letters, and the text of one that is wrong."""
    sides = [side for chain in split(text, r"\\qquad|\\quad|[,;:]") for side in split(chain, r"=|\\approx")]
    found = []
    for side in sides:
        try:
            found.append(np.asarray(value(parse(side), worked)).tolist())
        except Unknown:
            found.append(None)
        except (ValueError, KeyError, IndexError, TypeError):
            found.append(side)
    return found


@every_page_that_runs
def test_one_changed_digit_of_a_worked_number_is_noticed(page):
    noticed, total = 0, 0
    for texts, worked in pencil_sections(page):
        for place, text in enumerate(texts):
            for changed in other_numbers(text) if "=" in text else ():
                faults = wrong_numbers([*texts[:place], changed, *texts[place + 1:]], worked)
                harmless = computed(changed, worked) == computed(text, worked)          # such as 2 * 0 for 1 * 0
                assert faults or harmless, changed
                noticed, total = noticed + bool(faults), total + 1
    assert noticed >= 0.9 * total


@every_page_that_runs
def test_another_result_of_a_shipped_function_is_noticed(page):
    for texts, worked in pencil_sections(page):
        for name, number in worked.items():
            assert wrong_numbers(texts, worked | {name: number + 1e-3})
        assert wrong_numbers(texts, worked | {"q_9": np.array(1.0)})
        assert wrong_numbers(texts, {})


@every_page
def test_one_changed_character_of_a_formula_is_noticed(page):
    known, listed = arrays(page), page_arrays.LISTED.get(page.stem, [])
    for piece, pencil, _ in parts(page):
        here = section_arrays(piece, known)
        for text, shown in () if pencil else formulas(piece):
            if is_numbered(text) or text in listed or not (shown or is_indexed(text)):
                continue
            assert not [*failures(text, here)]
            unnoticed = [changed for changed in other_formulas(text) if not [*failures(changed, here)]]
            assert unnoticed == []


def test_one_changed_character_of_the_papers_formula_or_its_number_is_noticed():
    shown = [text for page in refresh.PAGES for piece, _, _ in parts(page) for text, _ in formulas(piece)
             if is_numbered(text)]
    assert len(shown) >= len(page_arrays.PAPER)
    assert all(map(is_of_the_paper, shown))
    assert not [changed for text in shown for changed in other_formulas(text) if is_of_the_paper(changed)]


@every_page
def test_one_changed_character_of_a_docstring_is_noticed(page):
    for function in shown_functions(page):
        docstring = one_space(function.__doc__)
        for formula in docstring_formulas(docstring):
            for changed in other_docstrings(formula):
                faults = wrong_docstring(page, function, docstring.replace(formula, changed))
                assert faults or renamed(formula, changed), changed
        for line in page_arrays.DOCSTRINGS.get(function.__name__, []):
            assert wrong_docstring(page, function, function.__doc__.replace(line, line[:-2]))


def test_a_changed_shape_is_noticed():
    for page in refresh.PAGES:
        for number, cell in enumerate(cells(page)):
            if cell.cell_type == "markdown" and "| in the paper" in cell.source:
                changed = re.sub(r"shape `\((\w+), ", r"shape `(\1, N, ", cell.source, count=1)
                assert changed == cell.source or wrong_shapes(page, {number: changed})
