"""Judges hand-ins, each in a process of its own, which also reads the file. Nothing that it does ends the others.

A process that takes too long is killed; one that ends without an answer was killed or exhausted. Both cost this hand-in
its marks, with a line that asks the teacher to look at it. Every mark is written to a file before the next one begins.
"""

import contextlib
import hashlib
import json
import multiprocessing.connection
import os
import signal
import time
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import npse
from npse.exercises import similarity
from npse.exercises.annotated import find
from npse.exercises.check import check
from npse.exercises.isolation import end_with_parent
from npse.exercises.static_check import MAX_CHARACTERS
from npse.exercises.submission import LARGEST, Submission, read
from npse.exercises.task import zero_marks

SECONDS = 180.0              # for one hand-in: reading, judging, everything
BY_HAND = "grade it by hand"  # begins the note of a hand-in that could not be judged
PRELOAD = ["npse.exercises.judging"]


@dataclass(frozen=True)
class HandIn:
    """One hand-in: what a student has given, or not given, for one exercise.

    Attributes
    ----------
    student : str
    exercise : str
        The name of the exercise.
    path : Path or None
        None if nothing was handed in.
    name : str
        The name of the file, for people.
    seed : int
        Seed of the arguments.
    variant : str or None
        The variant of the exercise that the student was given; None if nobody knows: then the file says it.
    """

    student: str
    exercise: str
    path: Path | None
    name: str
    seed: int
    variant: str | None = None

    def key(self):
        """Return what the mark depends on, as a text. A mark is kept as long as this stays the same."""
        try:
            small = self.path is not None and self.path.stat().st_size <= max(LARGEST.values())
            content = hashlib.sha256(self.path.read_bytes()).hexdigest() if small else f"{self.path}"
        except OSError as error:
            content = f"{error}"
        return "|".join((self.student, self.exercise, find(self.exercise).hash, self.variant or "", str(self.seed),
                         content, npse.__version__))


class Marks:
    """The marks made so far, in a file of one line for each. After an interruption they are read again.

    Parameters
    ----------
    path : path or None
        The file; None keeps nothing.
    """

    def __init__(self, path):
        self._path, self.found = path and Path(path), {}
        if self._path and self._path.exists():
            for line in self._path.read_bytes().split(b"\n"):
                with contextlib.suppress(ValueError, KeyError, TypeError):      # the last line may be incomplete
                    entry = json.loads(line)
                    if not entry["mark"]["note"].startswith(BY_HAND):           # try these again
                        self.found[entry["key"]] = entry["mark"]

    def add(self, key, mark):
        """Keep a mark, in the file too."""
        self.found[key] = mark
        if self._path:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(b"\n" + json.dumps({"key": key, "mark": mark}).encode())
                file.flush()
                os.fsync(file.fileno())


def judge_all(hand_ins, workers):
    """Judge hand-ins, ``workers`` at a time. Yield (hand-in, record) in the order in which they are ready."""
    context = get_context("forkserver" if os.name == "posix" else "spawn")
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload(PRELOAD)
    waiting, running = list(reversed(hand_ins)), {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                hand_in = waiting.pop()
                receiver, process = _begin(context, hand_in)
                running[receiver] = hand_in, process, time.monotonic() + SECONDS
            ready = multiprocessing.connection.wait(running, timeout=0.5)
            for receiver, (hand_in, process, latest) in list(running.items()):
                if receiver in ready or time.monotonic() > latest:
                    del running[receiver]
                    yield hand_in, _outcome(hand_in, receiver, process, receiver in ready)
    finally:
        for _, process, _ in running.values():
            process.kill()


def _begin(context, hand_in):
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(hand_in, sender))
    process.start()
    sender.close()                                               # then the receiver sees the end of the process
    return receiver, process


def _outcome(hand_in, receiver, process, ready):
    """Return the record that a process has sent, or one that says why there is none. The process has ended then."""
    record = None
    if ready:
        with contextlib.suppress(EOFError, OSError, ValueError):
            record = json.loads(receiver.recv_bytes())
    if record is None and not ready:
        process.kill()
    process.join(5)
    process.kill()
    process.join()
    receiver.close()
    if record is None and ready:
        return no_mark(hand_in, f"the process that judged this file was ended (exit code {process.exitcode})")
    return record or no_mark(hand_in, f"to judge this file takes longer than {SECONDS:g} s")


def _answer(hand_in, sender):
    """Judge a hand-in in a process of its own, and send the record."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)                 # Ctrl-C is for the process that waits
    end_with_parent()                                            # if that was killed, nobody waits for the record
    try:
        record = judge(hand_in)
    except Exception as error:                                   # an error in npse, or a file that cannot be read
        record = no_mark(hand_in, f"{type(error).__name__}: {error}")
    sender.send_bytes(json.dumps(record).encode())


def judge(hand_in):
    """Judge a hand-in and return its record: plain data."""
    exercise = find(hand_in.exercise)
    submission = read(hand_in.path) if hand_in.path else Submission(exercise, (), "", "not handed in")
    note, given = "", hand_in.variant
    if given is not None and hand_in.path and submission.exercise.variant != given:
        note = f"this file is variant {submission.exercise.variant}, but the student was given {given}"
        submission = replace(submission, exercise=exercise.in_variant(given))
    mark = check(submission, hand_in.seed, hidden=True)
    small = sum(map(len, submission.cells)) <= MAX_CHARACTERS
    return _record(hand_in, mark.parts, "; ".join(filter(None, (note, mark.note))), mark.seconds) | {
        "runs": sorted(similarity.features(submission.cells)) if small else [],
        "program": similarity.digest(submission.cells if small else ())}


def no_mark(hand_in, why):
    """Return the record of a hand-in that could not be judged."""
    parts = [part for task in find(hand_in.exercise).tasks() for part in zero_marks(task, "not judged")]
    return _record(hand_in, parts, f"{BY_HAND}: {why}", 0.0) | {"runs": [], "program": similarity.digest(())}


def _record(hand_in, parts, note, seconds):
    return {"student": hand_in.student, "exercise": hand_in.exercise, "file": hand_in.name, "seed": hand_in.seed,
            "earned": sum(part.earned for part in parts), "points": sum(part.points for part in parts), "note": note,
            "parts": [vars(part) for part in parts], "seconds": round(seconds, 2)}
