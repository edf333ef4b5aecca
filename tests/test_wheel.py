"""The published files: the source archive and the wheel built from it are complete, and the wheel works alone.

Both are built from a copy of the files that Git tracks, with the leftovers of a working copy among them. The wheel is
installed with its dependencies in a fresh environment, and everything runs there, in a folder away from the checkout.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
LEFTOVERS = ["tests/__pycache__/test_zoo.pyc", "npse/cpu/__pycache__/conv.pyc", "npse.egg-info/PKG-INFO",
             "notebooks/.ipynb_checkpoints/page.ipynb", "tests/.hypothesis/unicode", "runs/one/last.safetensors",
             "dist/old.whl", ".venv/bin/python", ".coverage", "htmlcov/index.html"]
OFFLINE = re.compile(r"(?i)connection|resolution|network is unreachable|timed? ?out|no matching distribution")


def run(*command, cwd, code=0):
    """Run a command as a user without a checkout does; it must end with ``code``. Return what it prints."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    ran = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, encoding="utf-8")
    assert ran.returncode == code, f"{' '.join(map(str, command))}\n{ran.stdout}{ran.stderr}"
    return ran.stdout


def install(python, *packages, cwd):
    """Install with pip; skip the test if no index can be reached."""
    try:
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages, cwd=cwd)
    except AssertionError as error:
        if OFFLINE.search(str(error)):
            pytest.skip(f"needs a package index: {str(error).splitlines()[-1]}")
        raise


def environment(folder):
    """Make a virtual environment; return its Python."""
    run(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


@pytest.fixture(scope="module")
def tracked():
    """Return the files that Git tracks and that exist, as paths below the checkout."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("needs a checkout and Git: files that are not tracked must not be published")
    return {name for name in run("git", "ls-files", cwd=ROOT).splitlines() if (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def built(tracked, tmp_path_factory):
    """Return the source archive and the wheel."""
    folder = tmp_path_factory.mktemp("build")
    for name in tracked:
        (folder / "npse" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / "npse" / name)
    for name in LEFTOVERS:
        (folder / "npse" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "npse" / name).touch()
    python = environment(folder / "tools")
    install(python, "build", "hatchling", cwd=folder)
    run(python, "-m", "build", "--no-isolation", "--outdir", folder / "built", folder / "npse", cwd=folder)
    source, = (folder / "built").glob("npse-*.tar.gz")
    wheel, = (folder / "built").glob("npse-*-py3-none-any.whl")
    return source, wheel


@pytest.fixture(scope="module")
def npse(built, tmp_path_factory):
    """Return a function that calls the installed command, as in npse("info"), or the ``python`` beside it."""
    folder = tmp_path_factory.mktemp("installed")
    python, elsewhere = environment(folder / "env"), folder / "elsewhere"
    elsewhere.mkdir()
    install(python, built[1], cwd=elsewhere)

    def call(*words, program="npse", code=0):
        return run(python.with_name(program), *map(str, words), cwd=elsewhere, code=code)
    call.folder = elsewhere
    return call


def test_the_source_archive_holds_what_is_tracked_and_nothing_else(built, tracked):
    with tarfile.open(built[0]) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert held - tracked == {"PKG-INFO"}
    wanted = {name for name in tracked if name.startswith(("npse/", "tests/", "docs/", "notebooks/"))}
    assert wanted | {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml"} <= held


def test_the_wheel_holds_the_whole_package_and_nothing_else(built, tracked):
    with zipfile.ZipFile(built[1]) as archive:
        held = set(archive.namelist())
    about, = {name.partition("/")[0] for name in held if ".dist-info/" in name}
    assert {name for name in held if not name.startswith(f"{about}/")} == {
        name for name in tracked if name.startswith("npse/")}
    assert f"{about}/licenses/LICENSE" in held


def test_it_is_the_installed_package_that_runs(npse):
    where = npse("-c", "import npse; print(npse.__file__)", program="python").strip()
    assert Path(where).is_relative_to(npse.folder.parent / "env")


def test_it_trains(npse):
    npse("train", "--epochs", 1, "--out", "run")
    left = {file.name for file in (npse.folder / "run").iterdir()}
    assert left >= {"best.safetensors", "metrics.jsonl", "curves.png"}


def test_it_judges(npse):
    assert re.match(r"reference, cpu: all \d+ checks right", npse("check", "--op", "scale").splitlines()[-1])


def test_an_exercise_is_started_solved_and_checked(npse):
    npse("exercise", "start", 3)
    assert "Exercise 3, Squeeze: 0 of " in npse("exercise", "check", 3, code=1)
    npse("-c", "from npse.exercises import find; from npse.exercises.annotated import ANSWER; "
         "print(find(3).as_file(ANSWER), file=open('03_squeeze.py', 'w'))", program="python")
    earned, points = re.search(r"Exercise 3, Squeeze: (\d+) of (\d+) points", npse("exercise", "check", 3)).groups()
    assert earned == points
