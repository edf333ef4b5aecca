"""Numbers that a page computes by hand, beside what the shipped functions say."""

from collections.abc import Mapping
from typing import Any

import numpy as np


class Worked(dict[str, Any]):
    """What shipped functions say of the numbers in a section for the pencil, by the name that the page gives them.

    A name is written as in the page's formula, without spaces: ``z_1``, ``dv_1^2``. The tests of the notebooks read
    the section above the cell and compare each number in it with the value of its name.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__({name: np.asarray(value, float) for name, value in values.items()})

    def __repr__(self) -> str:
        items = []
        for name, value in self.items():
            rounded = np.round(value, 4) + 0.0                    # without negative zeros
            rows = rounded if rounded.ndim > 1 else [rounded]
            text = ", ".join("[" + " ".join(f"{entry:g}" for entry in np.ravel(row)) + "]" for row in rows)
            items.append(f"{name} = {text if rounded.ndim else f'{rounded:g}'}")
        lines = [items[0]]
        for item in items[1:]:
            if len(lines[-1]) + len(item) < 76:
                lines[-1] += "   " + item
            else:
                lines.append(item)
        return "computed by the code:\n" + "\n".join(lines)
