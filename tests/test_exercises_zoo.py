"""Every bug of the zoo that fits an exercise loses exactly its part of the mark: the wrong tensors, or the contract."""

import copy
import inspect

import numpy as np
import pytest

from npse import reference
from npse.exercises import exercises
from npse.exercises.task import mark
from npse.gradcheck.draw import draw_arguments
from npse.support.wrapped import Overlay

zoo = pytest.importorskip("npse.zoo")


def fitting():
    """Pairs of an exercise and a bug in an op that is a function of it, with the same arguments.

    The exercises on finding bugs are left out: they check only the tensors that their own bugs reach.
    """
    for exercise in exercises():
        if exercise.tools == "numpy" and "bug" not in exercise.name:
            for bug in zoo.BUGS:
                mine = exercise.functions().get(bug.ops[0])
                if len(bug.ops) == 1 and mine and arguments_of(mine) == arguments_of(getattr(reference, bug.ops[0])):
                    quick = exercise.name == "squeeze"
                    yield pytest.param(exercise, bug, id=f"{exercise.name} {bug.name}",
                                       marks=() if quick else pytest.mark.slow)


def arguments_of(function):
    return list(inspect.signature(function).parameters)


def wrong_tensors(task, bug, functions):
    """Return the names of the gradients that differ from the solution's in any case; all names if a call fails."""
    found, solution = set(), Overlay(reference, **functions)
    for case in task.cases:
        arguments = draw_arguments(case, 0)
        dy = np.random.default_rng(1).standard_normal(np.shape(case.forward(solution, **arguments)))

        def gradients(ops, case=case, arguments=arguments, dy=dy):
            return case.backward(ops, np.array(dy), **copy.deepcopy(arguments))

        right, buggy = gradients(solution), Overlay(solution, **bug.plant())
        for _ in range(3):                                       # some bugs keep state
            try:
                ours = gradients(buggy)
            except Exception:
                return set(task.points)
            if len(ours) != len(right):
                return set(task.points)
            found |= {name for name, a, b in zip(case.wrt, ours, right, strict=True) if not same(a, b)}
    return found & set(task.points)


def same(a, b):
    return np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=0, atol=1e-6 * np.abs(b).max())


@pytest.mark.parametrize(("exercise", "bug"), list(fitting()))
def test_a_bug_of_the_zoo_loses_exactly_its_part(exercise, bug):
    functions, all_lost = exercise.functions(), set()
    for task in exercise.tasks():
        if task.function != bug.ops[0]:
            continue
        parts = mark(task, bug.plant()[task.function], functions, hidden=True)
        lost = {part.name.rpartition(": ")[2].removeprefix("gradient of ") for part in parts if not part.ok}
        if "values" not in task.points and "dtype" not in bug.kinds:      # rounding spreads over all tensors
            wrong = wrong_tensors(task, bug, functions)
            if "not repeatable" in bug.kinds:         # a tensor is wrong if the bad call falls there
                wrong &= lost
            assert lost - {"contract"} == wrong, bug.mistake
        all_lost |= lost
    assert all_lost, bug.mistake
    if "not repeatable" in bug.kinds:
        assert "contract" in all_lost, bug.mistake
