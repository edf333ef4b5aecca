"""Express a number by sizes of axes: 12 is H*W."""

from collections.abc import Mapping, Sequence
from itertools import combinations

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


def which(number: float, sizes: Mapping[str, int]) -> str:
    """A positive number in terms of sizes: "H*W", "1/N", "N or W" (at most three); "" if no size gives it."""
    found: list[str] = []
    for name, size in sizes.items():
        product = f"({name})" if "*" in name else name
        if size > 1:
            found += [text for text, value in (
                (name, size), (f"1/{product}", 1 / size), (f"{product}^2", size**2), (f"1/{product}^2", 1 / size**2),
                *(((f"{product}/({name} - 1)", size / (size - 1)), (f"({name} - 1)/{product}", (size - 1) / size))
                  if size > 2 else ()),                           # for a size of 2 they are 2 and 1/2
                (f"sqrt({name})", size**0.5), (f"1/sqrt({name})", size**-0.5))
                if abs(number - value) <= CLOSE * value]
    return " or ".join(list(dict.fromkeys(found))[:3])


def named(factor: float, sizes: Mapping[str, int]) -> str:
    """A factor in words: "12, which is H*W"; the number alone if no size gives it.

    A factor of 2 or 1/2 has many causes: the sizes that it may be are named, not claimed.
    """
    name = which(abs(factor), sizes)
    if name and min(abs(abs(factor) - 2), abs(abs(factor) - 0.5)) < CLOSE:
        return f"{factor:.6g} ({name} {'are' if ' or ' in name else 'is'} {abs(factor):.6g} here)"
    return f"{factor:.6g}, which is {'minus ' if factor < 0 else ''}{name}" if name else f"{factor:.6g}"


def is_size(factor: float, sizes: Mapping[str, int]) -> bool:
    """Whether a factor is one of the sizes, or one divided by one of them."""
    return any(size > 1 and min(abs(factor - size) / size, abs(factor * size - 1)) <= CLOSE for size in sizes.values())
