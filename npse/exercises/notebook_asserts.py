"""Tests inside a notebook, for graders that run them in the student's own process: nbgrader and otter-grader.

    require("squeeze", "squeeze: values", globals())          raises an AssertionError that says what is wrong

With these graders the student's code and the judge share a process, so the student's code can change the judge.
`npse exercise grade` runs them in separate processes. It reads the folders of these graders too.
"""

from npse.exercises.annotated import find
from npse.exercises.ipython import without_magics
from npse.exercises.task import mark
from npse.support.names import suggest


def require(which, part, namespace, seed=0, hidden=False):
    """Raise AssertionError unless one part of an exercise is right; otherwise return its points.

    Parameters
    ----------
    which : int or str
        Number or name of the exercise.
    part : str
        Name of the part, as `npse exercise check` prints it: ``"squeeze_backward: gradient of u"``.
    namespace : dict
        The student's functions by name: ``globals()``.
    seed : int
        Seed of the arguments.
    hidden : bool
        Whether to use the hidden shapes too.

    Returns
    -------
    int
        The points of the part.

    Raises
    ------
    AssertionError
        The part is wrong; the message is the diagnosis.
    ValueError
        The exercise or the part is unknown.
    """
    exercise = find(which)
    part = part.replace(": manners", ": contract")              # its name in notebooks exported by 0.1
    task = next((task for task in exercise.tasks() if part in task.parts), None)
    if task is None:
        names = [name for task in exercise.tasks() for name in task.parts]
        raise ValueError(f"exercise {exercise.number} has no part {part!r}; {suggest(part, names)}")
    assert callable(namespace.get(task.function)), f"there is no function {task.function} in the notebook"
    functions = exercise.functions()
    cells = [without_magics(source) for source in namespace.get("In", ())]
    found = next(found for found in mark(task, namespace[task.function], functions, cells, seed, hidden)
                 if found.name == part)
    assert found.ok, found.message
    return found.points
