"""Each part of a solution counts: a solution with one mistake in it, of the kinds that people make, loses points.

The mistakes are those of `npse.zoo.mutation`, at every place of each function. Those that change nothing, on numbers
that the judge does not see, and those that crash at once are left out.
"""

import ast
import copy
import functools
import warnings

import numpy as np
import pytest

from npse import reference
from npse.exercises import exercises, find
from npse.exercises.check import check
from npse.exercises.submission import Submission
from npse.exercises.task import mark
from npse.gradcheck.calls import Recording
from npse.gradcheck.draw import draw_arguments, generator, upstream
from npse.reference.numerics import average, total
from npse.support.wrapped import Overlay
from npse.zoo.mutation.engine import observed, same
from npse.zoo.mutation.operator import OPERATORS, edited

FEW = 4                          # mutants of a function that the slow test looks at
FUNCTIONS = list(dict.fromkeys((exercise.name, task.function) for exercise in exercises()
                               if exercise.tools == "numpy" for task in exercise.tasks()))
KERNELS = {"numba_kernel": "squeeze_kernel", "cuda_kernel": "scale_kernel"}


@functools.cache
def functions_of(name):
    return find(name).functions()


@functools.cache
def tree_of(name, function):
    """Return the syntax tree of a function of a solution, without decorators and docstring."""
    tree = next(node for node in ast.parse(find(name).solution_code()).body
                if isinstance(node, ast.FunctionDef) and node.name == function)
    tree.decorator_list, tree.body = [], tree.body[ast.get_docstring(tree) is not None:]
    return tree


def mutants(name, function):
    """Return the operator and the text of each change of a function, in an order that the names fix."""
    tree, found = tree_of(name, function), {}
    for operator in OPERATORS.values():
        for node, replacement in operator.edits(tree):
            found.setdefault(ast.unparse(edited(tree, node, replacement)), operator.name)
    order = generator(0, f"mutants of {name}: {function}").permutation(len(found))
    return [list(found.items())[k] for k in order]


def compiled(name, function, text):
    """Return the function of a text that takes the place of the solution's."""
    names = functions_of(name) | {"_KEPT": {}, "average": average, "total": total, "np": np}
    exec(text, names)
    return names[function]


@functools.cache
def calls(name, function):
    """Return calls of a function with numbers that the judge does not see: a list of (arguments, options)."""
    book, found = Overlay(reference, **functions_of(name)), []
    for task in find(name).tasks():
        for case in task.cases if task.function == function else ():
            for dtype in (np.float64, np.float32):
                arguments, recording = draw_arguments(case, 1000, dtype), Recording(book)
                y = np.asarray(case.forward(recording, **copy.deepcopy(arguments)))
                if case.backward:
                    dy = upstream(generator(1000, str(case)), y)
                    for given in (dy, np.ones_like(dy)):
                        case.backward(recording, given[()], **copy.deepcopy(arguments))
                found += [(tuple(value for key, value in call.before.items() if isinstance(key, int)),
                           {key: value for key, value in call.before.items() if isinstance(key, str)})
                          for call in recording.calls if call.name == function]
    return found


def is_a_mistake(name, function, text):
    """Whether a change gives other results, and does not crash at the first call."""
    right, wrong = functions_of(name)[function], compiled(name, function, text)
    for k, call in enumerate(calls(name, function)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found = observed(wrong, call)
            except Exception:
                return k > 0
        expected = observed(right, call)
        if len(found) != len(expected) or not all(map(same, found, expected)):
            return True
    return False


def earns_all(name, function, text):
    """Whether a function earns all points that it can earn."""
    exercise, wrong = find(name), compiled(name, function, text)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return all(part.ok for task in exercise.tasks() if task.function == function
                   for part in mark(task, wrong, functions_of(name), hidden=True))


@pytest.mark.parametrize("how_many", [pytest.param(FEW, marks=pytest.mark.slow, id="few"),
                                      pytest.param(None, marks=pytest.mark.nightly, id="all")])
@pytest.mark.parametrize(("name", "function"), FUNCTIONS, ids=lambda value: str(value))
def test_a_mistake_in_a_solution_costs_points(name, function, how_many):
    looked_at, kept = 0, []
    for text, operator in mutants(name, function):
        if looked_at == how_many:
            break
        if is_a_mistake(name, function, text):
            looked_at += 1
            kept += [(operator, text)] if earns_all(name, function, text) else []
    assert looked_at
    assert not kept


@pytest.mark.slow
@pytest.mark.parametrize("name", KERNELS)
def test_a_mistake_in_a_kernel_costs_points(name):
    pytest.importorskip("numba")
    exercise, tree = find(name), tree_of(name, KERNELS[name])
    code, kept = exercise.solution_code(), []
    before = ast.unparse(tree).split("\n", 1)[1]
    for text, operator in mutants(name, KERNELS[name])[:2 * FEW]:
        body = text.split("\n", 1)[1]
        head = ast.parse(code)
        assert before in ast.unparse(head)
        assert body != before
        wrong = ast.unparse(head).replace(before, body)
        found = check(Submission(exercise, (wrong,), f"{exercise.stem}.py"), hidden=True)
        kept += [(operator, body)] if found.ok else []
    assert not kept
