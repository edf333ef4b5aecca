"""What is known of the kernels of a training step on a GPU that need not be there: launches, registers, instructions.

The kernels are compiled for a compute capability, or loaded from disk, and no kernel runs. Occupancy follows from the
limits of a multiprocessor, which are those of NVIDIA's CUDA C++ Programming Guide.
"""

import importlib
from collections import Counter
from dataclasses import dataclass

import numpy as np

from npse import backend
from npse.bench.report import Table
from npse.bench.workload import build
from npse.support.arithmetic import ceil_div
from npse.training import Config
from npse.training.step import Step

WARP = 32
REGISTERS = 65536                # of a multiprocessor, in all of these
REGISTER_UNIT = 256              # registers of a warp are multiples of it


@dataclass(frozen=True)
class Multiprocessor:
    """The limits of a multiprocessor: threads and blocks at a time, and bytes of shared memory."""

    threads: int
    blocks: int
    shared: int


MULTIPROCESSORS = {(7, 5): Multiprocessor(1024, 16, 64 << 10), (8, 0): Multiprocessor(2048, 32, 164 << 10),
                   (8, 6): Multiprocessor(1536, 16, 100 << 10), (8, 9): Multiprocessor(1536, 24, 100 << 10),
                   (9, 0): Multiprocessor(2048, 32, 228 << 10), (10, 0): Multiprocessor(2048, 32, 228 << 10),
                   (12, 0): Multiprocessor(1536, 32, 100 << 10)}


def occupancy(capability, threads, registers, shared):
    """Return the share of a multiprocessor's threads that blocks of a kernel can fill, 0 .. 1, and what limits it.

    Parameters
    ----------
    capability : (int, int), of `MULTIPROCESSORS`
    threads : int, of a block
    registers : int, of a thread
    shared : int, bytes of a block
    """
    of = MULTIPROCESSORS[capability]
    warps = ceil_div(threads, WARP)
    reserved = 1024 if capability >= (8, 0) else 0                # bytes that the system keeps for each block
    fitting = {"threads": of.threads // (WARP * warps), "blocks": of.blocks,
               "registers": REGISTERS // (ceil_div(registers * WARP, REGISTER_UNIT) * REGISTER_UNIT * warps),
               "shared memory": of.shared // (shared + reserved) if shared else of.blocks}
    limit = min(fitting, key=fitting.get)
    return fitting[limit] * warps * WARP / of.threads, limit


def measure(model, batch_size, capability):
    """Return a row for each kernel and size of block in a training step with the usual optimizer.

    Returns
    -------
    list of dict
        ``kernel``, ``launches`` (in a step), ``threads`` (of a block), ``registers``, ``shared``, ``local``,
        ``occupancy``, ``limit``, and the numbers of instructions of its PTX, see
        `npse.cuda.runtime.instructions.counted`; the most launches first.

    Raises
    ------
    ValueError
        The limits of such a multiprocessor are not known here.
    """
    from npse.cuda.runtime import device
    from npse.cuda.runtime.machine_code import machine_code, name_of, signature_of
    from npse.cuda.runtime.without_gpu import WithoutGpu

    if capability not in MULTIPROCESSORS:
        raise ValueError("the occupancy is known for the compute capabilities "
                         + ", ".join("{}.{}".format(*known) for known in MULTIPROCESSORS))

    launches = Counter()

    class Notes(WithoutGpu):
        def launch(self, kernel, blocks, threads, *arguments):
            launches[kernel, signature_of(arguments), int(np.prod(threads))] += 1

    before = device.use(Notes(capability))
    try:
        _step(model, batch_size)
    finally:
        device.use(before)
    rows = []
    for (kernel, signature, threads), count in launches.most_common():
        code = machine_code(kernel, signature, capability)
        share, limit = occupancy(capability, threads, code.resources.registers, code.resources.shared)
        rows.append({"kernel": name_of(kernel).removeprefix("npse.cuda."), "launches": count, "threads": threads,
                     **vars(code.resources), "occupancy": share, "limit": limit, **code.instructions})
    return rows


def _step(model, batch_size):
    """Make one step with arrays of zeros."""
    with backend.using_edition(importlib.import_module(backend.EDITIONS["cuda"])):
        network = build(model).to_device()
        optimizer = Config(model=model).optimizer_for(network)
        optimizer.to_device()
        pixels = backend.to_edition(np.zeros((batch_size, 32, 32, 3), np.float32))
        labels = backend.to_edition(np.zeros(batch_size, np.int32))
        Step(network, optimizer, 0.1).plain(pixels, labels, 0.1)


def table(rows, model, batch_size, capability):
    """Return the rows as a table for the terminal."""
    shown = [(row["kernel"], str(row["launches"]), str(row["threads"]), str(row["registers"]), str(row["shared"]),
              str(row["local"]), f"{row['occupancy']:.0%}", row["limit"], *(str(row[kind]) for kind in (
                  "instructions", "fma", "mma")),
              f"{row['wide_loads']} of {row['loads']}", f"{row['wide_stores']} of {row['stores']}",
              f"{row['loop'] / row['loop_bytes']:.2f}" if row["loop"] else "-") for row in rows]
    return Table("{}, batch {}, compute capability {}.{}: the kernels of a training step".format(
        model, batch_size, *capability),
        ("<kernel", "launches", "threads", "registers", "shared", "local", "occupancy", "<limit", "PTX", "fma",
         "mma", "wide loads", "wide stores", "per byte"), shown,
        [f"{sum(row['launches'] for row in rows)} launches. Occupancy: threads that a multiprocessor can hold at a "
         "time, and what limits them.",
         "PTX, fma and mma (of tensor cores): instructions in the code, each counted once however often it runs; wide "
         "loads and stores: those of 128 bits, of all of global memory. Per byte: instructions of the loop that moves "
         "the most bytes of global memory, for each byte."], spare=("PTX", "local", "shared", "mma", "fma"))
