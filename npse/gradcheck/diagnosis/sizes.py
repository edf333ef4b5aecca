"""Express a number by sizes of axes: 12 is H*W. A reading of a number must hold for other shapes, too."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, permutations

import numpy as np

from npse.types import Array

CLOSE = 1e-5


def sizes_of(letters: Mapping[str, Sequence[str]], arrays: Mapping[str, Array]) -> dict[str, int]:
    """The size of each axis by its letter, and products of several sizes: {"N": 2, "H": 3, "H*W": 12, ...}.

    ``letters`` holds the letters of the axes of each array, both by the name of the array.
    """
    single: dict[str, int] = {}
    products: dict[str, int] = {}
    for name, axes in letters.items():
        own = {letter: size for letter, size in zip(axes, np.shape(arrays[name]), strict=True) if letter != "1"}
        single |= own
        for count in range(1, len(own) + 1):
            for chosen in combinations(own, count):
                products["*".join(chosen)] = int(np.prod([own[letter] for letter in chosen]))
    return single | dict(sorted(products.items(), key=lambda item: item[0].count("*")))


def readings(number: float, sizes: Mapping[str, int],
             elsewhere: Iterable[tuple[float | None, Mapping[str, int]]] = ()) -> list[str]:
    """A number in terms of sizes: ["H*W"], ["1/N"], ["N", "W/H"]; its sign does not count. Empty if no size gives it.

    ``elsewhere`` holds the same number for other arguments, None if it is none there, and the sizes there: what is a
    size by chance is none there.
    """
    found = _readings(abs(number), sizes)
    for other, its in elsewhere:
        there = _readings(abs(other), its) if other is not None else []
        found = [text for text in found if text in there]
    return found


def _readings(number: float, sizes: Mapping[str, int]) -> list[str]:
    found: list[str] = []
    for name, size in sizes.items():
        product = f"({name})" if "*" in name else name
        if size > 1:
            found += [text for text, value in (
                (name, size), (f"1/{product}", 1 / size), (f"{product}^2", size**2), (f"1/{product}^2", 1 / size**2),
                *(((f"{product}/({name} - 1)", size / (size - 1)), (f"({name} - 1)/{product}", (size - 1) / size))
                  if size > 2 else ()),                           # for a size of 2 they are 2 and 1/2
                (f"sqrt({name})", size**0.5), (f"1/sqrt({name})", size**-0.5)) if _is(number, value)]
    single = {name: size for name, size in sizes.items() if "*" not in name}
    found += [f"{name}/{other}" for (name, n), (other, m) in permutations(single.items(), 2)
              if m > 1 and n > 1 and n != m and _is(number, n / m)]
    return list(dict.fromkeys(found))


def _is(number: float, value: float) -> bool:
    return abs(number - value) <= CLOSE * value


def is_sure(number: float, names: Sequence[str]) -> bool:
    """Whether the readings of a number say what it is: there is one, and it is no 2 or 1/2, which have many causes."""
    return len(names) == 1 and not _is(abs(number), 2) and not _is(abs(number), 0.5)


def possible(number: float, names: Sequence[str]) -> str:
    """The readings of a number that may be by chance: "H*W or N*C are 12 here" (at most three)."""
    return f"{' or '.join(names[:3])} {'is' if len(names) == 1 else 'are'} {abs(number):.6g} here"


def named(factor: float, names: Sequence[str]) -> str:
    """A factor and its readings in words: "12, which is H*W"; "2 (M is 2 here)", which claims nothing; "0.3"."""
    if is_sure(factor, names):
        return f"{factor:.6g}, which is {'minus ' if factor < 0 else ''}{names[0]}"
    return f"{factor:.6g} ({possible(factor, names)})" if names else f"{factor:.6g}"


def is_plain(reading: str) -> bool:
    """Whether a reading is a size, or one divided by it: a sum and a mean differ by that."""
    return not re.search(r"\^|sqrt| - ", reading) and reading.count("/") <= reading.startswith("1/")


def is_size(factor: float, sizes: Mapping[str, int]) -> bool:
    """Whether a factor is one of the sizes, or one divided by one of them."""
    return any(size > 1 and min(abs(factor - size) / size, abs(factor * size - 1)) <= CLOSE for size in sizes.values())
