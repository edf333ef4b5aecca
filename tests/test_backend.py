"""Choosing an edition, and doing without one."""

import importlib.util

import numpy as np
import pytest

from npse import backend


@pytest.fixture
def without_numba(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "numba" else real(name))


@pytest.mark.usefixtures("without_numba")
def test_without_numba_the_book_runs_and_says_so():
    assert backend.available() == ["reference"]
    name, reason = backend.choose("auto")
    assert name == "reference"
    assert "numba is not installed" in reason
    assert "pip install numba" in reason
    with pytest.raises(ImportError, match="pip install numba"):
        backend.edition("cpu")


def test_unknown_editions_are_named():
    with pytest.raises(ValueError, match="unknown edition 'tpu'; known are: auto, reference, cpu, cuda"):
        backend.use("tpu")


def test_using_ends_with_its_block():
    before = backend.active()
    with pytest.raises(KeyError), backend.using_edition("auto"):
        raise KeyError
    assert backend.active() is before


def test_a_watcher_sees_every_argument_in_order():
    seen = []
    with backend.observing(lambda op, arguments, result: seen.append((op, arguments))) as ops:
        ops.conv2d(np.ones((1, 3, 3, 1)), padding=1, w=np.ones((3, 3, 1, 1)))
    ((op, (x, w, stride, padding)),) = seen
    assert (op, x.shape, w.shape, stride, padding) == ("conv2d", (1, 3, 3, 1), (3, 3, 1, 1), 1, 1)
