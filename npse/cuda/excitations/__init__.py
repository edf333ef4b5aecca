"""Structures in place of the two dense layers, on the device: chapters as in the book's folder of this name."""
