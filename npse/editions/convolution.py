"""What the convolutions of all compiled editions have in common: checks, sizes, and the variants of an edition.

A variant is one algorithm for the convolution. It has forward(x, w, g), backward_x(dy, w, g) and backward_w(dy, x, g),
functions of checked, C-contiguous arrays and a `Geometry`. `Variants` holds those of an edition, the slowest first.
Letters: as in the book.
"""

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

from npse import reference as book
from npse.reference.conv import output_size
from npse.support.names import suggest


class Geometry(NamedTuple):
    """N H W Cin, kh kw Cout, stride, padding, Ho Wo as in the book: integers, which kernels take as one argument."""

    N: int
    H: int
    W: int
    Cin: int
    kh: int
    kw: int
    Cout: int
    stride: int
    padding: int
    Ho: int
    Wo: int

    @classmethod
    def of(cls, x_shape, w_shape, stride, padding):
        """Work out the sizes of a call whose arguments have been checked."""
        kh, kw, _, Cout = w_shape
        Ho, Wo = output_size(x_shape, w_shape, stride, padding)
        return cls(*x_shape, kh, kw, Cout, int(stride), int(padding), Ho, Wo)

    @property
    def x_shape(self):
        return self.N, self.H, self.W, self.Cin

    @property
    def w_shape(self):
        return self.kh, self.kw, self.Cin, self.Cout

    @property
    def y_shape(self):
        return self.N, self.Ho, self.Wo, self.Cout


class Ops(NamedTuple):
    """The three ops of convolution, each with the signature, the checks and the docstring of the book."""

    conv2d: Callable
    conv2d_backward_x: Callable
    conv2d_backward_w: Callable


class Variants(Mapping):
    """The variants of an edition, the slowest first: {name: `Ops`}, and the fastest one that `conv2d` may use.

    Parameters
    ----------
    variants : dict of str to variant, the slowest first
    variable : str
        Name of the environment variable that sets `limit`. If it is not set, the last variant is the limit.
    replaces : function
        The edition's decorator for functions that replace an op of the book.

    Attributes
    ----------
    variants : as given
    limit : str, the fastest variant that may be used

    Raises
    ------
    ValueError
        The environment variable names no variant.
    """

    def __init__(self, variants, variable, replaces):
        self.variants, self._replaces = variants, replaces
        self.limit = os.environ.get(variable, list(variants)[-1])
        if self.limit not in variants:
            raise ValueError(f"{variable} names no variant: {self.limit!r}; {suggest(self.limit, variants)}")
        self._ops = {name: self.ops_of(lambda *_, variant=variant: variant) for name, variant in variants.items()}

    def __getitem__(self, name):
        return self._ops[name]

    def __iter__(self):
        return iter(self._ops)

    def __len__(self):
        return len(self._ops)

    @contextlib.contextmanager
    def limited_to(self, name):
        """Within the ``with`` block convolutions use this variant or a slower one. ValueError: unknown name."""
        if name not in self.variants:
            raise ValueError(f"unknown variant {name!r}; {suggest(name, self.variants)}")
        before, self.limit = self.limit, name
        try:
            yield
        finally:
            self.limit = before

    def lower_of(self, name):
        """Return the name of the slower one of two variants: this one and `limit`."""
        return min(name, self.limit, key=list(self.variants).index)

    def ops_of(self, choose):
        """Make the Ops that run the variant choose(geometry, channels of the result, dtype)."""
        @self._replaces(book.conv2d)
        def conv2d(x, w, stride=1, padding=0):
            g = Geometry.of(x.shape, w.shape, stride, padding)
            return choose(g, g.Cout, x.dtype).forward(x, w, g)

        @self._replaces(book.conv2d_backward_x)
        def conv2d_backward_x(dy, w, x_shape, stride=1, padding=0):
            g = Geometry.of(x_shape, w.shape, stride, padding)
            return choose(g, g.Cin, w.dtype).backward_x(dy, w, g)

        @self._replaces(book.conv2d_backward_w)
        def conv2d_backward_w(dy, x, w_shape, stride=1, padding=0):
            g = Geometry.of(x.shape, w_shape, stride, padding)
            return choose(g, g.Cout, x.dtype).backward_w(dy, x, g)

        return Ops(conv2d, conv2d_backward_x, conv2d_backward_w)
