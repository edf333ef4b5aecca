"""The largest grid and the largest block that every GPU can launch. The simulator does not check these limits."""

import math

AXES = "xyz"
BLOCKS = 2**31 - 1, 65535, 65535         # in a grid, along each axis
THREADS = 1024, 1024, 64                 # in a block, along each axis
THREADS_IN_ALL = 1024                    # in a block


def expect_grid(name, blocks, threads):
    """Check the size of a launch of the kernel ``name``. Raise ValueError if it is larger than a GPU allows.

    ``blocks`` and ``threads`` are an int or a tuple of up to three int.
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
