"""Finds in x86 assembly the loops that multiply and add, and what they load and store on the stack."""

import re
from typing import NamedTuple

PRODUCTS_SHARE = 1 / 3           # of the instructions of a loop over products; in transforms it is below


class Loop(NamedTuple):
    """An innermost loop: its number of instructions, of products of vectors, and of vectors on the stack."""

    instructions: int
    products: int
    spills: int


def product_loops(assembly):
    """Return the innermost loops of a kernel that consist of products of vectors, as a list of `Loop`."""
    lines = assembly.splitlines()
    labels = {match[1]: place for place, line in enumerate(lines) if (match := re.match(r"(\.L\w+):", line))}
    jumps = ((place, re.match(r"\s+j\w+\s+(\.L\w+)", line)) for place, line in enumerate(lines))
    loops = {(labels[match[1]], place) for place, match in jumps if match and labels.get(match[1], place) < place}
    innermost = [(begin, end) for begin, end in loops
                 if not any(begin <= first and last <= end for first, last in loops - {(begin, end)})]
    found = [_loop(lines[begin:end + 1]) for begin, end in sorted(innermost)]
    return [loop for loop in found if loop.products > PRODUCTS_SHARE * loop.instructions]


def _loop(lines):
    instructions = [line for line in lines if re.match(r"\s+[a-z]", line)]
    return Loop(len(instructions), sum("vfmadd" in line for line in instructions),
                sum(bool(re.search(r"\(%rsp.*[yz]mm|[yz]mm.*\(%rsp", line)) for line in instructions))
