"""The variants of the convolution, the slowest first: naive, tiled, register."""
