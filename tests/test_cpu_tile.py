"""The register tile: every operation against NumPy. The memory pool of results."""

import dis
import itertools
import sys

import numpy as np
import pytest

pytest.importorskip("numba")
import numba

from npse import backend, models
from npse.cpu.runtime import memory_pool
from npse.cpu.simd import tile_llvm
from npse.cpu.simd.tile import (
    exp_of_negative,
    first_equal,
    fma,
    lanes,
    larger,
    load,
    load_if,
    max_lanes,
    outer,
    outers,
    prefetch,
    relu,
    slide,
    store,
    sum_lanes,
    sum_rows,
    take,
    zeros,
)
from npse.training.optimizer import SGD
from npse.training.step import Step

pytestmark = pytest.mark.skipif(lanes(np.float32) == 0, reason="no tile on this CPU")


@numba.njit
def instructions(x, w, y, size):
    at, step = 0, 2 * size                                        # each writes 3 rows of 2 vectors, one below another
    store(zeros(y, 3, 2), y, at, step)
    t = load(w, size, step, 3, 2)
    store(t, y, at + 3 * step, step)
    store(outer(t, x, 1, 4, w, step, size), y, at + 6 * step, step)
    store(outer(t, x, 1, 4, w, 3 * step, -step), y, at + 9 * step, step)
    store(slide(t, x, 1, 4, w, step, 2, 1, 0), y, at + 12 * step, step)
    store(relu(t), y, at + 15 * step, step)
    u = load(w, 0, step, 3, 2)
    store(fma(t, u, u), y, at + 18 * step, step)
    store((t + u) * u - t, y, at + 21 * step, step)
    store(2 * t - u * 0.5, y, at + 24 * step, step)
    prefetch(x, 2**30, False)                                     # also of memory that does not exist
    prefetch(y, 0, True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_instructions(dtype):
    size, random = lanes(dtype), np.random.default_rng(0)
    x, w = random.standard_normal((6, 4)).astype(dtype), random.standard_normal((8, 2 * size)).astype(dtype)
    y = np.full((27, 2 * size), np.nan, dtype)
    instructions(x, w, y, size)
    flat = w.reshape(-1)
    t, u = flat[size:7 * size].reshape(3, 2 * size), w[:3]
    taps = w[1:3]
    expected = (
        0 * t, t, t + x[:3, 1:2] * w[1],
        t + x[:3, 1:2] * np.concatenate([w[3, :size], w[2, :size]]),
        t + x[:3, 1:2] * taps[0] + x[1:4, 1:2] * taps[1],
        np.maximum(t, 0), t * u + u, (t + u) * u - t, 2 * t - u / 2)
    np.testing.assert_allclose(y, np.concatenate(expected), rtol=0, atol=8 * np.finfo(dtype).eps)


@numba.njit
def more_instructions(x, w, y, size, wanted):
    step = 2 * size
    t = load(w, 0, step, 4, 2)
    store(outers(t, x, 1, 4, w, step, 2), y, 0, step)
    store(take(t, 1, 2), y, 4 * step, step)
    store(fma(2, t, t), y, 6 * step, step)
    store(fma(t, -0.5, t), y, 10 * step, step)
    store(load_if(wanted, w, 3), y, 14 * step, step)
    store(load_if(not wanted, w, 2**40), y, 14 * step + size, step)             # memory that does not exist is not read
    store(sum_rows(t), y, 15 * step, step)
    store(sum_rows(load(w, step, step, 7, 2)), y, 16 * step, step)
    store(sum_rows(load(w, step, step, 1, 2)), y, 17 * step, step)
    store(zeros(y, 1, 2) + sum_lanes(t), y, 18 * step, step)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parts_numbers_and_conditions(dtype):
    size, random = lanes(dtype), np.random.default_rng(0)
    x, w = random.standard_normal((6, 4)).astype(dtype), random.standard_normal((8, 2 * size)).astype(dtype)
    y = np.full((19, 2 * size), np.nan, dtype)
    more_instructions(x, w, y, size, True)
    t = w[:4]
    updated = np.concatenate([t[:2] + x[:2, 1:2] * w[1], t[2:] + x[2:4, 1:2] * w[2]])
    loaded = np.concatenate([w.reshape(-1)[3:3 + size], np.zeros(size, dtype)])
    totals = [t.sum(axis=0), w[1:8].sum(axis=0), w[1], np.full(2 * size, t.sum())]
    np.testing.assert_allclose(y, np.concatenate([updated, t[2:], 3 * t, t / 2, loaded[None], totals]),
                               rtol=0, atol=16 * np.finfo(dtype).eps)


@numba.njit
def maxima(w, y, size):
    a, b = load(w, 0, 2 * size, 1, 2), load(w, 2 * size, 2 * size, 1, 2)
    store(larger(a, b), y, 0, 0)
    store(zeros(y, 1, 2) + max_lanes(a), y, 2 * size, 0)
    store(a / b + 1 / b, y, 4 * size, 0)
    return first_equal(a, max_lanes(a)), first_equal(b, w[1, size + 1]), first_equal(a, y.dtype.type(100))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_maxima_and_places(dtype):
    size = lanes(dtype)
    w = np.random.default_rng(0).standard_normal((2, 2 * size)).astype(dtype)
    w[0, 1] = w[0, -1] = 10
    y = np.full((3, 2 * size), np.nan, dtype)
    assert maxima(w, y, size) == (1, size + 1, 64)
    np.testing.assert_array_equal(y[:2], [np.maximum(*w), np.full(2 * size, 10)])
    np.testing.assert_allclose(y[2], w[0] / w[1] + 1 / w[1], rtol=4 * np.finfo(dtype).eps)
    w[0, [2, -2]] = np.nan                             # a NaN is the maximum, as in NumPy
    assert maxima(w, y, size) == (2, size + 1, 2)
    np.testing.assert_array_equal(y[:2], [np.maximum(*w), np.full(2 * size, np.nan)])
    w[0], w[1, -1] = 1, np.nan
    maxima(w, y, size)
    np.testing.assert_array_equal(y[:2], [np.maximum(*w), np.ones(2 * size)])


@numba.njit
def exponentials(x, y, size):
    for at in range(0, len(x), 2 * size):
        store(exp_of_negative(load(x, at, 0, 1, 2)), y, at, 0)


@pytest.mark.parametrize(("dtype", "lowest"), [(np.float32, -87.3), (np.float64, -708)])
def test_the_exponential_is_within_a_unit_in_the_last_place(dtype, lowest):
    x = np.concatenate([[0, -0.0, np.nan, -1e30, -np.inf, -1, -2, 2 * lowest], -np.geomspace(1e-9, -lowest, 2**16 - 8)])
    x, y = x.astype(dtype), np.empty(len(x), dtype)
    exponentials(x, y, lanes(dtype))
    exact = np.exp(x.astype(np.longdouble))
    np.testing.assert_array_equal(y[:5], [1, 1, np.nan, 0, 0])
    assert y[7] == 0
    assert (abs(y - exact) / np.spacing(exact.astype(dtype)))[8:].max() < 1


@numba.njit
def slides(x, w, y, step):
    for at in range(2):
        store(slide(zeros(y, 4, 2), x, at, 2, w, 0, 3, 2, 0), y, 8 * at * step, step)
        store(slide(zeros(y, 4, 2), x, at, 2, w, 0, 3, 2, 1), y, (8 * at + 4) * step, step)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_slide_over_pixels_with_gaps(dtype):
    size, random = lanes(dtype), np.random.default_rng(0)
    x, w = random.standard_normal((3, 2)).astype(dtype), random.standard_normal((3, 2 * size)).astype(dtype)
    y = np.full((2, 2, 4, 2 * size), np.nan, dtype)
    slides(x, w, y, 2 * size)
    for column in range(2):
        for phase in range(2):
            expected = np.zeros((4, 2 * size), dtype)
            for r, t in np.ndindex(4, 3):
                if (r + t - phase) % 2 == 0:
                    expected[r] += x[(r + t - phase) // 2, column] * w[t]
            np.testing.assert_allclose(y[column, phase], expected, rtol=0, atol=8 * np.finfo(dtype).eps)


def test_a_product_is_added_in_one_rounding():
    x, w, y = np.array([1 + 2.0**-30]), np.full(lanes(np.float64), 1 - 2.0**-30), np.empty(lanes(np.float64))

    @numba.njit
    def residue(x, w, y):
        store(outer(load(y, 0, 0, 1, 1), x, 0, 0, w, 0, 0), y, 0, 0)

    y[:] = -1
    residue(x, w, y)
    assert (y == -2.0**-60).all()                                 # 0 if the product were rounded first


def test_relu_keeps_nan():
    y = np.full(lanes(np.float32), np.nan, np.float32)
    y[0] = -1

    @numba.njit
    def clamp(y):
        store(relu(load(y, 0, 0, 1, 1)), y, 0, 0)

    clamp(y)
    assert y[0] == 0
    assert np.isnan(y[1:]).all()


@pytest.mark.parametrize(("features", "registers"), [
    ("+sse4.2,+avx512f,+avx2,+fma", (64, 32)), ("+avx2,+fma", (32, 16)), ("+avx2,-fma", (0, 0)), ("", (0, 0))])
def test_vectors_follow_the_features_compiled_for(features, registers, monkeypatch):
    monkeypatch.setattr(numba.config, "CPU_FEATURES", features)
    monkeypatch.setattr(tile_llvm.platform, "machine", lambda: "x86_64")
    assert tile_llvm.vector_registers.__wrapped__() == registers


def test_every_arm_has_neon(monkeypatch):
    monkeypatch.setattr(numba.config, "CPU_FEATURES", "")
    monkeypatch.setattr(tile_llvm.platform, "machine", lambda: "arm64")
    assert tile_llvm.vector_registers.__wrapped__() == (16, 32)


def test_memory_is_aligned_and_used_again_when_the_last_view_is_gone(monkeypatch):
    monkeypatch.setattr(memory_pool, "_pool", memory_pool.MemoryPool())
    shape = 57, 211, 3
    array = memory_pool.empty(shape, np.float32)
    assert array.shape == shape
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    assert array.flags.writeable
    place = array.ctypes.data
    assert place % memory_pool.ALIGNMENT == 0
    view = array[3:].reshape(-1)[5::2]
    del array
    view[...] = 1
    other = memory_pool.empty(shape, np.float32)
    assert other.ctypes.data != place
    other[...] = 2
    assert (view == 1).all()
    del view
    assert memory_pool.empty(shape, np.float32).ctypes.data == place
    assert memory_pool.empty((3,), np.float64).ctypes.data % memory_pool.ALIGNMENT == 0


def test_arrays_made_together_share_a_block_and_nothing_else(monkeypatch):
    monkeypatch.setattr(memory_pool, "_pool", memory_pool.MemoryPool())
    shapes = (57, 211, 3), (5,), (2, 3, 4, 5000)
    arrays = memory_pool.empty_together(np.float32, *shapes)
    for number, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
        assert array.shape == shape
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.ctypes.data % memory_pool.ALIGNMENT == 0
        array[...] = number
    assert [set(array.ravel()) for array in arrays] == [{0}, {1}, {2}]
    place, first = arrays[0].ctypes.data, arrays[0]
    del array, arrays
    assert memory_pool.empty_together(np.float32, *shapes)[0].ctypes.data != place          # one of them is in use
    del first
    assert memory_pool.empty_together(np.float32, *shapes)[0].ctypes.data == place


UNIT = 2**16                                           # bytes, a multiple of a cache line


@pytest.fixture
def pool(monkeypatch):
    """An empty pool, with functions ``take(*units)`` and ``give(blocks)``; ``made`` lists the memory it asked for."""
    pool, fresh = memory_pool.MemoryPool(), memory_pool.fresh
    pool.made = []
    monkeypatch.setattr(memory_pool, "fresh", lambda size: pool.made.append(size // UNIT) or fresh(size))
    pool.take = lambda *units: [pool.acquire(count * UNIT) for count in units]

    def give(blocks):
        for block in blocks:
            pool.returned.append(object())
            pool.lent[pool.returned[-1]] = block
    pool.give = give
    return pool


def places(block):
    return block.address, block.size


def test_the_pool_holds_little_more_than_was_in_use_at_once(pool):
    for sizes in ((100, 100, 50), (60,), (70, 80), (250,), (30, 30), (100, 100, 50)):
        pool.give(pool.take(*sizes))
        pool._reclaim()
        assert pool._free + pool._in_use <= (memory_pool.PEAK_RATIO + 1 / memory_pool.SHARE) * 250 * UNIT
        assert pool._free == sum(block.size for block in pool._blocks)
    assert pool._in_use == 0


def test_a_free_block_is_cut_and_becomes_whole_again(pool):
    whole, = pool.take(32)
    pool.give([whole])
    parts = pool.take(8, 8, 16)
    assert pool.made == [32]
    assert sorted(map(places, parts)) == [(places(whole)[0] + at * UNIT, size * UNIT)
                                          for at, size in ((0, 8), (8, 8), (16, 16))]
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0), (0, 2, 1), (2, 0, 1)):
        for index in order:
            pool.give([parts[index]])
            pool._reclaim()
        whole_again, = pool.take(32)
        assert places(whole_again) == places(whole)
        pool.give([whole_again])
        parts = pool.take(8, 8, 16)
    assert pool.made == [32]


def test_a_small_array_takes_no_part_of_a_far_larger_block(pool):
    pool.give(pool.take(memory_pool.SHARE * 2))
    small, = pool.take(1)
    assert pool.made == [memory_pool.SHARE * 2, 1]
    pool.give([small])
    assert [block.size // UNIT for block in pool.take(2, 1)] == [2, 1]
    assert pool.made == [memory_pool.SHARE * 2, 1]


def use(pool, used, times):
    """Take and return blocks at random. The blocks in use never share memory."""
    rng = np.random.default_rng(0)
    for _ in range(times):
        if used and rng.random() < 0.5:
            pool.give([used.pop(rng.integers(len(used)))])
        else:
            used += pool.take(int(2 ** rng.uniform(0, 6)))
        ends = sorted((place, place + size) for place, size in map(places, used))
        assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(ends))


def interrupted(work, moment):
    """Call ``work``, and raise KeyboardInterrupt within memory_pool.py, at the place with this number.

    Python runs signal handlers after calls, at the start of functions and where loops jump back: these are the places.
    """
    passed, last = itertools.count(), {}

    def trace(frame, event, _):
        if frame.f_code.co_filename != memory_pool.__file__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            done = last.get(frame)
            last[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            if done in ("CALL", "RESUME", "JUMP_BACKWARD") and next(passed) == moment:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_after_an_interrupt_at_any_place_blocks_share_no_memory(pool):
    moment = 0
    while True:
        used = pool.take(64, 16, 8)
        pool.give([used.pop(0)])
        used += pool.take(8, 24)
        pool.give([used.pop()])
        went_on = not interrupted(lambda used=used: used.extend(pool.take(2, 12)), moment)
        use(pool, used, 40)
        pool.give(used)
        pool._reclaim()
        assert pool._free == sum(block.size for block in pool._blocks)
        assert 0 <= pool._in_use <= 14 * UNIT * moment              # those that were interrupted on their way out
        if went_on:
            break
        moment += 1
    assert moment > 10


def test_blocks_in_use_never_share_memory(pool):
    used = []
    use(pool, used, 1000)
    pool.give(used)
    pool._reclaim()
    assert pool._in_use == 0
    assert all(block.is_whole() for block in pool._blocks)


def test_a_training_step_takes_no_new_memory(monkeypatch):
    monkeypatch.setattr(memory_pool, "_pool", memory_pool.MemoryPool())
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((64, 32, 32, 3)).astype(np.float32), rng.integers(10, size=64)
    network = models.se_resnet8(input_gradient=False)
    optimizer, asked = SGD(network), []
    fresh = memory_pool.fresh
    monkeypatch.setattr(memory_pool, "fresh", lambda size: asked.append(size) or fresh(size))
    with backend.using_edition("cpu"):
        for _ in range(3):
            before = len(asked)
            Step(network, optimizer, 0.1).plain(x, labels, 0.1)
    assert 0 < max(asked[before:]) < memory_pool.SMALL <= max(asked)
