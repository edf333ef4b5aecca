"""Updates of many arrays in place: each gives what the op of the book gives for its arguments."""

import numpy as np
import pytest

from npse import backend, cuda, reference
from npse.models import resnet
from npse.training import Muon
from npse.training.step import Step

pytestmark = pytest.mark.simulator
# the numbers of an op that are replaced, by their places in its arguments; shapes; what follows the arrays
CASES = {
    "sgd": ((0, 2), [(3,), (2, 5), (7,), (1,), (3, 3, 2, 1), (2,), (4,)],
            lambda k: (0.1 * (1 + k // 5), 0.9, 0.01 * (k % 2))),
    "muon": ((0, 2), [(1, 2, 2, 3), (1, 2, 2, 3), (2, 3), (3, 2), (1, 2, 2, 3), (1, 2, 2, 3), (1, 5)],
             lambda k: (0.1, 0.9)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("on_device", [False, True], ids=["number", "array"])
@pytest.mark.parametrize("op", CASES)
def test_each_is_the_op_of_the_book(op, on_device, dtype):
    places, shapes, rest = CASES[op]
    rng = np.random.default_rng(0)
    calls = [(*rng.standard_normal((3, *shape)).astype(dtype), *rest(k)) for k, shape in enumerate(shapes)]
    calls[1][1][:], calls[1][2][:] = 0, 0                         # a matrix without a direction
    rates = {call[3]: cuda.to_device(np.array(call[3], dtype)) for call in calls}
    there = [(*map(cuda.to_device, call[:3]), rates[call[3]] if on_device else call[3], *call[4:]) for call in calls]
    cuda.update(op, there)
    compare(op, calls, there, places, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_running_statistics(dtype):
    rng = np.random.default_rng(0)
    calls = [(*rng.random((2, n)).astype(dtype), 10 + n % 2, *rng.random((2, n)).astype(dtype), 0.1)
             for n in (3, 4, 5, 40, 1, 2)]
    there = [tuple(cuda.to_device(value) if isinstance(value, np.ndarray) else value for value in call)
             for call in calls]
    cuda.update("running_statistics", there)
    compare("running_statistics", calls, there, (3, 4), dtype)


def compare(op, calls, there, places, dtype):
    close = {"rtol": 1e-5, "atol": 1e-5} if dtype is np.float32 else {"rtol": 1e-11, "atol": 1e-12}
    for call, found in zip(calls, there, strict=True):
        for place, wanted in zip(places, getattr(reference, op)(*call), strict=True):
            np.testing.assert_allclose(cuda.to_host(found[place]), wanted, **close)
        for k in {0, 1, 2} - set(places):
            assert np.array_equal(cuda.to_host(found[k]), call[k])


def test_another_op_is_an_error():
    with pytest.raises(ValueError, match="update knows sgd, muon, running_statistics, but not 'relu'"):
        cuda.update("relu", [])


@pytest.mark.parametrize("op", CASES)
def test_wrong_arrays_are_refused_and_none_is_changed(op):
    good = (*(cuda.to_device(np.ones((2, 3), np.float32)) for _ in range(3)), *CASES[op][2](0))
    bad = (good[0], cuda.to_device(np.ones((2, 4), np.float32)), *good[2:])
    with pytest.raises(ValueError, match=op):
        cuda.update(op, [good, bad])
    assert all((cuda.to_host(array) == 1).all() for array in good[:3])


def test_one_element_of_a_channel_has_no_unbiased_variance():
    arrays = [cuda.to_device(np.ones(3, np.float32)) for _ in range(4)]
    with pytest.raises(ValueError, match="needs at least 2 elements"):
        cuda.update("running_statistics", [(*arrays[:2], 1, *arrays[2:], 0.1)])


def test_a_step_in_place_is_that_of_the_book():
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((2, 4, 4, 3)).astype(np.float32), np.array([0, 2])
    results = []
    for edition in ("reference", "cuda"):
        with backend.using_edition(edition):
            network = resnet(8, classes=3, widths=(4, 4, 4), input_gradient=False).to_device()
            optimizer = Muon(network)
            if edition == "cuda":
                optimizer.to_device()
            arrays = {**network.state(), **{f"v {name}": v for name, v in optimizer.velocity.items()}}
            step = Step(network, optimizer, 0.1)
            losses = [backend.to_host(step.plain(backend.to_edition(x), labels, 0.05)[0])]
            if edition == "reference":
                arrays = {**network.state(), **{f"v {name}": v for name, v in optimizer.velocity.items()}}
            results.append({"losses": np.array(losses), **{name: backend.to_host(a) for name, a in arrays.items()}})
    book, found = results
    assert book.keys() == found.keys()
    for name, wanted in book.items():
        np.testing.assert_allclose(found[name], wanted, rtol=1e-4, atol=1e-5, err_msg=name)
