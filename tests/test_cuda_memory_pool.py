"""The memory pool of the device, tested without a device: the pool is plain Python."""

import pytest

pytest.importorskip("numba_cuda", reason="numba-cuda is not installed")

from npse.cuda.runtime.memory_pool import GRAIN, MemoryPool


class Memory:
    """Memory of a limited size, in numbered blocks. A block without references is free."""

    def __init__(self, room):
        self.room, self.used, self.made = room, 0, 0

    def __call__(self, size):
        if self.used + size > self.room:
            raise MemoryError(f"{size} more")
        self.made += 1
        return Block(self, size, self.made)


class Block:
    def __init__(self, memory, size, number):
        self.memory, self.size, self.number = memory, size, number
        memory.used += size

    def __del__(self):
        self.memory.used -= self.size


def test_a_returned_block_is_used_again():
    memory = Memory(100 * GRAIN)
    pool = MemoryPool(memory)
    first, give_back = pool.acquire(3 * GRAIN)
    second, _ = pool.acquire(3 * GRAIN)
    assert first is not second
    give_back()
    third, _ = pool.acquire(3 * GRAIN - 1)                          # the same, rounded up
    assert third is first
    assert memory.made == 2


def test_a_block_in_use_is_not_given_out_again():
    pool = MemoryPool(Memory(100 * GRAIN))
    in_use = [pool.acquire(GRAIN)[0] for _ in range(10)]
    assert len({block.number for block in in_use}) == 10


def test_a_repeated_step_needs_no_new_memory():
    memory = Memory(1000 * GRAIN)
    pool = MemoryPool(memory)

    def step():
        backs = [pool.acquire(size * GRAIN)[1] for size in (1, 5, 3, 5)]
        backs[1]()
        backs += [pool.acquire(size * GRAIN)[1] for size in (5, 2)]
        for back in (backs[0], *backs[2:]):
            back()
    step()
    made = memory.made
    for _ in range(5):
        step()
    assert memory.made == made == 5
    assert pool.size == memory.used == (1 + 5 + 3 + 5 + 2) * GRAIN


def test_if_memory_is_full_free_blocks_are_released_first():
    memory = Memory(10 * GRAIN)
    pool = MemoryPool(memory)
    pool.acquire(8 * GRAIN)[1]()
    block, _ = pool.acquire(9 * GRAIN)                              # only if the block of 8 is released
    assert block.size == pool.size == 9 * GRAIN
    with pytest.raises(MemoryError):
        pool.acquire(2 * GRAIN)


def test_size_zero_is_allowed():
    pool = MemoryPool(Memory(10 * GRAIN))
    assert pool.acquire(0)[0].size == GRAIN
