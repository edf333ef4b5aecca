"""Static check of a student's file: it imports only allowed modules and does not change NumPy."""

import ast
import collections
import contextlib

_LIBRARIES = ("npse", "torch", "jax", "autograd", "tensorflow", "keras", "mxnet", "chainer", "mygrad", "micrograd",
              "tinygrad", "minitorch", "theano", "pytensor", "cupy", "scipy", "sympy", "sklearn", "cv2")
_SYSTEM = ("ctypes", "cffi", "subprocess", "_posixsubprocess", "multiprocessing", "socket", "importlib.util")
FORBIDDEN = {"numpy": (*_LIBRARIES, "numba"), "numba": _LIBRARIES, "cuda": _LIBRARIES}     # to everybody, NumPy too
TOOLS = {"numpy": "NumPy alone", "numba": "NumPy and Numba", "cuda": "NumPy and numba.cuda"}
OF_NUMBERS = ("range", "prange", "len", "int", "float", "min", "max", "abs", "float32", "float64", "zeros", "empty",
              "zeros_like", "empty_like", "reshape", "ravel")
MAX_CHARACTERS = 200_000     # in a file


def static_check(cells, file, tools="numpy"):
    """Find the first thing in the code that the exercise does not allow.

    Parameters
    ----------
    cells : sequence of str
        Python code. In a notebook, a cell with a forbidden import or an error of syntax is not refused here: it fails
        when it runs, and the other cells count.
    file : str
        File name for the message.
    tools : str
        What the code may import: a key of `TOOLS`.

    Returns
    -------
    str
        A message of one line; "" if all is allowed.
    """
    if sum(map(len, cells)) > MAX_CHARACTERS:
        return f"{file} is longer than {MAX_CHARACTERS} characters; hand in the exercise alone"
    for cell in cells:
        try:
            tree = ast.parse(cell)
        except SyntaxError as error:
            if len(cells) > 1:                                   # in a notebook other cells may still earn points
                continue
            return f"SyntaxError: {error.msg} (line {error.lineno})"
        except (ValueError, RecursionError, MemoryError) as error:
            return f"{file} cannot be read as Python: {str(error) or type(error).__name__}"
        for node in _always_run(tree) if len(cells) == 1 else ():
            if found := _imported(node, (*FORBIDDEN[tools], *_SYSTEM)):
                return (f"line {node.lineno} imports {found}: this exercise is done by hand, with {TOOLS[tools]}; "
                        "remove the import")
        if found := _patched(tree):
            return f"line {found.lineno} changes NumPy ({ast.unparse(found)[:60]}): leave it as it is"
    return ""


def function_in(cells, name):
    """Return the syntax tree of the last definition of a function. Raise ValueError if there is none."""
    found = None
    for cell in cells:
        with contextlib.suppress(SyntaxError):
            found = next((node for node in reversed(ast.parse(cell).body)
                          if isinstance(node, ast.FunctionDef) and node.name == name), found)
    if found is None:
        raise ValueError(f"there is no function {name} in the file")
    return found


def decorated_by(function, cells, *wanted):
    """Return whether a function has one of these decorators, such as ``numba.njit``, under any name.

    A name that the code binds in another way too, such as a function ``njit`` of its own, is not the library's.
    """
    imported, own = _bindings(cells)
    for decorator in function.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        path = []
        while isinstance(target, ast.Attribute):
            path.insert(0, target.attr)
            target = target.value
        name = getattr(target, "id", "")
        if name not in own and ".".join([imported.get(name, ""), *path]) in wanted:
            return True
    return False


def bound_only_as_function(cells, name):
    """Return whether every binding of a name in the code is a definition of a function."""
    return name not in _bindings(cells, functions=False)[1] and name not in _bindings(cells)[0]


def _bindings(cells, functions=True):
    """Return the names that the code imports, with what they stand for, and the names that it binds in other ways."""
    imported, own = {}, set()
    for cell in cells:
        with contextlib.suppress(SyntaxError):
            for node in ast.walk(ast.parse(cell)):
                if isinstance(node, ast.Import):
                    imported |= {alias.asname or alias.name.split(".")[0]: alias.name if alias.asname
                                 else alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    imported |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
                elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                    own |= {node.name} if functions or isinstance(node, ast.ClassDef) else set()
                elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                    own.add(node.id)
    return imported, own


def whole_array_operation(function, cells, seen=None):
    """Find an operation on whole arrays in a kernel, or in a function of the file that it calls.

    Return its node, or None. Allowed are loops, numbers and single entries: calls of ``range`` and of functions of
    numbers, new arrays, and other shapes of the same array. Functions in the set ``seen`` are not looked at again.
    """
    seen = set() if seen is None else seen
    for node in ast.walk(ast.Module(function.body, [])):
        if isinstance(node, ast.Slice) or (isinstance(node, ast.Constant) and node.value is Ellipsis):
            return function
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name in OF_NUMBERS:
            continue
        try:
            helper = function_in(cells, name)
        except ValueError:
            return node
        if isinstance(node.func, ast.Attribute):
            return node
        if name not in seen:
            seen.add(name)
            if whole_array_operation(helper, cells, seen):
                return node
    return None


def _always_run(tree):
    """Yield the nodes of a tree, without what never runs here (`if __name__`) and without what may fail (`try`)."""
    waiting = collections.deque([tree])
    while waiting:
        node = waiting.popleft()
        yield node
        if isinstance(node, ast.If) and _asks_for_main(node.test):
            waiting += node.orelse
        elif isinstance(node, ast.Try) and node.handlers:
            waiting += [*node.orelse, *node.finalbody]
        else:
            waiting += ast.iter_child_nodes(node)


def _asks_for_main(test):
    if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], ast.Eq):
        return False
    sides = {getattr(side, "id", getattr(side, "value", None)) for side in (test.left, *test.comparators)
             if isinstance(side, (ast.Name, ast.Constant))}
    return sides == {"__name__", "__main__"}


def _imported(node, forbidden):
    names = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and not node.level:
        names = [node.module or ""]
    return next((name for name in names if name.split(".")[0] in forbidden or name in forbidden), "")


def _patched(tree):
    """Find an assignment to an attribute of NumPy or of a module inside it. Return its node, or None."""
    aliases = {alias.asname or alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import)
               for alias in node.names if alias.name.split(".")[0] == "numpy"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load) and _root(node) in aliases:
            return node
        if (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("setattr", "delattr")
                and node.args and _root(node.args[0]) in aliases):
            return node
    return None


def _root(node):
    while isinstance(node, ast.Attribute):
        node = node.value
    return getattr(node, "id", None)
