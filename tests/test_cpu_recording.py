"""Recorded work of the cpu edition: the same bits as plain calls, in memory of its own, whatever the ops."""

import multiprocessing
import os

import numpy as np
import pytest

from npse import backend, models
from npse import reference as book

pytest.importorskip("numba")
import numba
from test_cpu_ops import ARGUMENTS, COMPILED, Draw, assert_same_bits, drawn, results

from npse import cpu
from npse.cpu.runtime import memory_pool, parallel
from npse.layers import Layer, Sequential
from npse.layers.gate_visitor import visiting_gates
from npse.training.evaluation import predict
from npse.training.recorded import Recorded

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="kernels are not compiled")
OPS = sorted({*COMPILED, *ARGUMENTS})


def pictures(N, size=32, seed=0):
    return np.random.default_rng(seed).standard_normal((N, size, size, 3), np.float32)


def arrays(values):
    return [value for value in values if isinstance(value, np.ndarray)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 6, 7, 4), (2, 9, 8, 32)])
@pytest.mark.parametrize("op", OPS)
def test_a_recorded_op_gives_the_bits_of_a_plain_one(op, shape, dtype):
    """It is recorded with some arguments, and started with others in their place."""
    first, second = (drawn(op, Draw(shape, dtype, seed)) for seed in (0, 1))
    places, found = [value.copy() if isinstance(value, np.ndarray) else value for value in first], []
    with backend.using_edition(cpu):
        start = cpu.record(lambda: found.extend(results(getattr(backend.active(), op), places)))
    start()                                      # the results are there: the first start has nothing to do
    assert_same_bits(found, results(getattr(cpu, op), first))
    for place, value in zip(arrays(places), arrays(second), strict=True):
        place[...] = value
    others = [value if isinstance(value, np.ndarray) else place for place, value in zip(places, second, strict=True)]
    for _ in range(2):
        start()
        assert_same_bits(found, results(getattr(cpu, op), others))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("model", "options"), [
    ("se_resnet8", {}), ("resnet8", {"excitation": "cbam"}), ("fast", {"widths": (16, 32, 32)}), ("se_wide", {}),
    ("se_resnet8", {"hidden_norm": True, "gate": "tanh"}), ("se_resnet8", {"excitation": "coordinate"})])
def test_a_recorded_network_gives_the_bits_of_a_plain_one(model, options, threads):
    before = cpu.get_threads()
    try:
        cpu.set_threads(threads)
        with backend.using_edition(cpu):
            network, said = models.build(model, classes=4, **options).eval(), []
            for N in (130, 7):                       # the first takes two pieces, which are joined
                forward = Recorded(lambda x: (network.predict(x),), said.append)
                for seed in range(5):
                    x = pictures(N, seed=seed)
                    assert_same_bits(forward(x), [network.predict(x)])
                assert forward._start is not None
            assert said == []
    finally:
        cpu.set_threads(before)


def test_batches_of_a_prediction_are_recorded(monkeypatch):
    network, starts = models.se_resnet8(classes=4), []
    images = np.random.default_rng(0).integers(0, 256, (45, 32, 32, 3), np.uint8)
    given = images, np.full(3, 0.5, np.float32), np.full(3, 0.25, np.float32)
    run = parallel.run_again
    monkeypatch.setattr(parallel, "run_again", lambda *jobs: starts.append(len(jobs[0])) or run(*jobs))
    with backend.using_edition(cpu):
        found = predict(network, *given, batch_size=9)
        assert len(starts) > 1
        starts.clear()
        monkeypatch.setenv("NPSE_GRAPH", "0")
        np.testing.assert_array_equal(predict(network, *given, batch_size=9), found)
    assert starts == []


def test_numbers_that_are_not_computed_by_ops_are_noticed():
    said = []
    with backend.using_edition(cpu):
        forward = Recorded(lambda x: (cpu.relu(x) * x.max(),), said.append)
        for seed in range(5):
            x = pictures(2, seed=seed)
            np.testing.assert_array_equal(forward(x)[0], np.maximum(x, 0) * x.max())
    assert [str(error) for error in said] == ["a recorded call gave other numbers than a plain one"]


def test_an_op_that_returns_a_number_is_not_recorded():
    said, labels = [], np.array([0, 1])
    with backend.using_edition(cpu):
        forward = Recorded(lambda x: (np.atleast_1d(backend.active().softmax_cross_entropy(x, labels)),), said.append)
        for seed in range(3):
            logits = np.random.default_rng(seed).standard_normal((2, 3), np.float32)
            assert forward(logits)[0] == book.softmax_cross_entropy(logits, labels)
    assert str(said[0]) == "softmax_cross_entropy returns something else than arrays, so it cannot be recorded"


def test_whoever_looks_at_layers_or_ops_sees_every_call():
    network, visited, seen = models.se_resnet8(classes=4).eval(), [], []
    with backend.using_edition(cpu):
        forward = Recorded(lambda x: (network.predict(x),))
        for seed in range(4):
            forward(pictures(3, seed=seed))
        with visiting_gates(network, lambda name, s: visited.append(name) or s):
            forward(pictures(3))
        with backend.observing(lambda op, arguments, result: seen.append(op)):
            forward(pictures(3))
    assert visited == ["layer1.0", "layer2.0", "layer3.0"]
    assert "conv2d_se_add_relu_inference" in seen


def test_other_shapes_and_dtypes_are_plain_calls():
    with backend.using_edition(cpu):
        forward = Recorded(lambda x: (cpu.relu(x),))
        for x in (*(pictures(4, seed=seed) for seed in range(3)), pictures(3), pictures(4).astype(np.float64)):
            y, = forward(x)
            assert y.dtype == x.dtype
            np.testing.assert_array_equal(y, np.maximum(x, 0))


def test_arguments_and_results_belong_to_the_caller():
    network = models.se_resnet8(classes=4).eval()
    with backend.using_edition(cpu):
        forward, given = Recorded(lambda x: (network.predict(x),)), [pictures(4, seed=seed) for seed in range(4)]
        found = [forward(x)[0] for x in given]
        for seed, (x, y) in enumerate(zip(given, found, strict=True)):
            np.testing.assert_array_equal(x, pictures(4, seed=seed))
            np.testing.assert_array_equal(y, network.predict(x))


def test_a_recording_has_memory_of_its_own(monkeypatch):
    monkeypatch.setattr(memory_pool, "_pool", memory_pool.MemoryPool())
    network, x = models.se_resnet8(classes=4).eval(), pictures(32)
    with backend.using_edition(cpu):
        forward = Recorded(lambda x: (network.predict(x),))
        expected = [forward(x)[0] for _ in range(3)][-1]
        held = [memory_pool.empty((count,), np.uint8) for count in range(2**15, 2**20, 2**13)]
        for array in held:
            array[...] = 7
        np.testing.assert_array_equal(forward(x)[0], expected)
        assert all((array == 7).all() for array in held)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_runs_a_recording():
    network, x = models.se_resnet8(classes=4).eval(), pictures(32)
    with backend.using_edition(cpu):
        forward = Recorded(lambda x: (network.predict(x),))
        expected = [forward(x)[0] for _ in range(3)][-1]
        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        child = context.Process(target=lambda: queue.put(forward(x)[0]))
        child.start()
        np.testing.assert_array_equal(queue.get(timeout=60), expected)
        child.join(60)


def test_a_layer_with_arithmetic_of_its_own_is_noticed():
    class Shift(Layer):
        """Subtracts the mean, without an op."""

        def __call__(self, x):
            return x - x.mean(), None

    said, network = [], Sequential({"shift": Shift()}).eval()
    with backend.using_edition(cpu):
        forward = Recorded(lambda x: (network.predict(x),), said.append)
        for seed in range(4):
            x = pictures(2, seed=seed)
            np.testing.assert_array_equal(forward(x)[0], x - x.mean())
    assert len(said) == 1
