"""The choice of an edition, and the case that an edition is missing."""

import contextvars
import importlib.util
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest

from npse import backend, models, reference
from npse.reference.old_names import OLD_NAMES


@pytest.fixture
def without_numba(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "numba" else real(name))


@pytest.mark.usefixtures("without_numba")
def test_without_numba_the_book_runs_and_the_reason_is_given():
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


def test_an_observer_gets_every_argument_in_order():
    seen = []
    with backend.observing(lambda op, arguments, result: seen.append((op, arguments))) as ops:
        ops.conv2d(np.ones((1, 3, 3, 1)), padding=1, w=np.ones((3, 3, 1, 1)))
    ((op, (x, w, stride, padding)),) = seen
    assert (op, x.shape, w.shape, stride, padding) == ("conv2d", (1, 3, 3, 1), (3, 3, 1, 1), 1, 1)


@pytest.fixture
def fresh_process(monkeypatch):
    """A process in which no edition was chosen, for this thread or for others."""
    monkeypatch.setattr(backend, "_of_others", None)
    with backend.using_edition(None):
        yield


def in_a_new_thread(function):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


@pytest.mark.usefixtures("fresh_process")
def test_use_applies_to_threads_started_before_and_after():
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(backend.active).result() is reference
        ops = backend.use("auto")
        assert pool.submit(backend.active).result() is ops
    assert in_a_new_thread(backend.active) is ops
    assert backend.active() is ops


@pytest.mark.usefixtures("fresh_process")
@pytest.mark.parametrize("choose", [lambda name: nullcontext(backend.use(name)), backend.using_edition])
def test_threads_with_different_editions_do_not_disturb_each_other(monkeypatch, choose):
    monkeypatch.setattr(backend, "edition", lambda name: f"the ops of {name}")
    monkeypatch.setattr(backend, "choose", lambda name: (name, "as asked"))
    both_have_chosen = threading.Barrier(2)

    def work(name):
        with choose(name):
            both_have_chosen.wait()
            return backend.active()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(work, ["cpu", "cuda"])) == ["the ops of cpu", "the ops of cuda"]


@pytest.mark.usefixtures("fresh_process")
def test_a_block_applies_to_its_thread_only():
    mine = object()
    with backend.using_edition(mine):
        assert in_a_new_thread(backend.active) is reference
        assert in_a_new_thread(partial(contextvars.copy_context().run, backend.active)) is mine
    assert backend.active() is reference


@pytest.mark.usefixtures("fresh_process")
def test_use_within_a_block_ends_with_the_block():
    with backend.using_edition(object()):
        assert backend.use("reference") is backend.active() is reference
    with backend.using_edition(mine := object()):
        with backend.using_edition("reference"):
            backend.use("auto")
        assert backend.active() is mine


def test_names_of_version_0_1_are_still_taken():
    for edition in map(backend.edition, backend.available()):
        for old, new in OLD_NAMES.items():
            assert getattr(edition, old) is getattr(edition, new)
        with pytest.raises(AttributeError, match="has no attribute 'normalize_twice'"):
            edition.normalize_twice  # noqa: B018
    assert models.se_resnet8().infer(np.zeros((1, 32, 32, 3), np.float32)).shape == (1, 10)
