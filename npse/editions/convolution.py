"""What the convolutions of the compiled editions share: the sizes of a call, and the variants of an edition.

A variant is one algorithm for the convolution. It has forward(x, w, g), backward_x(dy, w, g) and backward_w(dy, x, g),
functions of checked, C-contiguous arrays and a `Geometry`. `Variants` holds those of an edition, the slowest first.
Letters: as in the book.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from npse import reference as book
from npse.reference.conv import output_size
from npse.reference.grouped_conv import reach
from npse.support.names import suggest
from npse.types import Array, Op, Shape


class Geometry(NamedTuple):
    """The sizes of a call, integers with the letters of the book; kernels take them as one argument."""

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
    groups: int = 1
    dilation: int = 1

    @classmethod
    def of(cls, x_shape: Shape, w_shape: Shape, stride: int, padding: int, groups: int = 1,
           dilation: int = 1) -> "Geometry":
        """Return the sizes of a call with arguments that have been checked."""
        N, H, W, Cin = x_shape
        kh, kw, _, Cout = w_shape
        Ho, Wo = output_size(x_shape, (reach(kh, dilation), reach(kw, dilation)), stride, padding)
        return cls(N, H, W, Cin, kh, kw, Cout, int(stride), int(padding), Ho, Wo, int(groups), int(dilation))

    @property
    def D(self) -> int:
        """The channels of a filter: those of x in one group."""
        return self.Cin // self.groups

    @property
    def K(self) -> int:
        """The channels of y in one group."""
        return self.Cout // self.groups

    @property
    def x_shape(self) -> Shape:
        """The shape (N, H, W, Cin) of x."""
        return self.N, self.H, self.W, self.Cin

    @property
    def w_shape(self) -> Shape:
        """The shape (kh, kw, D, Cout) of w."""
        return self.kh, self.kw, self.D, self.Cout

    @property
    def y_shape(self) -> Shape:
        """The shape (N, Ho, Wo, Cout) of y."""
        return self.N, self.Ho, self.Wo, self.Cout


class Ops(NamedTuple):
    """The three ops of convolution, each with the signature, the checks and the docstring of the book."""

    conv2d: Op
    conv2d_backward_x: Op
    conv2d_backward_w: Op


class Variants(Mapping[str, Ops]):
    """The variants of an edition: a mapping from their names to their `Ops`, the slowest first.

    Parameters
    ----------
    variants : dict of str to variant
        The slowest first.
    variable : str
        The environment variable that sets `limit`.
    replaces : function
        The decorator of the edition for functions that replace an op of the book.
    usual : str, optional
        The limit if the environment variable is not set; the last variant if it is not given.

    Attributes
    ----------
    variants : dict of str to variant
    limit : str
        The fastest variant that `conv2d` may use.

    Raises
    ------
    ValueError
        The environment variable does not name a variant.
    """

    def __init__(self, variants: Mapping[str, Any], variable: str,
                 replaces: Callable[..., Callable[[Op], Op]], usual: str | None = None) -> None:
        self.variants, self._replaces = variants, replaces
        self.limit = os.environ.get(variable, usual or list(variants)[-1])
        if self.limit not in variants:
            raise ValueError(f"{variable} must name a variant, but is {self.limit!r}; {suggest(self.limit, variants)}")
        self._ops = {name: self.ops_of(lambda *_, variant=variant: variant) for name, variant in variants.items()}

    def __getitem__(self, name: str) -> Ops:
        return self._ops[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._ops)

    def __len__(self) -> int:
        return len(self._ops)

    @contextlib.contextmanager
    def limited_to(self, name: str) -> Iterator[None]:
        """Within the ``with`` block convolutions use this variant or a slower one; ValueError if it is unknown."""
        if name not in self.variants:
            raise ValueError(f"unknown variant {name!r}; {suggest(name, self.variants)}")
        before, self.limit = self.limit, name
        try:
            yield
        finally:
            self.limit = before

    def up_to_limit(self) -> list[str]:
        """Return the names of the variants that convolutions may use, the slowest first."""
        names = list(self.variants)
        return names[:names.index(self.limit) + 1]

    def lower_of(self, name: str) -> str:
        """Return the name of the slower one of two variants: this one and `limit`."""
        return min(name, self.limit, key=list(self.variants).index)

    def ops_of(self, choose: Callable[..., Any]) -> Ops:
        """Return the `Ops` that run the variant ``choose(geometry, channels of the result, dtype)``."""
        @self._replaces(book.conv2d, recordable=True)
        def conv2d(x: Array, w: Array, stride: int = 1, padding: int = 0) -> Array:
            g = Geometry.of(x.shape, w.shape, stride, padding)
            return choose(g, g.Cout, x.dtype).forward(x, w, g)

        @self._replaces(book.conv2d_backward_x, recordable=True)
        def conv2d_backward_x(dy: Array, w: Array, x_shape: Shape, stride: int = 1, padding: int = 0) -> Array:
            g = Geometry.of(x_shape, w.shape, stride, padding)
            return choose(g, g.Cin, w.dtype).backward_x(dy, w, g)

        @self._replaces(book.conv2d_backward_w, recordable=True)
        def conv2d_backward_w(dy: Array, x: Array, w_shape: Shape, stride: int = 1, padding: int = 0) -> Array:
            g = Geometry.of(x.shape, w_shape, stride, padding)
            return choose(g, g.Cout, x.dtype).backward_w(dy, x, g)

        return Ops(conv2d, conv2d_backward_x, conv2d_backward_w)
