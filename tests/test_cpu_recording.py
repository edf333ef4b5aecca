"""Recorded work of the cpu edition: the same bits as plain calls, in memory of its own, whatever the ops."""

import functools
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest

from npse import backend, models
from npse import reference as book

pytest.importorskip("numba")
import numba
from shares import some
from test_cpu_ops import ARGUMENTS, COMPILED, Draw, assert_same_bits, drawn, results

from npse import cpu
from npse.cpu.runtime import memory_pool, parallel
from npse.cpu.runtime.jit import kernel
from npse.cpu.runtime.recorder import call_as_one
from npse.cpu.runtime.thread_pool import JOB_WORDS, ROW_WORDS, SLEEPS
from npse.layers import EXCITATIONS, Dropout, Layer, Sequential
from npse.layers.gate_visitor import visiting_gates
from npse.training import SGD, Muon, Optimizer, Step
from npse.training.evaluation import predict
from npse.training.parameter_groups import sgd_groups
from npse.training.recorded import Recorded

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="kernels are not compiled")
OPS = sorted({*COMPILED, *ARGUMENTS})


def pictures(N, size=32, seed=0):
    return np.random.default_rng(seed).standard_normal((N, size, size, 3), np.float32)


def arrays(values):
    return [value for value in values if isinstance(value, np.ndarray)]


@pytest.mark.parametrize(("shape", "dtype"), [
    ((3, 6, 7, 4), np.float64), ((2, 9, 8, 32), np.float32),
    pytest.param((3, 6, 7, 4), np.float32, marks=pytest.mark.slow),
    pytest.param((2, 9, 8, 32), np.float64, marks=pytest.mark.slow)])
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


@pytest.mark.parametrize("threads", some([2, 1, 3], 3))
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


def test_the_number_that_an_op_returns_is_recorded():
    said, labels = [], np.array([0, 1])
    with backend.using_edition(cpu):
        forward = Recorded(lambda x: (backend.active().softmax_cross_entropy(x, labels),), said.append)
        for seed in range(5):
            logits = np.random.default_rng(seed).standard_normal((2, 3), np.float32)
            assert forward(logits)[0] == book.softmax_cross_entropy(logits, labels)
        assert forward._start is not None
    assert said == []


def test_a_function_that_returns_no_array_is_not_recorded():
    said = []
    with backend.using_edition(cpu):
        forward = Recorded(lambda x: (np.full(2, call_as_one(len, x)),), said.append)
        for N in (3, 3, 3):
            assert forward(pictures(N))[0].tolist() == [3, 3]
    assert [str(error) for error in said] == ["len returns something else than arrays, so it cannot be recorded"]


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


def dropped():
    """A network with dropout before the blocks."""
    return Sequential({"dropout": Dropout(0.2, seed=3), "network": models.build("se_resnet8", classes=4)})


def expect_equal_steps(make, optimizer=SGD, N=4, size=32, steps=6, is_recorded=True, **options):
    """Train two networks, one with recorded steps, and compare all bits after each step."""
    said = []
    with backend.using_edition(cpu):
        (network, recorded), (other, plain) = ((network, Step(network, optimizer(network), 0.1, said.append, **options))
                                               for network in (make(), make()))
        for seed in range(steps):
            x, labels = pictures(N, size, seed), np.random.default_rng(seed).integers(0, 4, N)
            assert_same_bits(map(np.asarray, recorded.recorded(x, labels, 0.01 * (seed + 1))),
                             map(np.asarray, plain.plain(x, labels, 0.01 * (seed + 1))))
            for ours, theirs in ((network.state(), other.state()),
                                 (recorded.optimizer.velocity, plain.optimizer.velocity)):
                assert ours.keys() == theirs.keys()
                assert_same_bits(ours.values(), theirs.values())
        assert (recorded._recorded._start is not None) == is_recorded
    return said


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("model", "options"), [
    ("se_resnet8", {}), ("se_resnet8", {"hidden_norm": True, "placement": "pre"}),
    ("se_resnet8", {"excitation": "cbam"}), ("se_fast", {"widths": (16, 32, 32)}),
    ("se_preact_resnet20", {"widths": (4, 8, 16)})])
def test_a_recorded_training_step_gives_the_bits_of_a_plain_one(model, options, threads):
    before = cpu.get_threads()
    try:
        cpu.set_threads(threads)
        assert expect_equal_steps(lambda: models.build(model, classes=4, **options)) == []
    finally:
        cpu.set_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize("excitation", EXCITATIONS)
def test_a_recorded_training_step_with_each_structure(excitation):
    def make():
        return models.build("se_resnet8", classes=4, excitation=excitation)
    assert expect_equal_steps(make) == []


@pytest.mark.slow
@pytest.mark.parametrize("model", ["se_mobilenet_v3_large", "se_shufflenet_v1", "se_resnext50_32x4d", "se_resnet50",
                                   "se_bn_inception"])
def test_a_recorded_training_step_of_networks_for_large_images(model):
    assert expect_equal_steps(lambda: models.build(model, classes=4), N=2, size=64, steps=4) == []


def test_arrays_that_replace_those_of_a_network_are_used():
    with backend.using_edition(cpu):
        networks = [models.build("se_resnet8", classes=4) for _ in range(2)]
        steps, said = [Step(network, SGD(network), 0.1, lambda line: said.append(line)) for network in networks], []
        other = models.build("se_resnet8", classes=4, seed=7)
        for k in range(9):
            if k == 4:
                for network in networks:
                    network.load(other.state())
            if k == 6:
                for step in steps:
                    step.optimizer.load({name: np.ones_like(v) for name, v in step.optimizer.velocity.items()})
            x, labels = pictures(4, seed=k), np.arange(4)
            assert steps[0].recorded(x, labels, 0.1)[0] == steps[1].plain(x, labels, 0.1)[0]
            assert_same_bits(networks[0].state().values(), networks[1].state().values())
        assert steps[0]._recorded._start is not None
    assert said == []


def test_steps_of_muon_and_of_parts_of_a_batch():
    def make():
        return models.build("se_resnet8", classes=4)
    assert expect_equal_steps(make, Muon) == []
    assert expect_equal_steps(make, parts=2) == []


@pytest.mark.parametrize("make", [dropped, lambda: models.build("se_shake_shake26_2x32d", classes=4)])
def test_random_numbers_are_drawn_for_each_recorded_step(make):
    assert expect_equal_steps(make, N=2) == []


def test_a_layer_that_draws_for_itself_is_noticed():
    class Noise(Layer):
        """Multiplies by a random number, without an op."""

        def __init__(self):
            super().__init__()
            self.rng = np.random.default_rng(0)

        def __call__(self, x):
            factor = x.dtype.type(self.rng.random())
            return factor * x, lambda dy: (factor * dy, {})

    def make():
        return Sequential({"noise": Noise(), "network": models.build("se_resnet8", classes=4)})
    said, = expect_equal_steps(make, is_recorded=False)
    assert said.startswith("LOOK  a step is started kernel by kernel")
    assert "other numbers" in said


def test_a_step_that_cannot_be_recorded_is_made_once():
    class Refusing(Layer):
        """Calls a function that cannot be recorded, after the running statistics of another layer were moved."""

        def __call__(self, x):
            factor = x.dtype.type(call_as_one(len, x))
            return factor * x, lambda dy: (dy * factor, {})

    def make():
        return Sequential({"network": models.build("se_resnet8", classes=4), "refusing": Refusing()})
    said, = expect_equal_steps(make, is_recorded=False)
    assert "len returns something else than arrays" in said


def test_lookahead_beside_recorded_steps_follows_no_counts():
    states = []
    for is_recorded in (True, False):
        network = dropped()
        with backend.using_edition(cpu):
            optimizer = Optimizer(network, sgd_groups(), lookahead=2)
            step = Step(network, optimizer, 0.1)
            for seed in range(7):
                x, labels = pictures(4, seed=seed), np.arange(4)
                (step.recorded if is_recorded else step.plain)(x, labels, 0.1)
                optimizer.lookahead.after(seed, 7)
        states.append({**network.state(), **{f"slow {name}": w for name, w in optimizer.lookahead.slow.items()}})
    assert states[0].keys() == states[1].keys()
    assert_same_bits(states[0].values(), states[1].values())
    assert states[0]["dropout.count"].tolist() == [7]
    assert "slow dropout.count" not in states[0]


def test_a_recorded_step_needs_little_more_memory_than_a_plain_one(monkeypatch):
    monkeypatch.setattr(memory_pool, "_pool", memory_pool.MemoryPool())
    network = models.se_resnet8(classes=4)
    with backend.using_edition(cpu):
        step, x, labels = Step(network, SGD(network), 0.1), pictures(64), np.arange(64) % 4
        for _ in range(2):
            step.plain(x, labels, 0.1)
        needed = memory_pool._pool.peak
        for _ in range(4):                       # the third recorded call is compared with a plain one
            step.recorded(x, labels, 0.1)
        own, common = step._recorded._start.pool, memory_pool._pool
    assert own._in_use + own._free < 1.3 * needed
    assert common._in_use + common._free < 0.1 * needed


def losses_of_six_steps():
    network, x = models.se_resnet8(classes=4, input_gradient=False), pictures(16)
    with backend.using_edition(cpu):
        step = Step(network, SGD(network), 0.1)
        return [float(step.recorded(x, np.arange(16) % 4, 0.1)[0]) for _ in range(6)]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers that send a signal")
def test_recorded_steps_interrupted_at_random_moments_change_none_that_follow():
    right, rng, interrupted = losses_of_six_steps(), np.random.default_rng(0), 0
    began = time.perf_counter()
    assert losses_of_six_steps() == right
    seconds = time.perf_counter() - began
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for _ in range(200):
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.0005, seconds))
            try:
                assert losses_of_six_steps() == right
            except KeyboardInterrupt:
                interrupted += 1
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert interrupted > 50
    assert losses_of_six_steps() == right


@kernel
def _spin(place, turns, first, last):
    for _ in range(turns):
        place[first:last] = (place[first:last] * 1103515245 + 12345) % 2**31


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores")
def test_workers_stay_awake_while_one_thread_works():
    """Nothing can wake them within recorded work."""
    place, before = np.ones(64, np.int64), cpu.get_threads()
    try:
        cpu.set_threads(2)
        with backend.using_edition(cpu):
            def task():
                cpu.relu(pictures(32))
                parallel.parallel_for(functools.partial(_spin, place, 100_000), 64, 64)
                cpu.relu(pictures(32))
            start = cpu.record(task)
        start()
        sleeps, slept = parallel._pool(1)._queue[JOB_WORDS + SLEEPS:JOB_WORDS + ROW_WORDS][:1], 0
        for _ in range(10):
            start()                              # wakes the worker
            slept -= int(sleeps[0])
            start()
            slept += int(sleeps[0])
        assert slept < 5
    finally:
        cpu.set_threads(before)
