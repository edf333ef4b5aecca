"""Exercises work wherever npse and its libraries are: in folders called npse or torch, with spaces, behind links."""

import subprocess
import sys
from pathlib import Path

import pytest

import npse
from npse.exercises import sandbox

PACKAGE = Path(npse.__file__).parent

WORK = """
from npse.exercises import find
from npse.exercises.annotated import ANSWER
from npse.exercises.check import check
from npse.exercises.export import export
from npse.exercises.folder import Folder
from npse.exercises.submission import read
exercise = find("numba_kernel")
started = Folder("mine").start(exercise)
assert "the hole is still empty" in started.read_text()
print(check(read(Folder("mine").solve(exercise).replace(started))))
print(len(export([exercise], "nbgrader", "course")))
"""


def checkout(folder):
    """Make a copy of the package with a virtual environment in it, as README does; return its Python."""
    folder.mkdir(parents=True)
    (folder / "npse").symlink_to(PACKAGE)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    packages, = (folder / ".venv").glob("lib/python3*/site-packages")
    (packages / "npse.pth").write_text(f"{folder}\n")
    for home in (Path(path) for path in sys.path if path.endswith("site-packages")):
        for entry in home.iterdir():
            if entry.suffix != ".pth" and entry.name != "npse" and not (packages / entry.name).exists():
                (packages / entry.name).symlink_to(entry)
    return folder / ".venv" / "bin" / "python"


@pytest.mark.skipif(sys.platform == "win32", reason="links, and where an environment keeps its packages")
@pytest.mark.parametrize("name", ["npse", pytest.param("torch/with space", marks=pytest.mark.slow),
                                  pytest.param("jax/link", marks=pytest.mark.slow)])
def test_a_checkout_starts_solves_checks_and_exports(name, tmp_path):
    folder = tmp_path / name
    python = checkout(folder)
    if folder.name == "link":
        folder = folder.rename(tmp_path / "npse")
        (tmp_path / name).symlink_to(folder)
    ran = subprocess.run([python, "-c", WORK], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    head, *_, exported = ran.stdout.splitlines()
    assert head.endswith(": 7 of 7 points"), ran.stdout
    assert exported == "2"


@pytest.fixture
def opening(tmp_path, monkeypatch):
    """A function: file -> the error when an exercise opens it; the environment is in a folder named like a library.

    The process is not isolated: with namespaces these files would not exist for it.
    """
    home = tmp_path / "torch" / "npse" / "venv"
    packages = home / "lib" / "site-packages"
    monkeypatch.setattr(sandbox, "PACKAGE", tmp_path / "torch" / "npse" / "npse")
    monkeypatch.setattr(sandbox, "_refusals", ["a test"])
    monkeypatch.setattr(sandbox, "CONFINED", False)
    monkeypatch.setattr(sandbox, "_readable", lambda: sandbox._folders([home, packages]))

    def told(name):
        path = tmp_path / "torch" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1")
        with sandbox.Sandbox([f"open({str(path)!r})"], "03_squeeze.py") as box:
            return box.problem

    return told


def test_a_folder_above_the_libraries_may_have_any_name(opening):
    assert opening("npse/venv/lib/site-packages/numpy/lib/more.py") == ""
    assert opening("npse/venv/share/data.txt") == ""


@pytest.mark.parametrize("name", ["npse/venv/lib/site-packages/jax/numpy.py", "npse/venv/lib/jax/numpy.py",
                                  "npse/venv/lib/site-packages/vendor/jax/numpy.py"])
def test_the_files_of_a_library_are_still_refused(name, opening):
    assert "jax is not allowed" in opening(name)


def test_the_files_of_npse_are_still_refused(opening):
    assert "npse is not allowed" in opening("npse/npse/reference/se.py")
    assert "npse is not allowed" in opening("npse/venv/lib/site-packages/npse/reference/se.py")


@pytest.mark.parametrize("name", ["npse/notes.txt", "npse/npse-notes/a.txt", "jax/numpy.py"])
def test_a_file_elsewhere_is_refused_as_a_file(name, opening):
    assert "must not read files" in opening(name)


def test_npse_is_refused_through_a_link_too(opening, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").symlink_to(tmp_path / "torch" / "npse" / "npse")
    monkeypatch.setattr(sandbox, "PACKAGE", tmp_path / "elsewhere")
    assert "npse is not allowed" in opening("npse/npse/reference/se.py")
