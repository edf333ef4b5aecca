"""Updates in place on the CPU: each gives the bits of the op of the book, in the arrays that it replaces."""

import numpy as np
import pytest

pytest.importorskip("numba")
from npse import backend, cpu, models
from npse import reference as book
from npse.layers import BatchNorm
from npse.layers.batch_norm import statistics_together
from npse.training import SGD

REST = {"sgd": lambda k: (0.1 * (k + 1), 0.9, 0.01 * (k % 2)), "muon": lambda k: (0.1 * (k + 1), 0.9)}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("is_array", [False, True], ids=["number", "array"])
@pytest.mark.parametrize("op", REST)
def test_each_is_the_op_of_the_book(op, is_array, dtype, threads):
    rng, before = np.random.default_rng(0), cpu.get_threads()
    shapes = [(2, 3), (3, 3, 2, 1), (1, 5), (2, 2, 70, 300), (4, 1)]
    calls = [(*rng.standard_normal((3, *shape)).astype(dtype), *REST[op](k)) for k, shape in enumerate(shapes)]
    calls[1][1][:], calls[1][2][:] = 0, 0                         # a matrix without a direction
    given = [(*(array.copy() for array in call[:3]), np.array(call[3], dtype) if is_array else call[3], *call[4:])
             for call in calls]
    try:
        cpu.set_threads(threads)
        cpu.update(op, given)
    finally:
        cpu.set_threads(before)
    for call, (w, dw, v, *_) in zip(calls, given, strict=True):
        new_w, new_v = getattr(book, op)(*call)
        np.testing.assert_allclose(w, new_w, rtol=1e-5 if dtype is np.float32 else 1e-12, atol=1e-6)
        np.testing.assert_allclose(v, new_v, rtol=1e-5 if dtype is np.float32 else 1e-12, atol=1e-6)
        np.testing.assert_array_equal(dw, call[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_running_statistics(dtype):
    rng = np.random.default_rng(0)
    calls = [(*rng.random((2, C)).astype(dtype), 10 + C, *rng.random((2, C)).astype(dtype), 0.3) for C in (1, 3, 40)]
    given = [tuple(value.copy() if isinstance(value, np.ndarray) else value for value in call) for call in calls]
    cpu.update("running_statistics", given)
    for call, (mean, var, _, running_mean, running_var, _) in zip(calls, given, strict=True):
        for found, wanted in zip((running_mean, running_var), book.running_statistics(*call), strict=True):
            np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal((mean, var), call[:2])


@pytest.mark.parametrize("op", REST)
def test_arrays_of_any_layout_get_the_new_values(op):
    rng = np.random.default_rng(0)
    w, dw, v = rng.standard_normal((3, 4, 5, 6)).astype(np.float32)
    wanted = getattr(book, op)(w, dw, v, *REST[op](0))
    given = np.asfortranarray(w), dw.transpose(2, 0, 1).copy().transpose(1, 2, 0), np.stack([v, v], axis=3)[..., 1]
    cpu.update(op, [(*given, *REST[op](0))])
    for found, new in zip(given[::2], wanted, strict=True):
        np.testing.assert_allclose(found, new, rtol=1e-5, atol=1e-6)


def test_half_floats_are_updated_by_the_book():
    w, dw, v = np.ones((3, 2, 3), np.float16)
    new_w, new_v = book.sgd(w, dw, v, 0.5, 0.9, 0.0)
    cpu.update("sgd", [(w, dw, v, 0.5, 0.9, 0.0)])
    np.testing.assert_array_equal(w, new_w)
    np.testing.assert_array_equal(v, new_v)


@pytest.mark.parametrize("op", REST)
def test_wrong_arrays_are_refused_and_none_is_changed(op):
    good = (*(np.ones((2, 3), np.float32) for _ in range(3)), *REST[op](0))
    for wrong in (np.ones((2, 4), np.float32), np.ones((2, 3)), np.ones((2, 3), int), "w"):
        bad = (np.ones((2, 3), np.float32), wrong, *good[2:])
        with pytest.raises((TypeError, ValueError), match=op):
            cpu.update(op, [good, bad])
    assert all((array == 1).all() for array in good[:3])


def test_another_op_is_an_error():
    with pytest.raises(ValueError, match="update knows sgd, muon, running_statistics, but not 'relu'"):
        cpu.update("relu", [])


def test_one_element_of_a_channel_has_no_unbiased_variance():
    norm = BatchNorm(3)
    with backend.using_edition(cpu), pytest.raises(ValueError, match="needs at least 2 elements"), \
            statistics_together(norm):
        norm(np.ones((1, 1, 1, 3), np.float32))
    assert norm.noted is None


def test_parameters_stay_the_same_arrays():
    network = models.se_resnet8(classes=4)
    places = network.named_parameters()
    with backend.using_edition(cpu):
        optimizer = SGD(network)
        before = {name: w.copy() for name, w in places.items()}
        optimizer.step({name: np.ones_like(w) for name, w in places.items()}, 0.1)
    assert all(network.named_parameters()[name] is w for name, w in places.items())
    assert all((before[name] != w).all() for name, w in places.items())
