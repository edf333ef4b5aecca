"""The threads of a block in the simulator: barriers, their order, votes, errors."""

import numpy as np
import pytest
from numba import cuda

from npse.cuda.runtime import simulated_threads

pytestmark = pytest.mark.simulator


def launch(kernel, threads, *shapes, blocks=1):
    """Run a kernel on arrays of zeros and return them."""
    arrays = [np.zeros(shape) for shape in shapes]
    cuda.jit(kernel)[blocks, threads](*arrays)
    return arrays


def test_a_barrier_waits_for_all_threads_in_any_order():
    def rotate(y):
        shared = cuda.shared.array(8, np.float64)
        i = cuda.threadIdx.x
        shared[i] = i
        for _ in range(4):
            cuda.syncthreads()
            value = shared[(i + 1) % 8]
            cuda.syncthreads()
            shared[i] = value
        y[cuda.blockIdx.x, i] = shared[i]
    y, = launch(rotate, 8, (3, 8), blocks=3)
    np.testing.assert_array_equal(y, np.tile((np.arange(8) + 4) % 8, (3, 1)))


def test_code_that_lacks_a_barrier_is_wrong_in_one_of_the_two_orders():
    def from_the_left(y):
        shared = cuda.shared.array(8, np.float64)
        i = cuda.threadIdx.x
        shared[i] = i
        cuda.syncthreads()
        shared[i] = 10 * i                                        # no barrier: the neighbour may not have written
        y[0, i] = shared[i - 1] if i else 0
        cuda.syncthreads()
        shared[i] = 100 * i
        y[1, i] = shared[i - 1] if i else 0
    y, = launch(from_the_left, 8, (2, 8))
    assert list(y[0]) == [0, *range(7)]                           # thread 7 was the first
    assert list(y[1]) == [0, *range(0, 700, 100)]                 # thread 0 was


def test_threads_that_have_ended_are_not_waited_for():
    def halves(y):
        i = cuda.threadIdx.x
        while i < 8:
            y[i] += 1
            i += 2
            cuda.syncthreads()
    y, = launch(halves, 5, 8)
    np.testing.assert_array_equal(y, [1, 1, 2, 2, 3, 2, 3, 2])


def test_votes_and_places():
    def vote(y, places):
        x, j, k = cuda.threadIdx.x, cuda.threadIdx.y, cuda.threadIdx.z
        i = simulated_threads.current_thread().thread_id
        y[0, i] = cuda.syncthreads_count(i < 5)
        y[1, i], y[2, i] = cuda.syncthreads_and(i < 5), cuda.syncthreads_or(i == 11)
        places[k, j, x] = i
        cuda.atomic.add(y, (3, 0), 1)
    y, places = launch(vote, (2, 3, 2), (4, 12), (2, 3, 2))
    assert (y[:3] == [[5], [0], [1]]).all()
    assert y[3, 0] == 12
    np.testing.assert_array_equal(places.ravel(), np.arange(12))


@pytest.mark.parametrize("error", [ValueError, IndexError, FloatingPointError])
def test_an_error_names_its_thread_and_ends_the_others(error):
    ended = []

    def fails(y):
        try:
            cuda.syncthreads()
            if cuda.threadIdx.x == 2 and cuda.blockIdx.x == 1:
                raise error("too large")
            cuda.syncthreads()
        finally:
            ended.append(cuda.threadIdx.x)
    with pytest.raises(error, match=r"tid=\[2, 0, 0\] ctaid=\[1, 0, 0\]: too large"):
        launch(fails, 4, 1, blocks=2)
    assert sorted(ended) == sorted(2 * [*range(4)])

    def works(y):
        y[cuda.grid(1)] = 1
    assert launch(works, 4, 4)[0].all()
