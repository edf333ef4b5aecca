"""``npse exercise``: the course. Start, check and hints for students; grading and export for teachers."""

import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from npse.cli import console
from npse.cli.command import App
from npse.cli.console import noted

app = App(help="The course: write functions of the book yourself, and learn what is wrong with them.")


def _names():
    from npse.exercises import exercises

    return [exercise.name for exercise in exercises()]


OTHERWISE = "--to sets the folder"
OF_A_CLASS = "The class"
TIMES = ["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"]
WHERE = Annotated[Path, Option("--in", metavar="FOLDER", help="your folder of exercises")]
WHICH = Annotated[str, Argument(metavar="EXERCISE", help="its number or name", autocompletion=_names)]


@app.command("list", examples=("npse exercise list",))
def list_() -> None:
    """List all exercises, in the order of the paper."""
    from npse.exercises import exercises

    console.show(("", "<", "<"), [(str(exercise.number), exercise.name, f"{exercise.title}: {exercise.idea}")
                                  for exercise in exercises()])


@app.command(examples=("npse exercise start 3", "npse exercise start squeeze --as notebook --to course"))
def start(
    which: WHICH,
    kind: Annotated[str, Option("--as", metavar="KIND", help="file or notebook")] = "file",
    to: Annotated[Path, Option(metavar="FOLDER", help="folder to write into")] = Path("."),
) -> None:
    """Write an exercise into your folder. An existing file is never overwritten."""
    from npse.exercises import find
    from npse.exercises.folder import Folder

    exercise = find(which)
    with noted(OTHERWISE, FileExistsError):
        path = Folder(to).start(exercise, kind)
    typer.echo(f"{path}: {exercise.title}, {sum(points(exercise))} points\n"
               f"write your code into it, then run: npse exercise check {path}")


@app.command(examples=("npse exercise check", "npse exercise check 3 --watch",
                       "npse exercise check course/03_squeeze.py"))
def check(
    file: Annotated[str | None, Argument(metavar="[FILE|EXERCISE]", help="a file, or the number or name of an exercise",
                                         show_default="the one changed last")] = None,
    where: WHERE = Path("."),
    watch: Annotated[bool, Option("--watch", help="check again whenever the file is saved, until Ctrl-C")] = False,
    seed: Annotated[int, Option(min=0, help="of the values it is tried on")] = 0,
) -> None:
    """Mark your work, part by part, and say what is wrong. Exit code 0 if all is right, else 1."""
    from npse.exercises.folder import Folder

    folder = Folder(where)
    path = folder.file_of(file)
    if others := folder.others(path):
        typer.echo(f"{path.name} is marked, not {', '.join(other.name for other in others)}")
    right = _check(folder, path, seed)
    while watch:
        right = _check_when_saved(folder, path, seed)
    if not right:
        raise typer.Exit(1)


def _check(folder, path, seed):
    from npse.exercises import log
    from npse.exercises.check import check
    from npse.exercises.submission import read

    submission = read(path)
    if submission.exercise is None:
        raise ValueError(f"{path} belongs to no exercise; name it like 03_squeeze.py, as npse exercise start does")
    mark = check(submission, seed)
    typer.echo(str(mark))
    if printed := "".join(filter(str.isprintable, mark.printed.strip().partition("\n")[0])):
        typer.echo(f"  your code printed: {printed[:100]}")
    if not mark.ok:
        typer.echo(f"  stuck? npse exercise hint {mark.exercise.number}")
    if path.resolve().parent == folder.path.resolve() and folder.remember(mark, path):
        typer.echo(f"  {log.NOTICE}")
    return mark.ok


def _check_when_saved(folder, path, seed):
    before = path.stat().st_mtime_ns
    try:
        while not path.exists() or path.stat().st_mtime_ns == before:     # an editor may rename while it saves
            time.sleep(0.2)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    typer.echo("")
    return _check(folder, path, seed)


@app.command(examples=("npse exercise hint 3",))
def hint(
    which: WHICH,
    where: WHERE = Path("."),
    every: Annotated[bool, Option("--all", help="show all three")] = False,
) -> None:
    """Show the next of three hints; the last one says nearly everything."""
    from npse.exercises import find
    from npse.exercises.folder import Folder

    exercise, folder = find(which), Folder(where)
    exercise = folder.in_variant(exercise)
    shown = exercise.hints if every else folder.next_hint(exercise)
    for number, text in enumerate(shown, 1):
        typer.echo(f"hint {number} of {len(exercise.hints)}\n{text}\n")


@app.command(examples=("npse exercise solution 3", "npse exercise solution 3 --to course --as notebook"))
def solution(
    which: WHICH,
    to: Annotated[Path | None, Option(metavar="FOLDER", help="write it into this folder",
                                      show_default="print it")] = None,
    kind: Annotated[str, Option("--as", metavar="KIND", help="file or notebook, with --to")] = "file",
) -> None:
    """Show one solution."""
    from npse.exercises import find
    from npse.exercises.annotated import ANSWER
    from npse.exercises.folder import Folder

    exercise = Folder(to or Path(".")).in_variant(find(which))
    if to is None and kind != "file":
        raise ValueError("--as is for a solution written to a folder: add --to, or leave --as out")
    if to is None:
        typer.echo(exercise.as_file(ANSWER))
        return
    with noted(OTHERWISE, FileExistsError):
        typer.echo(f"wrote {Folder(to).solve(exercise, kind)}")


@app.command(examples=("npse exercise status",))
def status(where: WHERE = Path(".")) -> None:
    """Show the state of each exercise."""
    from npse.exercises.folder import Folder

    console.show(("", "<", "<"), [(str(exercise.number), exercise.title, state + _seen(hints))
                                  for exercise, state, hints in Folder(where).status()])


def _seen(hints):
    return f", {hints} hint{'s' * (hints != 1)}" if hints else ""


@app.command(examples=("npse exercise grade submissions --out report --seed 4711",
                       "npse exercise grade class --out marks --roster list.csv --due 2026-11-20T23:59"))
def grade(
    submissions: Annotated[Path, Argument(metavar="FOLDER", help="contains a folder for each student")],
    out: Annotated[Path, Option(metavar="FOLDER", help="folder for the report")],
    only: Annotated[list[str] | None, Option("--exercise", metavar="EXERCISE", help="number or name; repeatable",
                                             show_default="all submitted")] = None,
    seed: Annotated[int, Option(min=0, help="with a student's name it fixes the values tried")] = 0,
    workers: Annotated[int | None, Option(min=1, help="processes", show_default="one for each core")] = None,
    trust: Annotated[bool, Option("--trust", help="grade even where students' code cannot be isolated")] = False,
    roster: Annotated[Path | None, Option(metavar="FILE", help="CSV with all students: Canvas, Moodle, or a column "
                                          "student", rich_help_panel=OF_A_CLASS)] = None,
    column: Annotated[str | None, Option(metavar="TITLE", help="of the roster, for the sum of all points",
                                         rich_help_panel=OF_A_CLASS, show_default="one for each exercise")] = None,
    variants: Annotated[Path | None, Option(metavar="FILE", help="the variants that were given: a table that export "
                                            "wrote", rich_help_panel=OF_A_CLASS)] = None,
    due: Annotated[datetime | None, Option(metavar="TIME", formats=TIMES, help="when the work was due, like "
                                           "'2026-11-20 23:59'", rich_help_panel=OF_A_CLASS)] = None,
    grace: Annotated[float, Option(min=0, metavar="MINUTES", help="after --due that do not count",
                                   rich_help_panel=OF_A_CLASS)] = 0,
    late: Annotated[float, Option(min=0, max=100, metavar="PERCENT", help="of the points, for each day that has begun "
                                  "since --due", rich_help_panel=OF_A_CLASS)] = 0,
) -> None:
    """Mark a class, on hidden shapes and on other values for each student; write CSV, JSON and pages to --out.

    Broken, empty, hostile or endless submissions get 0 for that part and never stop the run. An interrupted run goes on
    where it stopped: call it again with the same --out. Use a --seed that the class does not know.
    """
    from npse.exercises import by_hand, report
    from npse.exercises.grade import grade
    from npse.exercises.late import Deadline, apply
    from npse.exercises.roster import Roster
    from npse.exercises.sandbox import missing_protections

    if due is None and (late or grace):
        raise ValueError("--late and --grace are for a deadline: add --due, or leave them out")
    if roster is None and column is not None:
        raise ValueError("--column is a column of the roster: add --roster, or leave it out")
    people = None if roster is None else Roster(roster)
    if not trust and (missing := missing_protections()):
        raise ValueError(f"this system cannot isolate the code of students: {'; '.join(missing)}. Their code could "
                         "read the solutions and change your files. Use Linux, or a container that allows namespaces; "
                         "or add --trust if you know the authors")
    began = time.monotonic()
    with console.status() as doing:
        found = grade(submissions, only or (), seed, workers,
                      lambda done, of: doing.update(f"{done} of {of} submissions"), record=out / report.RECORD,
                      roster=people, manifest=variants)
    found = apply(found, None if due is None else Deadline(due, timedelta(minutes=grace), late))
    found = by_hand.apply(found, out / by_hand.FILE)
    report.write(found, out)
    students = {mark["student"] for mark in found["marks"]}
    typer.echo(f"students: {len(students)}, exercises: {len(found['exercises'])}, pairs that look alike: "
               f"{len(found['similar'])}; {time.monotonic() - began:.0f} s\nopen {out / 'index.html'}")
    if people is not None:
        if found["unknown"]:
            typer.echo(f"not in the roster: {', '.join(found['unknown'])}")
        with noted("--column names it", ValueError):
            typer.echo(f"upload {report.write_table(people.filled(found, column), people.path.name, out)}")


@app.command(examples=("npse exercise export --format nbgrader --to course",))
def export(
    to: Annotated[Path, Option(metavar="FOLDER", help="folder to write into")],
    target: Annotated[str, Option("--format", metavar="KIND", help="nbgrader, otter, gradescope, or file or notebook "
                                  "for a folder of each student")],
    only: Annotated[list[str] | None, Option("--exercise", metavar="EXERCISE", help="number or name; repeatable",
                                             show_default="all")] = None,
    students: Annotated[list[str] | None, Option("--variant", metavar="ID", help="a student, who gets variants of "
                                                 "the exercises; repeatable, with file or notebook")] = None,
    roster: Annotated[Path | None, Option(metavar="FILE", help="a CSV with all students, for --variant")] = None,
) -> None:
    """Write the exercises as the source of a course in nbgrader, otter-grader or Gradescope, or for each student.

    Some exercises have variants: other layouts of the arrays. The id of a student chooses them. For each student there
    is a folder; variants.csv says who was given which variant, and grade --variants reads it.
    """
    from npse.exercises import exercises, find
    from npse.exercises.export import export, export_variants
    from npse.exercises.folder import FORMATS
    from npse.exercises.roster import Roster

    chosen = [find(which) for which in only] if only else exercises()
    people = [*(students or ()), *([person.name for person in Roster(roster).people] if roster else [])]
    if bool(people) != (target in FORMATS):
        raise ValueError(f"--variant and --roster go with --format {' or '.join(FORMATS)}, and with no other format")
    with noted(OTHERWISE, FileExistsError):
        paths = export_variants(chosen, people, target, to) if people else export(chosen, target, to)
    for path in paths:
        typer.echo(f"wrote {path}")


def points(exercise):
    """Return the points of all parts of an exercise."""
    return [points for task in exercise.tasks() for points in task.parts.values()]
