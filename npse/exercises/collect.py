"""Finds the files of each student in a folder of hand-ins, as people, nbgrader and learning platforms lay them out."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from npse.exercises import log
from npse.exercises.submission import KINDS, exercise_in

ENDS = (*KINDS, log.FILE)    # of the names of files that are looked at
MOST_FILES = 500             # files of one student that are looked at
MOST_ENTRIES = 20_000        # entries of the folders of one student that are looked at
DEEPEST = 20                 # folders inside each other
_PLATFORMS = (               # the names that platforms give to downloaded files and folders
    re.compile(r"(?P<student>[^_]+?)(?P<late>_LATE)?_(?P<user>\d{2,})_\d{3,}_(?=.)"),                       # Canvas
    re.compile(r"(?P<student>[^_]+)_(?P<user>\d+)_assignsubmission_\w*?file(?:_|$)"),                       # Moodle
    re.compile(r"[^/]*?_(?P<student>[^_]+)_attempt_\d{4}(?:-\d\d){5}(?:_|\.|$)"),                           # Blackboard
)
_FLAT = re.compile(r"(?P<student>.+?)[-_ ](?=\d\d_)")


@dataclass(frozen=True)
class Collected:
    """What a class has handed in.

    Attributes
    ----------
    files : dict of student -> dict of Exercise -> Path
    logs : dict of student -> Path
        The logs of the students' own folders; see `npse.exercises.log`.
    left_out : list of [path, reason]
        The files that are not graded.
    """

    files: dict
    logs: dict
    left_out: list


def collect(folder, students=None):
    """Find the files of each student and exercise: a `Collected`.

    If a student has two files for one exercise, the one that was changed last counts. Links are not followed: they
    could lead to the work of another student. Hidden files, and those that macOS puts into archives, are left out.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder} with submissions")
    found, logs, left_out = {}, {}, []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        name = plain(entry.name)
        if _hidden(entry.name) or entry.is_symlink() or not (students is None or name in students):
            continue
        if entry.is_dir():
            student = _student_of_folder(name)
            files = found.setdefault(student, {})
            paths = _files_below(folder / entry.name, left_out, folder)
        elif entry.name.endswith(ENDS):
            student = student_of_file(name)
            files = found.setdefault(student, {})
            paths = [folder / entry.name]
        else:
            continue
        for path in paths:
            if path.name.endswith(log.FILE):
                logs[student] = path
            elif reason := _put(files, path):
                left_out.append([plain(str(path.relative_to(folder))), reason])
    return Collected(found, logs, left_out)


def plain(name):
    """Return a name of the file system as text that can be written to every file."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(character if character.isprintable() else character.encode("unicode_escape").decode()
                   for character in text)


def student_of_file(name):
    """Return the student's name in a file name: ``name_03_squeeze.py``, or as a platform writes it."""
    if known := _on_platform(name):
        return known
    flat = _FLAT.match(name)
    return flat["student"] if flat else Path(name).stem.removesuffix(f"-{Path(log.FILE).stem}")


def _student_of_folder(name):
    return _on_platform(name) or name


def _on_platform(name):
    for pattern in _PLATFORMS:
        if match := pattern.match(name):
            user = match.groupdict().get("user")
            return f"{match['student']}_{user}" if user else match["student"]
    return ""


def _hidden(name):
    return name.startswith(".") or name == "__MACOSX"


def _files_below(folder, left_out, root):
    """Return the files of a student, without links. What cannot be read is left out, with a reason."""
    found, waiting, seen = [], [(folder, 0)], 0
    while waiting:
        here, depth = waiting.pop()
        try:
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError as error:
            left_out.append([plain(str(here.relative_to(root)))[:500], error.strerror])
            continue
        for entry in entries:
            seen += 1
            if len(found) >= MOST_FILES or seen > MOST_ENTRIES:
                left_out.append([plain(str(folder.relative_to(root))), "more files than are looked at"])
                return sorted(found)
            if _hidden(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                if depth < DEEPEST:
                    waiting.append((here / entry.name, depth + 1))
                else:
                    left_out.append([plain(str(here.relative_to(root)))[:500], "too many folders inside each other"])
            elif entry.name.endswith(ENDS):
                if entry.is_file(follow_symlinks=False):
                    found.append(here / entry.name)
                else:
                    left_out.append([plain(str((here / entry.name).relative_to(root))), "a link or no file"])
    return sorted(found)


def _put(files, path):
    """Add a path to a student's files. Return the reason why a file is left out, or ""."""
    try:
        exercise = exercise_in(path)
        if exercise is None:
            return "belongs to no exercise"
        before = files.get(exercise)
        if before and before.stat().st_mtime > path.stat().st_mtime:
            return f"{plain(before.name)} is newer"
    except (OSError, ValueError) as error:
        return f"cannot be read: {error}"
    files[exercise] = path
    return f"{plain(before.name)} was older" if before else ""
