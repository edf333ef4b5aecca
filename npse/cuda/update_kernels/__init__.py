"""Kernels that update many parameters at once, in place."""
