"""Running a Python file of the user by its path."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def run_python_file(path: Path) -> ModuleType:
    """Run a Python file and return it as a module; it can import the files beside it.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file, a name that does not end in .py, a syntax error, or an exception while the file runs.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; expected a Python file, such as my_ops.py")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or path.suffix != ".py":
        raise ValueError(f"{path} is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.resolve()))              # for imports of files beside it
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ValueError(f"{path}, line {error.lineno}: {error.msg}") from error
    except Exception as error:
        raise ValueError(f"{path} raises {type(error).__name__} when it is run: {error}") from error
    finally:
        sys.path.pop(0)
    return module
