"""Every bug of the zoo that fits an exercise loses exactly its part of the mark: the wrong tensors, or the manners."""

import inspect

import numpy as np
import pytest

from npse import reference
from npse.exercises import exercises
from npse.exercises.task import Book, mark
from npse.gradcheck.judge import generator

zoo = pytest.importorskip("npse.zoo")


def fitting():
    """Pairs of a bug and a task with the very op that the bug replaces."""
    for exercise in exercises():
        for task in exercise.tasks() if exercise.tools == "numpy" else ():
            book = getattr(reference, task.function, None)
            mine = exercise.functions().get(task.function)
            if book and inspect.signature(book).parameters.keys() == inspect.signature(mine).parameters.keys():
                for bug in zoo.BUGS:
                    if bug.ops == (task.function,):
                        name = f"{exercise.name} {task.part} {bug.name}"
                        yield pytest.param(exercise, task, bug, id=" ".join(name.split()))


def wrong_tensors(task, bug, functions):
    """Names of the gradients that differ from the solution's in any case."""
    found = set()
    for case in task.cases:
        arguments = case.arguments(generator(0, str(case)))
        dy = np.random.default_rng(1).standard_normal(np.shape(case.forward(Book(functions), **arguments)))
        ours, right = (case.backward(Book(functions, **own), np.array(dy), **arguments) for own in (bug.plant(), {}))
        found |= {name for name, a, b in zip(case.wrt, ours, right, strict=True)
                  if name in task.points and (np.shape(a) != np.shape(b) or not np.allclose(a, b, rtol=1e-6, atol=1e-9))}
    return found


@pytest.mark.parametrize(("exercise", "task", "bug"), list(fitting()))
def test_a_bug_of_the_zoo_loses_exactly_its_part(exercise, task, bug):
    functions = exercise.functions()
    parts = mark(task, bug.plant()[task.function], functions, hidden=True)
    lost = {part.name.rpartition(": ")[2] for part in parts if not part.ok}
    if "values" in task.points:
        assert lost, bug.mistake
        return
    wrong = {f"gradient of {name}" for name in wrong_tensors(task, bug, functions)}
    assert {name for name in lost if name != "manners"} == wrong, bug.mistake
    assert lost or not task.manners, bug.mistake
