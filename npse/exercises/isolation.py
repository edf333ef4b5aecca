"""Isolates the process of a student's code by the Linux kernel. It is loaded by the worker, which knows no npse.

Two protections, each used if the kernel offers it:

* namespaces: the process has a user, a file system, processes and a network of its own. The file system contains
  Python and its packages, to read, without the folders of npse; and one empty folder, to write.
* a filter of system calls (seccomp): no other program can be started, no process made, no connection opened, no other
  process reached, and no owner, mode or time of a file changed.
"""

import contextlib
import ctypes
import os
import platform
import signal
import struct
import sys

SCRATCH = "/scratch"         # the folder in which the code may write, inside the new file system
SPACE = "size=64m,mode=700"  # of the files in it
NAMESPACES = {"mount": 0x20000, "ipc": 0x8000000, "user": 0x10000000, "pid": 0x20000000, "net": 0x40000000}
DEVICES = ("/dev/null", "/dev/urandom")
_BIND, _RECURSIVE, _PRIVATE, _NOSUID_NODEV, _DETACH = 0x1000, 0x4000, 0x40000, 0x6, 0x2
_PDEATHSIG, _CAPBSET_DROP, _NO_NEW_PRIVS, _SECCOMP = 1, 24, 38, 22
_MOUNT_SETATTR, _AT_RECURSIVE, _READ_ONLY, _CAPSET, _PIVOT_ROOT = 442, 0x8000, 0x1, {"x86_64": 126, "aarch64": 91}, \
    {"x86_64": 155, "aarch64": 41}

# System calls that are refused, as numbers on (x86_64, aarch64).
REFUSED = {
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kill": (62, 129), "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438), "socket": (41, 198), "connect": (42, 203),
    "bind": (49, 200), "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "mount_setattr": (442, 442), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219), "open_by_handle_at": (304, 265), "kcmp": (312, 272), "process_madvise": (440, 440),
    "process_mrelease": (448, 448), "migrate_pages": (256, 238), "move_pages": (279, 239), "setpriority": (141, 140),
    "ioprio_set": (251, 30), "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "setxattr": (188, 5),
    "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15),
    "fremovexattr": (199, 16), "utime": (132, None), "utimes": (235, None), "futimesat": (261, None),
    "utimensat": (280, 88), "setsid": (112, 157), "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190)}
MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}     # audit architecture, column of REFUSED
_CLONE, _CLONE3, _TGKILL, _PRLIMIT = (56, 220), 435, (234, 131), (302, 261)
_CLONE_THREAD, _X32 = 0x10000, 0x40000000
_LOAD, _EQUAL, _ABOVE, _BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _DENY, _ABSENT = 0x7FFF0000, 0x00050001, 0x00050026              # run it, EPERM, ENOSYS


def enter(readable, hidden, folder):
    """Put this process into namespaces of its own. It continues in a child process; the parent waits for its end.

    Parameters
    ----------
    readable : sequence of str
        Folders and files that stay visible.
    hidden : sequence of str
        Folders in them that become empty.
    folder : str
        An empty folder, under which the new file system is built.

    Returns
    -------
    str
        Why the system does not offer this; then nothing has changed. "" if it does.

    Raises
    ------
    OSError
        The system offers namespaces, but a step failed. Then the process must not run a student's code.
    """
    if sys.platform != "linux" or platform.machine() not in MACHINES:
        return f"there are no namespaces on {platform.system()} {platform.machine()}"
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(sum(NAMESPACES.values())):
        return f"the system refuses user namespaces ({os.strerror(ctypes.get_errno())})"
    end_with_parent()                                            # a change of the user cancels it
    for file, text in (("setgroups", "deny"), ("uid_map", f"1000 {user} 1"), ("gid_map", f"1000 {group} 1")):
        with open(f"/proc/self/{file}", "w") as kernel:
            kernel.write(text)
    _new_file_system(libc, readable, hidden, folder)
    _continue_in_child(libc)
    _drop_privileges(libc)
    return ""


def _new_file_system(libc, readable, hidden, root):
    _mount(libc, None, "/", None, _RECURSIVE | _PRIVATE)
    _mount(libc, "tmpfs", root, "tmpfs", _NOSUID_NODEV, "size=1m,mode=755")
    shown = []
    for path in (*sorted(path.rstrip("/") for path in readable), *DEVICES):
        if not path or not os.path.exists(path) or path.startswith(tuple(f"{other}/" for other in shown)):
            continue
        target = root + path
        if os.path.isdir(path):
            os.makedirs(target, exist_ok=True)
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            open(target, "x").close()
        _mount(libc, path, target, None, _BIND | _RECURSIVE)
        if path not in DEVICES:
            _read_only(libc, target, _AT_RECURSIVE)
        shown.append(path)
    for path in hidden:
        if os.path.isdir(target := root + path.rstrip("/")):
            _mount(libc, "tmpfs", target, "tmpfs", _NOSUID_NODEV, "size=4k,mode=555")
    os.makedirs(root + SCRATCH)
    _mount(libc, "tmpfs", root + SCRATCH, "tmpfs", _NOSUID_NODEV, SPACE)
    _read_only(libc, root, 0)                                    # the folders that lead to what is shown
    os.chdir(root)
    _expect(libc.syscall(_PIVOT_ROOT[platform.machine()], b".", b"."))
    _expect(libc.umount2(b".", _DETACH))
    os.chdir(SCRATCH)


def _continue_in_child(libc):
    """Return in a grandchild, in the new process namespace. The child, its process 1, and this process wait."""
    if child := os.fork():
        os.closerange(0, 64)
        code = _code_of(os.waitpid(child, 0)[1])
        if code > 128:
            with contextlib.suppress(OSError):
                signal.signal(code - 128, signal.SIG_DFL)
            with contextlib.suppress(OSError):
                os.kill(os.getpid(), code - 128)
        os._exit(code)
    libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)              # then the kernel ends all processes of the namespace
    if grandchild := os.fork():
        os.closerange(0, 64)
        while (ended := os.wait())[0] != grandchild:
            pass
        os._exit(_code_of(ended[1]))


def _code_of(status):
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _drop_privileges(libc):
    for capability in range(64):
        libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0)
    header, none = struct.pack("Ii", 0x20080522, 0), struct.pack("6I", 0, 0, 0, 0, 0, 0)
    _expect(libc.syscall(_CAPSET[platform.machine()], header, none))


def end_with_parent():
    """Let the kernel kill this process when its parent ends, on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def refuse_system_calls():
    """Refuse some system calls from now on. Return "", or why the system does not offer this."""
    if sys.platform != "linux" or platform.machine() not in MACHINES:
        return f"there is no filter of system calls on {platform.system()} {platform.machine()}"
    libc, program = ctypes.CDLL(None, use_errno=True), _filter()
    code = ctypes.create_string_buffer(program, len(program))
    table = struct.pack("HxxxxxxQ" if struct.calcsize("P") == 8 else "HxxI", len(program) // 8, ctypes.addressof(code))
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_SECCOMP, 2, table, 0, 0):
        return f"the system refuses a filter of system calls ({os.strerror(ctypes.get_errno())})"
    return ""


def _filter():
    """Return the program of the filter, for the kernel's packet filter machine."""
    architecture, column = MACHINES[platform.machine()]

    def step(code, value, right=0, wrong=0):
        return struct.pack("HBBI", code, right, wrong, value)

    def answer(number, verdict):
        return [step(_EQUAL, number, 0, 1), step(_RETURN, verdict)]

    def only_if(number, argument, test, value):
        return [step(_EQUAL, number, 0, 4), step(_LOAD, 16 + 8 * argument), step(test, value, 0, 1),
                step(_RETURN, _ALLOW), step(_RETURN, _DENY)]

    program = [step(_LOAD, 4), step(_EQUAL, architecture, 1, 0), step(_RETURN, _DENY), step(_LOAD, 0),
               step(_ABOVE, _X32, 0, 1), step(_RETURN, _DENY)]
    for numbers in REFUSED.values():
        if numbers[column] is not None:
            program += answer(numbers[column], _DENY)
    program += answer(_CLONE3, _ABSENT)                          # the C library then uses clone, whose flags are seen
    program += only_if(_CLONE[column], 0, _BITS, _CLONE_THREAD)
    program += only_if(_TGKILL[column], 0, _EQUAL, os.getpid())  # a process may end itself
    program += only_if(_PRLIMIT[column], 0, _EQUAL, 0)
    return b"".join([*program, step(_RETURN, _ALLOW)])


def _mount(libc, source, target, kind, flags, options=""):
    _expect(libc.mount(source and os.fsencode(source), os.fsencode(target), kind and kind.encode(),
                       ctypes.c_ulong(flags), options.encode() or None))


def _read_only(libc, target, flags):
    attributes = struct.pack("QQQQ", _READ_ONLY, 0, 0, 0)
    _expect(libc.syscall(_MOUNT_SETATTR, -100, os.fsencode(target), flags, attributes, len(attributes)))


def _expect(result):
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
