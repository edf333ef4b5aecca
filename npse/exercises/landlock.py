"""Confines the process of a student's code to some files by Landlock, where namespaces cannot be had.

Landlock is a part of Linux since 5.13 that needs no privileges, and most containers allow it. From then on the process
opens, lists, makes and removes only what the rules allow. It still sees whether a file exists. The worker loads this
file; npse does not exist for it.
"""

import ctypes
import os
import platform
import struct
import sys

MACHINES = ("x86_64", "aarch64")                 # they have the same numbers for these system calls
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION, _BENEATH, _NO_NEW_PRIVS = 1, 1, 38
_EXECUTE, _WRITE, _READ, _LIST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_ACTIONS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}   # how many actions on files each version knows; later ones as 5
_TCP, _SIGNALS_AND_SOCKETS = 0b11, 0b11          # since versions 4 and 6
DEVICES = ("/dev/null", "/dev/urandom")


def restrict(readable, hidden, folder):
    """Confine this process: ``readable`` can be read, ``folder`` be changed, and nothing else.

    Parameters
    ----------
    readable : sequence of str
        Folders and files.
    hidden : sequence of str
        Folders whose files cannot be read, although they may lie in readable ones.
    folder : str

    Returns
    -------
    str
        Why the system does not offer this; then nothing has changed. "" if it does.
    """
    if sys.platform != "linux" or platform.machine() not in MACHINES:
        return f"there is no Landlock on {platform.system()} {platform.machine()}"
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION)
    if version < 1:
        return f"the system has no Landlock ({os.strerror(ctypes.get_errno())})"
    every = (1 << _ACTIONS[min(version, 5)]) - 1
    known = 8 * (1 + (version >= 4) + (version >= 6))           # bytes of the description that this version knows
    rules = struct.pack("QQQ", every, _TCP, _SIGNALS_AND_SOCKETS)[:known]
    ruleset = libc.syscall(_CREATE, rules, ctypes.c_size_t(len(rules)), 0)
    if ruleset < 0:
        return f"the system refuses Landlock ({os.strerror(ctypes.get_errno())})"
    for path in readable:
        _allow(libc, ruleset, path, _LIST)
        for part in _parts(path.rstrip("/"), [other.rstrip("/") for other in hidden]):
            _allow(libc, ruleset, part, _READ | _LIST)
    for path in DEVICES:
        _allow(libc, ruleset, path, _READ | _WRITE)
    _allow(libc, ruleset, folder, every & ~_EXECUTE)
    refused = libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(_RESTRICT, ruleset, 0)
    os.close(ruleset)
    return f"the system refuses Landlock ({os.strerror(ctypes.get_errno())})" if refused else ""


def _parts(path, hidden):
    """Yield the path, or if something in it is hidden, all else in it."""
    if path in hidden:
        return
    if not any(other.startswith(f"{path}/") for other in hidden):
        yield path
        return
    try:
        inside = [entry.path for entry in os.scandir(path or "/")]
    except OSError:                                              # what cannot be listed cannot be shown in part
        return
    for entry in inside:
        yield from _parts(entry, hidden)


def _allow(libc, ruleset, path, actions):
    """Allow some actions in a folder, or on a file. What does not exist is left out."""
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not os.path.isdir(path):
        actions &= _READ | _WRITE                                # the others are for folders
    if actions:
        libc.syscall(_ADD, ruleset, _BENEATH, struct.pack("=Qi", actions, place), 0)
    os.close(place)
