"""Counts of the instructions in the PTX of a kernel. Each is counted once, however often it runs."""

import re

_KINDS = {"fma": r"fma\.", "mma": r"mma\.", "loads": r"ld\.global", "wide_loads": r"ld\.global.*\.(v4\.\w32|v2\.\w64)",
          "stores": r"st\.global", "wide_stores": r"st\.global.*\.(v4\.\w32|v2\.\w64)"}
_INSTRUCTION = re.compile(r"^(?:@!?%\w+\s+)?([a-z][\w.]*)\s*[^;]*;$")
_ACCESS = re.compile(r"(?:ld|st)\.global[a-z.]*?(?:\.v(\d))?\.[a-z](\d+)$")
_JUMP = re.compile(r"bra(?:\.uni)?\s+(\$\w+);$")


def counted(ptx):
    """Return the numbers of instructions, a dict.

    ``instructions`` in all, ``fma``, ``mma`` (of tensor cores), ``loads`` and ``stores`` of global memory,
    ``wide_loads`` and ``wide_stores`` (those of 128 bits); ``loop`` and ``loop_bytes``: the instructions of the loop
    that moves the most bytes between registers and global memory, and these bytes, both 0 without such a loop.
    """
    lines = [line.strip() for line in ptx.splitlines()]
    names = _names(lines)
    loop, moved = max(_loops(lines), key=lambda found: found[1], default=(0, 0))
    return {"instructions": len(names), **{kind: sum(bool(re.match(pattern, name)) for name in names)
                                           for kind, pattern in _KINDS.items()}, "loop": loop, "loop_bytes": moved}


def _names(lines):
    return [found[1] for line in lines if (found := _INSTRUCTION.match(line))]


def _loops(lines):
    """Yield instructions and bytes of each loop: what lies between a label and a jump back to it."""
    labels = {line.removesuffix(":"): number for number, line in enumerate(lines) if line.endswith(":")}
    for number, line in enumerate(lines):
        jump = _JUMP.search(line)
        if jump and (first := labels[jump[1]]) < number:
            names = _names(lines[first:number + 1])
            accesses = [access.groups() for access in map(_ACCESS.match, names) if access]
            if accesses:
                yield len(names), sum(int(count or 1) * int(bits) // 8 for count, bits in accesses)
