"""What the convolutions of all compiled editions have in common: checks, sizes, and ladders of rungs.

A rung is one way to compute a convolution: it has forward(x, w, g), backward_x(dy, w, g) and backward_w(dy, x, g),
functions of checked, C-contiguous arrays and a `Geometry`. A ladder holds the rungs of an edition, the slowest first.
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


class Ladder(Mapping):
    """The rungs of an edition, the slowest first: of each name the `Ops`; and the highest that `conv2d` may take.

    Parameters
    ----------
    rungs : dict of str to rung, the slowest first
    variable : str
        Name of the environment variable that names the highest rung; the last one without it.
    replaces : function
        The edition's decorator of functions that stand in for an op of the book.

    Attributes
    ----------
    rungs : as given
    top : str
    """

    def __init__(self, rungs, variable, replaces):
        self.rungs, self._replaces = rungs, replaces
        self.top = os.environ.get(variable, list(rungs)[-1])
        if self.top not in rungs:
            raise ValueError(f"{variable} names no rung: {self.top!r}; {suggest(self.top, rungs)}")
        self._ops = {name: self.ops_of(lambda *_, rung=rung: rung) for name, rung in rungs.items()}

    def __getitem__(self, name):
        return self._ops[name]

    def __iter__(self):
        return iter(self._ops)

    def __len__(self):
        return len(self._ops)

    @contextlib.contextmanager
    def up_to(self, name):
        """Within the ``with`` block convolutions run on no rung above the one of that name."""
        if name not in self.rungs:
            raise ValueError(f"unknown rung {name!r}; {suggest(name, self.rungs)}")
        before, self.top = self.top, name
        try:
            yield
        finally:
            self.top = before

    def at_most(self, name):
        """Return the lower one of two rungs: that of this name, and `top`."""
        return min(name, self.top, key=list(self.rungs).index)

    def ops_of(self, choose):
        """Make the Ops that run on the rung choose(geometry, channels of the result, dtype)."""
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
