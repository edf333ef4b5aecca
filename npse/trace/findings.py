"""What is wrong or suspicious in a record: races, strays, memory read before it was written, threads without work.

Whether threads race does not depend on who came first in the simulator: within an interval between two barriers any
order is possible on hardware, and threads of different blocks never wait for each other.
"""

from collections import defaultdict
from dataclasses import dataclass
from functools import partial

import numpy as np

from npse.trace.journal import READ, WRITE

BARRIER = "put cuda.syncthreads() between them"


@dataclass(frozen=True)
class Finding:
    """Something to look at.

    Attributes
    ----------
    kind : str
        race, outside, negative, unwritten, barrier or idle.
    message : str, one line
    cells : frozenset of (array, block, cell)
        The cells it is about, all by number; the block is None for global memory, which all blocks share.
    """

    kind: str
    message: str
    cells: frozenset = frozenset()

    @property
    def wrong(self):
        """Whether this cannot be meant: idle threads and negative indices can."""
        return self.kind not in ("negative", "idle")

    @property
    def marked(self):
        """Whether a picture can show where this is."""
        return self.kind in ("race", "outside", "unwritten")

    def __str__(self):
        return f"{self.kind}: {self.message}"


def findings(trace):
    """All findings in a trace, the gravest first."""
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
        memory, lines = trace.arrays[array], trace.journal.lines
        threads = f"thread {_who(trace, other, far)} {verb} it ({lines[second]}), thread {_who(trace, writer, far)} " \
                  f"writes it ({lines[first]})"
        cure = "no barrier reaches from block to block" if far else BARRIER
        cells = _in_all({cell for _, _, cell in pairs}, "cells")
        yield Finding("race", f"{memory.index(cell)}{cells}: {threads}, in no order: {cure}", frozenset(pairs))


def _by_cell(trace):
    """The accesses to each cell, by (array, block, cell) as in `Finding.cells`."""
    cells = defaultdict(list)
    for access in trace.journal.accesses:
        cells[_place(trace, access)].append(access)
    return cells


def _place(trace, access):
    shared = trace.arrays[access.array].space == "shared"
    return access.array, access.block if shared else None, access.cell


def _conflict(accesses):
    """A write, and what another thread does to the same cell in no order with it; None if all is in order."""
    for write in accesses:
        if write.verb != WRITE:
            continue
        for other in sorted(accesses, key=lambda access: access.verb != READ):
            ordered = other.block == write.block and other.interval != write.interval
            same = (other.block, other.thread) == (write.block, write.thread)
            if not ordered and not same and not (write.atomic and other.atomic):
                return write, other
    return None


def _strays(trace, wraps):
    met = defaultdict(list)
    for stray in trace.journal.strays:
        if stray.wraps == wraps:
            met[stray.array, stray.verb, stray.site].append(stray)
    for (array, verb, site), strays in met.items():
        memory, one = trace.arrays[array], strays[0]
        threads = {(stray.block, stray.thread) for stray in strays}
        where = f"{memory.name}[{', '.join(map(str, one.index))}]"
        what = "that is counted from the end" if wraps else f"outside its shape {memory.shape}"
        yield Finding("negative" if wraps else "outside",
                      f"thread {_who(trace, one)} {verb} {where}, {what} ({trace.journal.lines[site]})"
                      f"{_in_all(threads, 'threads')}")


def _unwritten(trace):
    written, early = set(), defaultdict(list)
    for access in trace.journal.accesses:
        if access.verb == WRITE:
            written.add((access.array, access.block, access.cell))
    for access in trace.journal.accesses:
        if trace.arrays[access.array].space == "shared" and (access.array, access.block, access.cell) not in written:
            early[access.array, access.site].append(access)
    for (array, site), accesses in early.items():
        yield Finding("unwritten",
                      f"thread {_who(trace, accesses[0])} reads {trace.arrays[array].index(accesses[0].cell)} "
                      f"({trace.journal.lines[site]}), which no thread has written: shared memory starts with anything "
                      "in it", frozenset(_place(trace, access) for access in accesses))


def _barriers(trace):
    lines = trace.journal.lines
    for (block, _), waiting in trace.journal.barriers.items():
        places = sorted({lines[site] for site in waiting.values()})
        if len(places) > 1:
            yield Finding("barrier", f"threads of block {trace.place(block, trace.blocks)} wait at different barriers "
                          f"({', '.join(places)}): hardware may hang; move cuda.syncthreads() out of the condition")
            return


def _idle(trace):
    busy = {(access.block, access.thread) for access in (*trace.journal.accesses, *trace.journal.strays)}
    size = int(np.prod(trace.threads))
    idle = [(block, thread) for block in range(int(np.prod(trace.blocks))) for thread in range(size)
            if (block, thread) not in busy]
    if idle:
        total = size * int(np.prod(trace.blocks))
        block, thread = idle[0]
        yield Finding("idle", f"{len(idle)} of {total} threads touch no memory, the first of them thread "
                      f"{trace.place(thread, trace.threads)} of block {trace.place(block, trace.blocks)}: "
                      "the grid is larger than the work")


RULES = (_races, partial(_strays, wraps=False), partial(_strays, wraps=True), _unwritten, _barriers, _idle)


def _in_all(found, what):
    return f", {len(found)} {what} in all" if len(found) > 1 else ""


def _who(trace, access, with_block=False):
    """A thread by its indices, and its block where there are several."""
    thread = trace.place(access.thread, trace.threads)
    several = with_block or np.prod(trace.blocks) > 1
    return f"{thread} of block {trace.place(access.block, trace.blocks)}" if several else thread
