"""How large a grid of blocks and a block of threads may be on every GPU; the simulator knows no limits."""

import math

AXES = "xyz"
BLOCKS = 2**31 - 1, 65535, 65535         # of a grid, along each axis
THREADS = 1024, 1024, 64                 # of a block, along each axis
THREADS_IN_ALL = 1024


def expect_grid(name, blocks, threads):
    """Check the size of a launch of the kernel ``name``: ValueError if a GPU would refuse it, with what it allows.

    ``blocks`` and ``threads`` are an int each, or a tuple of up to three.
    """
    for what, sizes, limits in (("gridDim", blocks, BLOCKS), ("blockDim", threads, THREADS)):
        sizes = sizes if isinstance(sizes, tuple) else (sizes,)
        if not 1 <= len(sizes) <= 3:
            raise ValueError(f"{name}: {what} must have one to three axes, but is {sizes}")
        for axis, size, limit in zip(AXES, sizes, limits, strict=False):
            if not 1 <= size <= limit:
                raise ValueError(f"{name}: {what}.{axis} must be 1 to {limit} on a GPU, but is {size}")
    in_all = math.prod(sizes)
    if in_all > THREADS_IN_ALL:
        raise ValueError(f"{name}: a block must have at most {THREADS_IN_ALL} threads on a GPU, but has {in_all}")
