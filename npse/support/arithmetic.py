"""Integer arithmetic for sizes of grids, blocks and parts."""


def ceil_div(a: int, b: int) -> int:
    """Return a / b for integers a and b > 0, rounded up."""
    return -(-a // b)
