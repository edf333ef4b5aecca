"""The kernels that update parameters and running statistics in place."""
