"""Findings in a trace: races, out-of-bounds accesses, reads of unwritten memory, threads without work.

Races are found from the barriers, not from the order in which the simulator ran the threads. A GPU may run the accesses
between two barriers in any order, and a barrier does not order threads of different blocks.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import partial

import numpy as np

from npse.trace.access_log import READ, WRITE

BARRIER = "put cuda.syncthreads() between them"


@dataclass(frozen=True)
class Finding:
    """An error or a possible error in a trace.

    Attributes
    ----------
    kind : str
        race, outside, negative, unwritten, barrier or idle.
    message : str
        One line.
    cells : frozenset of (array, block, cell)
        The numbers of the cells that the finding is about. The block is None for global memory, which all blocks share.
    """

    kind: str
    message: str
    cells: frozenset = frozenset()

    @property
    def wrong(self):
        """Whether this is an error. Idle threads and negative indices may be correct."""
        return self.kind not in ("negative", "idle")

    @property
    def marked(self):
        """Whether a picture marks the place of this finding."""
        return self.kind in ("race", "outside", "unwritten")

    def __str__(self):
        return f"{self.kind}: {self.message}"


def findings(trace):
    """Return all findings in a trace, the most serious first."""
    return [finding for rule in RULES for finding in rule(trace)]


def _races(trace):
    met = defaultdict(dict)
    for place, accesses in _by_cell(trace).items():
        if pair := _conflict(accesses):
            writer, other = pair
            met[place[0], writer.site, other.site, other.verb, writer.block != other.block][place] = pair
    for (array, first, second, verb, far), pairs in met.items():
        place = min(pairs, key=lambda place: place[2])
        cell, (writer, other) = place[2], pairs[place]
        memory, lines = trace.arrays[array], trace.log.lines
        threads = f"thread {_who(trace, other, far)} {verb} it ({lines[second]}), thread {_who(trace, writer, far)} " \
                  f"writes it ({lines[first]})"
        cure = "a barrier does not order threads of different blocks" if far else BARRIER
        cells = _in_all({cell for _, _, cell in pairs}, "cells")
        yield Finding("race", f"{memory.index(cell)}{cells}: {threads}, in no fixed order: {cure}", frozenset(pairs))


def _by_cell(trace):
    """Return a dict of the accesses to each cell. Its keys are (array, block, cell), as in `Finding.cells`."""
    cells = defaultdict(list)
    for access in trace.log.accesses:
        cells[_place(trace, access)].append(access)
    return cells


def _place(trace, access):
    shared = trace.arrays[access.array].space == "shared"
    return access.array, access.block if shared else None, access.cell


def _conflict(accesses):
    """Find a write and an access of another thread with no barrier between them. Return both, or None."""
    for write in accesses:
        if write.verb != WRITE:
            continue
        for other in sorted(accesses, key=lambda access: access.verb != READ):
            ordered = other.block == write.block and other.interval != write.interval
            same = (other.block, other.thread) == (write.block, write.thread)
            if not ordered and not same and not (write.atomic and other.atomic):
                return write, other
    return None


def _out_of_bounds(trace, wraps):
    met = defaultdict(list)
    for access in trace.log.out_of_bounds:
        if access.wraps == wraps:
            met[access.array, access.verb, access.site].append(access)
    for (array, verb, site), found in met.items():
        memory, one = trace.arrays[array], found[0]
        threads = {(access.block, access.thread) for access in found}
        where = f"{memory.name}[{', '.join(map(str, one.index))}]"
        what = "which counts from the end" if wraps else f"outside of its shape {memory.shape}"
        yield Finding("negative" if wraps else "outside",
                      f"thread {_who(trace, one)} {verb} {where}, {what} ({trace.log.lines[site]})"
                      f"{_in_all(threads, 'threads')}")


def _unwritten(trace):
    written, early = set(), defaultdict(list)
    for access in trace.log.accesses:
        if access.verb == WRITE:
            written.add((access.array, access.block, access.cell))
    for access in trace.log.accesses:
        if trace.arrays[access.array].space == "shared" and (access.array, access.block, access.cell) not in written:
            early[access.array, access.site].append(access)
    for (array, site), accesses in early.items():
        yield Finding("unwritten",
                      f"thread {_who(trace, accesses[0])} reads {trace.arrays[array].index(accesses[0].cell)} "
                      f"({trace.log.lines[site]}), which no thread writes: shared memory is not initialized",
                      frozenset(_place(trace, access) for access in accesses))


def _barriers(trace):
    lines = trace.log.lines
    for (block, _), waiting in trace.log.barriers.items():
        places = sorted({lines[site] for site in waiting.values()})
        if len(places) > 1:
            yield Finding("barrier", f"threads of block {trace.place(block, trace.blocks)} wait at different barriers "
                          f"({', '.join(places)}): a GPU may hang; move cuda.syncthreads() out of the condition")
            return


def _idle(trace):
    busy = {(access.block, access.thread) for access in (*trace.log.accesses, *trace.log.out_of_bounds)}
    size = int(np.prod(trace.threads))
    idle = [(block, thread) for block in range(int(np.prod(trace.blocks))) for thread in range(size)
            if (block, thread) not in busy]
    if idle:
        total = size * int(np.prod(trace.blocks))
        block, thread = idle[0]
        yield Finding("idle", f"{len(idle)} of {total} threads use no memory, the first of them thread "
                      f"{trace.place(thread, trace.threads)} of block {trace.place(block, trace.blocks)}: "
                      "the grid is larger than the work")


RULES = (_races, partial(_out_of_bounds, wraps=False), partial(_out_of_bounds, wraps=True), _unwritten, _barriers,
         _idle)


def _in_all(found, what):
    return f", {len(found)} {what} in all" if len(found) > 1 else ""


def _who(trace, access, with_block=False):
    """Return the indices of a thread, and of its block if there are several blocks."""
    thread = trace.place(access.thread, trace.threads)
    several = with_block or np.prod(trace.blocks) > 1
    return f"{thread} of block {trace.place(access.block, trace.blocks)}" if several else thread
