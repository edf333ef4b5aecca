"""Fixtures of several test files: a small data set, and the command line called as a user calls it."""

import dataclasses
import functools
import importlib.util
import os
import pickle
import sys

import numpy as np
import pytest

from npse import backend

DEFAULT = "not slow and not nightly and not gpu"          # the tests that run without -m, see pyproject.toml


def pytest_configure(config):
    """If tests run in several processes at once, give each one thread, because all cores are in use."""
    for name in ("COLUMNS", "LINES"):         # the library readline sets them in the process that starts the others
        os.environ.pop(name, None)
    if getattr(config.option, "numprocesses", None):
        for library in ("NUMBA", "OPENBLAS", "MKL", "OMP"):
            os.environ.setdefault(f"{library}_NUM_THREADS", "1")


def pytest_sessionstart(session):
    """If the whole suite runs, compile the kernels once for all its processes, on all cores."""
    option = session.config.option
    chosen = option.keyword or option.markexpr != DEFAULT or session.config.args != ["tests"]
    if getattr(option, "numprocesses", None) and not chosen and importlib.util.find_spec("numba"):
        from functools import partial

        from npse.cli.precompile import ops, training, warm_up
        from npse.support.environment import cores
        from npse.training import Config

        print("compiling the kernels that this machine has not compiled yet")
        warm_up(partial(training, Config()), ops, processes=cores())


@pytest.fixture(autouse=True)
def _reference_edition_first():
    """Start every test with the edition of a fresh process."""
    with backend.using_edition("reference"):
        yield


@pytest.fixture(scope="session")
def few_shapes():
    """The embedded data set, cut down to 256 training and 100 test images."""
    from npse import data

    whole = data.load("shapes")
    return dataclasses.replace(whole, images=whole.images[:256], labels=whole.labels[:256],
                               test_images=whole.test_images[:100], test_labels=whole.test_labels[:100])


@pytest.fixture
def npse(monkeypatch, capsys, few_shapes, tmp_path):
    """Call ``npse WORDS`` in an empty folder on the small data set; returns (exit code, stdout, stderr)."""
    from npse import cli, data

    real = data.load
    monkeypatch.setattr(data, "load",
                        lambda name, size=0: few_shapes if (name, size) == ("shapes", 0) else real(name, size))
    monkeypatch.chdir(tmp_path)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["npse", *map(str, words)])
        capsys.readouterr()                                       # what was printed before is not of this call
        code = 0
        try:
            cli.main()
        except SystemExit as leave:
            code = leave.code or 0
        captured = capsys.readouterr()
        lines = captured.err.splitlines(keepends=True)            # which test meets a new kernel first is chance
        return code, captured.out, "".join(line for line in lines if "npse: compiling kernels" not in line)
    return call


@pytest.fixture(scope="module")
def numeric_gradients_once():
    """Compute the numeric gradients of a forward pass once for all bugs: they are planted in backward passes."""
    from npse.gradcheck import numeric

    with pytest.MonkeyPatch.context() as patch:
        for name, dtype in (("numeric_gradient", float), ("complex_step", complex)):
            patch.setattr(numeric, name, _once(getattr(numeric, name), dtype))
        yield


@functools.cache
def _once(numeric, dtype):
    """Return ``numeric`` with kept results. Functions that agree at x and at another point count as the same."""
    kept = {}

    @functools.wraps(numeric)
    def remembered(f, x, dy, *kinks):
        beside = x + np.random.default_rng(0).standard_normal(x.shape)
        try:
            with np.errstate(all="ignore"):
                points = [at.astype(dtype) for at in (x, beside)]
                seen = [function(at) for at in points for function in (f, *filter(None, kinks))]
        except Exception:            # f takes no complex numbers: numeric handles that
            return numeric(f, x, dy, *kinks)
        key = pickle.dumps((x, dy, seen))
        if key not in kept:
            kept[key] = numeric(f, x, dy, *kinks)
        return kept[key]
    return remembered
