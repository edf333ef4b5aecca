"""The first line of defence in the process of a student's code: audit hooks that refuse with a clear message.

It explains to a student what an exercise does not allow. It is no wall, as a program can get around hooks in its own
process: the wall is `isolation`. The worker loads this file; npse does not exist for it.
"""

import os
import sys

MOST_FILES = 20              # that the code may write into its own folder

# Audit events, which the interpreter itself raises (PEP 578). Changing names or sys.modules does not avoid them.
PROCESSES = ("subprocess.", "os.system", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "os.kill", "pty.",
             "socket.connect", "socket.bind", "socket.getaddrinfo", "resource.setrlimit", "resource.prlimit",
             "gc.get_objects", "gc.get_referrers", "signal.pthread_kill")
FILES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
         "os.chown", "shutil.")
OWN_FILES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "shutil.rmtree")      # allowed in the code's own folder


def guard(forbidden, private, readable, tools, own):
    """Refuse imports of ``forbidden``, reading outside of ``readable`` or inside ``private``, writing, and processes.

    Opening the files of a forbidden library is refused too: a file is refused if a folder on its path, below the
    innermost readable folder (such as site-packages), has the name of a forbidden library. In the folder ``own`` the
    code may write a few files.
    """
    processes, files, own_files, by_hand = PROCESSES, FILES, OWN_FILES, tools == "NumPy alone"
    own, written, most = os.path.join(os.path.realpath(own), ""), [], MOST_FILES
    # The code may replace names of modules that it can reach, so the hook keeps its own.
    is_a, text_of, absolute, resolved, null = isinstance, os.fsdecode, os.path.abspath, os.path.realpath, os.devnull

    def hook(event, arguments):
        if event == "import" and arguments[0].split(".")[0] in forbidden:
            _refuse_import(arguments[0].split(".")[0])
        if event == "open":
            if type(arguments[0]) in (str, bytes):
                _refuse_opening(absolute(text_of(arguments[0])), arguments[1], arguments[2])
            elif arguments[0] is not None and not is_a(arguments[0], int):
                raise PermissionError("the code must name a file by a text")
        elif event.startswith(processes):
            raise PermissionError(f"the code must use no processes and no connections ({event})")
        elif event.startswith(files) and not _inside_own(event, arguments):
            raise PermissionError(f"the code must not change files ({event})")
        elif by_hand and event.startswith("ctypes."):
            raise PermissionError("the code must not call C libraries")

    def _refuse_import(name):
        raise ImportError(f"{name} is not allowed in this exercise, neither imported here nor by a library: "
                          f"do it by hand, with {tools}")

    def _inside_own(event, arguments):
        paths = arguments[:2] if event == "os.rename" else arguments[:1]
        return (event in own_files and arguments[-1] in (-1, None) and (event != "os.rename" or arguments[-2] == -1)
                and all(type(path) is str and resolved(path).startswith(own) for path in paths))

    def _refuse_opening(path, mode, flags):
        if path == null:
            return
        writes = (mode and set(str(mode)) & set("wax+")) or (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if os.path.join(resolved(path), "").startswith(own):
            written.extend([path] * bool(writes))
            if len(written) > most:
                raise PermissionError(f"the code must not write more than {most} files")
            return
        if writes:
            raise PermissionError(f"the code must not write files ({os.path.basename(path)})")
        if path.startswith(private):
            _refuse_import("npse")
        homes = [folder for folder in readable if path.startswith(folder)]
        if not homes:
            raise PermissionError(f"the code must not read files ({os.path.basename(path)})")
        inside = path.removeprefix(max(homes, key=len))           # folders above may have any name
        if found := forbidden.intersection(inside.split(os.sep)):
            _refuse_import(min(found))

    class Refusing:
        """A finder: `importlib.import_module` raises no audit event."""

        @staticmethod
        def find_spec(name, path=None, target=None):
            if name.split(".")[0] in forbidden:
                _refuse_import(name.split(".")[0])

    sys.meta_path.insert(0, Refusing)
    sys.addaudithook(hook)
