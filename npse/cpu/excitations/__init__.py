"""Structures in place of the two dense layers, on all cores: chapters as in the book's folder of this name."""
