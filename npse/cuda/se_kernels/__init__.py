"""The kernels of the squeeze-and-excitation block that are too long for its chapter."""
