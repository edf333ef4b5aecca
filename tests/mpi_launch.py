"""Starts ranks of MPI for tests."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BESIDE = Path(sys.executable).parent / "mpiexec"                  # where pip puts that of the package mpich
MPIEXEC = str(BESIDE) if BESIDE.exists() else shutil.which("mpiexec")
OPTIONS = ("train", "--edition", "reference", "--batch-size", "12", "--epochs", "2", "--seed", "3")
QUIET = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
LONGEST = 60                     # seconds in which every fault ends the run


def expect_mpi():
    """Skip the test unless ranks can be started here."""
    pytest.importorskip("mpi4py", reason="mpi4py is missing: see docs/cluster.md")
    if MPIEXEC is None:
        pytest.skip("mpiexec is missing: see docs/cluster.md")


def launch(ranks, *command, environment=None, stop_at=None):
    """Run a command in so many ranks, or without a launcher if ranks is 0; return it with `seconds` and `lines`.

    ``lines`` are those that npse prints as errors. When the words ``stop_at`` are printed, mpiexec gets a Ctrl-C.
    """
    began = time.monotonic()
    words = [MPIEXEC, "-n", str(ranks), *command] if ranks else command
    process = subprocess.Popen(list(map(str, words)), env=os.environ | QUIET | (environment or {}), text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        if stop_at is not None:
            next(line for line in process.stdout if stop_at in line)
            process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=4 * LONGEST)
    finally:
        process.kill()
    done = subprocess.CompletedProcess(words, process.returncode, printed, errors)
    done.seconds, done.lines = time.monotonic() - began, [x for x in errors.splitlines() if x.startswith("npse: ")]
    return done


def train(ranks, out, *options, event=None, environment=None):
    """Run `npse train` of `mpi_rank.py`."""
    command = sys.executable, HERE / "mpi_rank.py", json.dumps(event or {}), *OPTIONS, "--out", out, *options
    return launch(ranks, *command, environment=environment)
