"""Threads that play ranks, so that tests of shared steps need no MPI."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from npse.training.ranks import Ranks


class ThreadRanks(Ranks):
    """One of several threads; sums are made at once, in the order of the ranks."""

    def __init__(self, rank, size, barrier, table):
        self.rank, self.size, self._barrier, self._table = rank, size, barrier, table

    def _all(self, value):
        self._table[self.rank] = value
        self._barrier.wait()
        found = list(self._table)
        self._barrier.wait()
        return found

    def gather(self, *arrays):
        return tuple(map(np.stack, zip(*self._all(arrays), strict=True)))

    def from_first(self, array):
        return self._all(array)[0].copy()

    def sum(self, *arrays):
        return tuple(sum(each) for each in zip(*self._all(arrays), strict=True))

    def start_sum(self, numbers):
        numbers[...] = sum(self._all(numbers.copy()))


def with_ranks(size, function):
    """Call ``function(ranks)`` in so many threads; return the results in the order of the ranks."""
    barrier, table = threading.Barrier(size), [None] * size

    def call(rank):
        try:
            return function(ThreadRanks(rank, size, barrier, table))
        except BaseException:
            barrier.abort()                                       # or the others would wait for ever
            raise
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(call, range(size)))
