"""The limits of time count what a student's process does, not what a busy computer makes it wait for."""

import pytest

from npse.exercises import clock, sandbox
from npse.exercises.sandbox import Sandbox


@pytest.mark.parametrize(("passed", "computed", "waited", "runs", "spent"), [
    (3.0, 2.5, 0.5, False, 2.5),         # it computed nearly always
    (40.0, 1.0, 39.0, False, 1.0),       # a busy computer
    (40.0, 8.0, 39.0, False, 8.0),       # it computed more than this: two processes waited at once
    (40.0, 0.0, 0.5, False, 39.5),       # it sleeps
    (40.0, 1.0, 0.5, True, 1.0),         # it has threads that wait for a processor
    (120.0, 0.0, 500.0, False, 2.0),     # not even a busy computer takes so long
    (7.0, 0.0, -1.0, False, 7.0)])       # a thread that had waited has ended
def test_the_time_that_a_process_had(passed, computed, waited, runs, spent, monkeypatch):
    times = iter((100.0, 100.0 + passed))
    told = iter(((1.0, 2.0, True), (1.0 + computed, 2.0 + waited, runs)))
    monkeypatch.setattr(clock.time, "monotonic", lambda: next(times))
    watch = clock.Clock(1)
    monkeypatch.setattr(watch, "_system_says", lambda: next(told))
    watch.begin()
    assert watch.look() == pytest.approx(spent)
    assert watch.spent == pytest.approx(spent)


def test_the_times_between_looks_add_up(monkeypatch):
    times, told = iter((0.0, 1.0, 3.0)), iter(((0.0, 0.0, False), (0.2, 0.0, True), (0.3, 0.5, False)))
    monkeypatch.setattr(clock.time, "monotonic", lambda: next(times))
    watch = clock.Clock(1)
    monkeypatch.setattr(watch, "_system_says", lambda: next(told))
    watch.begin()
    assert watch.look() == pytest.approx(0.2)
    assert watch.look() == pytest.approx(0.2 + 1.5)


def test_a_sleeping_and_a_computing_program_end_in_time(monkeypatch):
    monkeypatch.setattr(sandbox, "SECONDS", 1.0)
    for body in ("time.sleep(60)", "while True: pass"):
        with Sandbox([f"import time\ndef f():\n    {body}"], "a.py") as box:
            with pytest.raises(TimeoutError, match="longer than 1 s"):
                box.function("f", lambda: None)()
            assert box._clock.spent < 4


@pytest.mark.slow
def test_a_limit_that_ends_by_patience_says_so(monkeypatch):
    with Sandbox(["import time\ndef f():\n    time.sleep(9)"], "a.py") as box:
        monkeypatch.setattr(sandbox, "PATIENCE", 0)              # then five seconds are left
        monkeypatch.setattr(clock.Clock, "look", lambda self: 0.0)
        with pytest.raises(TimeoutError, match="does a loop never end"):
            box.function("f", lambda: None)()
