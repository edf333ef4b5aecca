"""Kernels of the squeeze-and-excitation block that are too long for the chapter se.py."""
