"""Cases for channels put together, taken apart and shuffled."""

from npse.gradcheck.cases.case import Case, distinct
from npse.types import Array, Ops


def concat_case(label: str, N: int, H: int, W: int, *widths: int) -> Case:
    """A case for `concat`, with one map for each of ``widths``."""
    names = tuple("abcd"[:len(widths)])
    return Case(
        ("concat", "concat_backward"), label,
        make=lambda rng: {name: distinct(rng, N, H, W, width) for name, width in zip(names, widths, strict=True)},
        forward=lambda ops, **maps: ops.concat(*maps.values()),
        backward=lambda ops, dy, **maps: ops.concat_backward(dy, widths), wrt=names)


def split_case(label: str, N: int, H: int, W: int, *widths: int) -> Case:
    """A case for `split`: the parts are put together again in reverse order."""
    def backward(ops: Ops, dy: Array, x: Array) -> tuple[Array]:
        return (ops.split_backward(*reversed(ops.concat_backward(dy, widths[::-1]))),)

    return Case(
        ("split", "split_backward"), label, make=lambda rng: {"x": distinct(rng, N, H, W, sum(widths))},
        forward=lambda ops, x: ops.concat(*reversed(ops.split(x, widths))), backward=backward, wrt=("x",))


def channel_shuffle_case(label: str, N: int, H: int, W: int, C: int, groups: int) -> Case:
    """A case for `channel_shuffle`."""
    return Case(
        ("channel_shuffle", "channel_shuffle_backward"), label, make=lambda rng: {"x": distinct(rng, N, H, W, C)},
        forward=lambda ops, x: ops.channel_shuffle(x, groups),
        backward=lambda ops, dy, x: (ops.channel_shuffle_backward(dy, groups),), wrt=("x",))


CASES = (
    concat_case("two maps", 2, 3, 4, 2, 3),
    concat_case("four maps, N = 1", 1, 3, 2, 2, 1, 4, 3),
    concat_case("three maps of one width", 2, 2, 3, 2, 2, 2),
    split_case("two parts", 2, 3, 4, 2, 3),
    split_case("four parts, N = 1", 1, 3, 2, 2, 1, 4, 3),
    channel_shuffle_case("G < C/G", 2, 3, 4, 6, 2),
    channel_shuffle_case("G > C/G, N = 1", 1, 3, 2, 6, 3),
    channel_shuffle_case("G = C/G", 2, 2, 3, 4, 2),
    channel_shuffle_case("one group", 2, 2, 3, 3, 1),
)
