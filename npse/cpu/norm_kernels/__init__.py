"""The kernels of batch norm that are too long for its chapter."""
