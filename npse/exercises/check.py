"""Marks a submission: the static check of the code, the sandbox that runs it, and the judge of each task."""

import contextlib
import time
from dataclasses import dataclass

from npse.exercises.annotated import Exercise
from npse.exercises.sandbox import Sandbox
from npse.exercises.static_check import static_check
from npse.exercises.task import Part, mark, zero_marks


@dataclass(frozen=True)
class Mark:
    """The mark of one exercise.

    Attributes
    ----------
    exercise : Exercise
    parts : tuple of Part
    note : str
        One line about the whole file; empty if there is none.
    printed : str
        The text that the code printed.
    seconds : float
        Time that the check took.
    """

    exercise: Exercise
    parts: tuple[Part, ...]
    note: str = ""
    printed: str = ""
    seconds: float = 0.0

    @property
    def earned(self):
        return sum(part.earned for part in self.parts)

    @property
    def points(self):
        return sum(part.points for part in self.parts)

    @property
    def ok(self):
        return self.earned == self.points

    def __str__(self):
        lines = [f"Exercise {self.exercise.number}, {self.exercise.title}: {self.earned} of {self.points} points"]
        lines += [f"  {self.note}"] if self.note else []
        width = max(len(part.name) for part in self.parts)
        for part in self.parts:
            lines.append(f"  {part.name:{width}}  {part.earned}/{part.points}  {part.message or 'right'}")
        return "\n".join(lines)


def check(submission, seed=0, hidden=False):
    """Mark a submission. A time limit ends the check, whatever the submission contains.

    Parameters
    ----------
    submission : Submission
        Its exercise must be known.
    seed : int
        Seed of all arguments that are drawn.
    hidden : bool
        Whether to use the hidden shapes too.

    Returns
    -------
    Mark

    Raises
    ------
    ImportError
        The exercise needs Numba, and Numba is not installed.
    """
    submission.exercise.expect_tools()
    began, exercise = time.monotonic(), submission.exercise
    tasks, parts, printed = exercise.tasks(), [], ""
    note = submission.problem or static_check(submission.cells, submission.file, exercise.tools)
    if not note:
        parts, note, printed = _judge(tasks, submission, seed, hidden)
    if note:
        parts = [part for task in tasks for part in zero_marks(task, "not judged")]
    elif submission.outdated:
        note = ("the file was made from another version of this exercise; compare it with a new file "
                "(npse exercise start)")
    return Mark(exercise, tuple(parts), note, printed, time.monotonic() - began)


def _judge(tasks, submission, seed, hidden):
    """Mark all tasks. Return the parts, a note if nothing counts, and the printed text.

    If the code ends its process, the next task gets a new one.
    """
    functions, parts, box = submission.exercise.functions(), [], None
    given = submission.exercise.given
    cells = (*submission.cells, *([given] if given else []))
    with contextlib.ExitStack() as stack:
        for task in tasks:
            if box is None or box.ended:
                box = stack.enter_context(Sandbox(cells, submission.file, submission.exercise.tools))
            box.left = box.seconds
            written = f"{task.function}_kernel" if given else task.function      # what is given exists in any case
            if box.problem and written not in box.names:
                if box.ended or len(submission.cells) == 1:      # a notebook has other cells
                    return [], box.problem, box.printed
                parts += zero_marks(task, box.problem)
            else:
                function = box.function(task.function, functions[task.function])
                try:
                    parts += mark(task, function, functions, submission.cells, seed, hidden)
                except Exception as error:                       # the judge cannot handle such results
                    parts += zero_marks(task, f"the results cannot be judged: {type(error).__name__}: {error}")
            if box.tampering:
                return [], box.tampering, box.printed
    return parts, "", box.printed
