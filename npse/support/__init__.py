"""Helpers that every package may use and that know no package: machine, files, names, looks."""
