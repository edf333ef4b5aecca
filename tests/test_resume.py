"""A run that is killed with kill -9 at a random moment and resumed ends with exactly the weights of an unbroken run."""

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

VICTIM = [sys.executable, Path(__file__).with_name("resume_victim.py")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the weights of a run that is not killed, as bytes, and the seconds it took."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    for _ in range(2):
        shutil.rmtree(folder, ignore_errors=True)
        start = time.monotonic()
        done = subprocess.run([*VICTIM, folder], check=True, capture_output=True, text=True)
        if "compiling kernels" not in done.stderr:                # otherwise its seconds are mostly compilation
            break
    return {name: (folder / name).read_bytes() for name in ("last.safetensors", "best.safetensors")}, \
        time.monotonic() - start


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(10))
def test_killed_and_resumed(moment, whole, tmp_path):
    expected, seconds = whole
    folder = tmp_path / "run"
    lowest = 0.45 if moment % 2 else 0.0                          # half of the kills are well after the start
    victim = subprocess.Popen([*VICTIM, folder], stdout=subprocess.DEVNULL)
    time.sleep(random.Random(moment).uniform(lowest, 1.0) * seconds)
    victim.kill()
    victim.wait()
    if folder.exists() and not (folder / "config.json").exists():
        shutil.rmtree(folder)                                     # killed before the folder held a run
    done = subprocess.run([*VICTIM, folder], check=True, capture_output=True, text=True)
    assert done.stdout.endswith("finished\n")
    for name, whole_bytes in expected.items():
        assert (folder / name).read_bytes() == whole_bytes, name
    assert not list(folder.glob("*.tmp*"))
