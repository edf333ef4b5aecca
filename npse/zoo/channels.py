"""Channels put together, taken apart and shuffled: the order of parts and of channels.

`concat_backward` is the op `split`, so the gradient is called x here.
"""

import numpy as np

from npse import reference as book
from npse.zoo.bug import bug


@bug("concat_backward", "channels swapped")
def concat_gives_parts_back_in_reverse(x, widths):
    """The parts have the right widths, but are taken from the end: the last channels go to the first map."""
    return book.concat_backward(x, widths[::-1])[::-1]


@bug("concat_backward", "channels swapped")
def concat_starts_each_part_at_the_first_channel(x, widths):
    """Each part is taken from the first channel on: the start of the part is not added."""
    return tuple(x[..., :width].copy() for width in widths)


@bug("concat_backward", "path missing", "zero")
def concat_forgets_the_last_map(x, widths):
    """The last map gets no gradient."""
    *parts, last = book.concat_backward(x, widths)
    return *parts, np.zeros_like(last)


@bug("concat_backward", "shape")
def concat_divides_evenly(x, widths):
    """The channels are divided into equal parts, whatever the widths are."""
    cuts = [x.shape[3] * k // len(widths) for k in range(1, len(widths))]
    return tuple(part.copy() for part in np.split(x, cuts, axis=3))


@bug("split_backward", "channels swapped")
def split_joins_in_reverse(a, b, c=None, d=None):
    """The gradients of the parts are put together in reverse order."""
    return book.split_backward(*[part for part in (d, c, b, a) if part is not None])


@bug("split_backward", "path missing")
def split_takes_the_first_part_alone(a, b, c=None, d=None):
    """The gradients of all parts but the first are left at zero."""
    return book.split_backward(a, *[0 * part for part in (b, c, d) if part is not None])


@bug("split_backward", "channels swapped")
def split_interleaves(a, b, c=None, d=None):
    """The channels of the parts are interleaved, as if they had been taken out by turns."""
    dx = book.split_backward(a, b, c, d)
    order = np.argsort(np.concatenate([np.arange(part.shape[3]) for part in (a, b, c, d) if part is not None]),
                       kind="stable")
    return dx[..., order].copy()


@bug("channel_shuffle_backward", "channels swapped")
def shuffle_again(dy, groups):
    """The gradient is shuffled with the same groups. That is the inverse order only if there are C = G*G channels."""
    return book.channel_shuffle(dy, groups)


@bug("channel_shuffle_backward", "channels swapped")
def shuffle_passes_the_gradient(dy, groups):
    """The gradient is not shuffled at all."""
    return dy.copy()


@bug("channel_shuffle_backward", "channels swapped")
def shuffle_reverses(dy, groups):
    """The order of the channels is reversed after the inverse shuffle."""
    return book.channel_shuffle_backward(dy, groups)[..., ::-1].copy()
