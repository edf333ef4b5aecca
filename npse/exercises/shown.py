"""Takes the place of what a program shows: plots, widgets, displays. A check shows nothing, so nothing is loaded.

The worker loads this file; npse does not exist for it.
"""

import importlib.machinery
import types

MODULES = ("matplotlib", "mpl_toolkits", "pylab", "seaborn", "plotly", "IPython", "ipywidgets", "google")


class Nothing:
    """Stands for what a program shows: plots, widgets, displays. It can be called and used like them, and does nothing.
    """

    def __init__(self, parts=2):
        self._parts = parts

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing(3 if name == "hist" else 2)

    def __call__(self, *arguments, **options):
        return Nothing(self._parts)

    def __getitem__(self, place):
        return Nothing()

    def __setitem__(self, place, value):
        pass

    def __iter__(self):                                          # as in: fig, ax = plt.subplots()
        return iter([Nothing() for _ in range(self._parts)])

    def __enter__(self):
        return Nothing()

    def __exit__(self, *exception):
        pass


class Module(types.ModuleType):
    """A module of `MODULES`: all that it contains is `Nothing`."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Nothing(3 if name == "hist" else 2)


class Finder:
    """Finds the modules that only show something. They are not loaded, because a check shows nothing."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] in MODULES:
            return importlib.machinery.ModuleSpec(name, Finder, is_package=True)
        return None

    @staticmethod
    def create_module(spec):
        return Module(spec.name)

    @staticmethod
    def exec_module(module):
        pass
