"""The variants of the convolution, the slowest first: loops, im2col, direct, Winograd."""
