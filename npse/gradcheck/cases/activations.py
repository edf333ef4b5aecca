"""Cases for the non-linearities of the newer networks, and for dropout."""

from typing import Any

import numpy as np

from npse.gradcheck.cases.case import Case, distinct
from npse.types import Arguments, Array, Ops

KINKS: dict[str, tuple[float, float]] = {"relu6": (0, 6), "hard_swish": (-3, 3)}


def activation_case(op: str, label: str, *shape: int, size: float = 1.0, shift: float = 0.0, at_kinks: bool = False,
                    **options: Any) -> Case:
    """A case for an elementwise op; ``size`` scales what is drawn from (-2, 2), then ``shift`` is added."""
    def make(rng: np.random.Generator) -> Arguments:
        x = size * distinct(rng, *shape) + shift
        if at_kinks:
            x.flat[::3], x.flat[1::3] = KINKS[op]
        return {"x": x}

    def backward(ops: Ops, dy: Array, x: Array) -> tuple[Array]:
        saved = ops.relu6(x) if op == "relu6" else x              # the others need their input
        return (getattr(ops, f"{op}_backward")(dy, saved, **options),)

    return Case(
        (op, f"{op}_backward"), label, make,
        forward=lambda ops, x: getattr(ops, op)(x, **options), backward=backward, wrt=("x",),
        kinks=(lambda x: [x - kink for kink in KINKS[op]]) if op in KINKS else None)


def dropout_case(label: str, *shape: int, rate: float) -> Case:
    """A case for `dropout`."""
    def make(rng: np.random.Generator) -> Arguments:
        return {"x": distinct(rng, *shape), "mask": rng.permutation(np.arange(np.prod(shape)) % 3 > 0).reshape(shape)}

    return Case(
        ("dropout", "dropout_backward"), label, make,
        forward=lambda ops, x, mask: ops.dropout(x, mask, rate),
        backward=lambda ops, dy, x, mask: (ops.dropout_backward(dy, mask, rate),), wrt=("x",))


CASES = (
    *(activation_case(op, label, *shape, size=size, **options)
      for op, options in (("hard_swish", {}), ("silu", {}), ("gelu", {}), ("gelu", {"approximate": True}))
      for label, shape, size in ((" ".join(("four axes", *options)), (2, 3, 4, 2), 2.5),
                                 (" ".join(("one axis", *options)), (7,), 2.0))),
    activation_case("relu6", "four axes", 2, 3, 4, 2, size=3, shift=3),
    activation_case("relu6", "one axis", 7, size=4, shift=3),
    activation_case("relu6", "some exactly at the kinks", 2, 3, 4, size=3, shift=3, at_kinks=True),
    activation_case("hard_swish", "some exactly at the kinks", 2, 3, 4, size=2.5, at_kinks=True),
    activation_case("silu", "saturated", 3, 8, size=20),
    activation_case("gelu", "saturated", 3, 8, size=10),
    activation_case("gelu", "saturated, approximate", 3, 8, size=10, approximate=True),
    dropout_case("four axes", 2, 3, 4, 2, rate=0.5),
    dropout_case("two axes, rate 0.2", 3, 5, rate=0.2),
    dropout_case("rate 0", 2, 4, rate=0.0),
)
