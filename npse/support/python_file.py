"""Running a Python file of the user by its path."""

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType


def run_python_file(path: Path) -> ModuleType:
    """Run a Python file and return it as a module; it can import the files beside it.

    As after an import, the module stays in `sys.modules`: dataclasses, pickles and type hints look it up there.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file, a name that does not end in .py, a syntax error, or an exception (or `sys.exit`) while the file
        runs.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; expected a Python file, such as my_ops.py")
    spec = importlib.util.spec_from_file_location(_module_name(path), path)
    if spec is None or spec.loader is None or path.suffix != ".py":
        raise ValueError(f"{path} is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(spec.name)
    sys.modules[spec.name] = module
    try:
        with imports_beside(path):
            spec.loader.exec_module(module)
    except BaseException as error:
        _put_back(spec.name, before)
        if isinstance(error, KeyboardInterrupt):
            raise
        raise _explained(path, error) from error
    return module


@contextlib.contextmanager
def imports_beside(path: Path) -> Iterator[None]:
    """Inside the block, the files beside ``path`` can be imported."""
    folder = str(path.parent.resolve())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):                     # the file may have changed sys.path itself
            sys.path.remove(folder)


def _module_name(path: Path) -> str:
    """The name of the file, unless a module of Python or of another file has it."""
    known = sys.modules.get(path.stem)
    is_taken = known is not None and getattr(known, "__file__", None) != str(path)
    return f"{path.stem}_file" if is_taken or path.stem in sys.stdlib_module_names else path.stem


def _put_back(name: str, before: ModuleType | None) -> None:
    if before is None:
        sys.modules.pop(name, None)
    else:
        sys.modules[name] = before


def _explained(path: Path, error: BaseException) -> ValueError:
    """What is reported instead of an error while the file runs."""
    if isinstance(error, SyntaxError):
        return ValueError(f"{path}, line {error.lineno}: {error.msg}")
    if isinstance(error, SystemExit):
        return ValueError(f"{path} ends the program when it is run (sys.exit, unittest.main, argparse ...): move that "
                          'line below if __name__ == "__main__":')
    return ValueError(f"{path} raises {type(error).__name__} when it is run: {error}")
