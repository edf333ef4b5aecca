"""The sizes of one convolution, checked once and handed to whichever rung computes it."""

from dataclasses import dataclass

import numpy as np

from npse.reference.conv import output_size


@dataclass(frozen=True)
class Geometry:
    """N H W Cin, kh kw Cout, stride, padding, Ho Wo as in the book, and the dtype."""

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
    dtype: np.dtype

    @classmethod
    def of(cls, op, x_shape, w_shape, stride, padding, dtype):
        """Work out the output's size; raise ValueError if stride, padding or the filter's size do not fit the map."""
        Ho, Wo = output_size(op, x_shape, w_shape, stride, padding)
        kh, kw, _, Cout = w_shape
        return cls(*x_shape, kh, kw, Cout, int(stride), int(padding), Ho, Wo, dtype)

    @property
    def x_shape(self):
        return self.N, self.H, self.W, self.Cin

    @property
    def w_shape(self):
        return self.kh, self.kw, self.Cin, self.Cout

    @property
    def y_shape(self):
        return self.N, self.Ho, self.Wo, self.Cout
