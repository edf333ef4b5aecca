"""The system isolates a student's code: attacks that go around the guard find no solution, process, network or file."""

import os
import subprocess
import sys
import time

import pytest

import npse
from npse.exercises import find, sandbox
from npse.exercises.annotated import ANSWER, SOURCE
from npse.exercises.check import check
from npse.exercises.sandbox import Sandbox
from npse.exercises.submission import Submission

SQUEEZE = find("squeeze")
SOLUTION = SOURCE / "03_squeeze.py"
MISSING = sandbox.missing_protections()
isolated = pytest.mark.skipif(bool(MISSING), reason=f"this system offers less: {'; '.join(MISSING)}")


@pytest.fixture
def wall(request, monkeypatch):
    """Isolate by namespaces, or by Landlock alone; skip where the system does not offer it."""
    if request.param == "Landlock":
        monkeypatch.setattr(sandbox, "_refusals", ["no namespaces in this test"])
    if missing := sandbox.missing_protections():
        pytest.skip("; ".join(missing))


@pytest.fixture
def no_wall(monkeypatch):
    monkeypatch.setattr(sandbox, "_refusals", ["no namespaces in this test"])
    monkeypatch.setattr(sandbox, "CONFINED", False)


# Ways around the guard: each runs the solution's source if it can get it.
READING = {
    "FileIO of a Path": "import io, pathlib\nexec(io.FileIO(pathlib.Path({file!r})).read())",
    "abspath replaced": "import os\nos.path.abspath = lambda path: '/usr/lib/x'\nexec(open({file!r}).read())",
    "isinstance replaced": "import builtins\nbuiltins.isinstance = lambda *a: False\nexec(open({file!r}).read())",
    "realpath replaced": "import os\nos.path.realpath = lambda p: os.getcwd() + '/x'\nexec(open({file!r}).read())",
    "readline": "import readline\nreadline.read_history_file({file!r})\n"
                "exec('\\n'.join(readline.get_history_item(i + 1) "
                "for i in range(readline.get_current_history_length())))",
    "a link in the code's own folder": "import os\nos.symlink({file!r}, 'x')\nexec(open('x').read())",
    "the loader of a module": "import importlib.util as u\ns = u.spec_from_file_location('m', {file!r})\n"
                              "m = u.module_from_spec(s)\ns.loader.exec_module(m)\nsqueeze = m.squeeze",
    "linecache": "import linecache\nexec(''.join(linecache.getlines({file!r})))",
    "mmap of NumPy": "import numpy as np\nexec(np.memmap({file!r}, mode='r').tobytes())",
    "fromfile": "import numpy as np\nexec(np.fromfile({file!r}, np.uint8).tobytes())",
    "sqlite": "import sqlite3\nsqlite3.connect({file!r}).execute('select 1')",
    "zipimport of the package": "import sys\nsys.path.insert(0, {home!r})\nfrom npse.reference import *",
    "pkgutil": "import pkgutil\nexec(pkgutil.get_data('npse.exercises', 'source/03_squeeze.py'))",
    "the frames of the worker": "import sys\nframe = sys._getframe()\nwhile frame.f_back:\n    frame = frame.f_back\n"
                                "squeeze = frame.f_globals['npse'].reference.squeeze",
}

# C code raises no audit event where numba is allowed: only the system stands in the way. Each must print "refused".
LIBC = "import sys\nlibc = __import__('ctypes').CDLL(None, use_errno=True)\nimport os\n"
CALLS = {
    "a shell": "print('refused' if libc.system(b'true') != 0 else 'done')",
    "fork": "print('refused' if libc.fork() == -1 else 'done')",
    "execve": "print('refused' if libc.execv(b'/bin/true', None) == -1 else 'done')",
    "a connection": "print('refused' if libc.socket(2, 1, 0) == -1 else 'done')",
    "a local socket": "print('refused' if libc.socket(1, 1, 0) == -1 else 'done')",
    "ptrace": "print('refused' if libc.ptrace(16, 1, 0, 0) == -1 else 'done')",
    "kill": "print('refused' if libc.kill(1, 9) == -1 else 'done')",
    "kill everything": "print('refused' if libc.kill(-1, 9) == -1 else 'done')",
    "pidfd": "print('refused' if libc.syscall(434, os.getppid(), 0) == -1 else 'done')",
    "prlimit of another": "print('refused' if libc.prlimit(1, 0, None, None) == -1 else 'done')",
    "mount": "print('refused' if libc.mount(b'tmpfs', b'/scratch', b'tmpfs', 0, None) == -1 else 'done')",
    "unshare": "print('refused' if libc.unshare(0x10000000) == -1 else 'done')",
    "setsid": "print('refused' if libc.setsid() == -1 else 'done')",
    "io_uring": "print('refused' if libc.syscall(425, 1, 0) == -1 else 'done')",
    "keys": "number = 250 if os.uname().machine == 'x86_64' else 219\n"
            "print('refused' if libc.syscall(number, 0, -3, 1) == -1 else 'done')",
    "shared memory": "print('refused' if libc.shmget(1, 4096, 0o1666) == -1 else 'done')",
    "a file of Python": "print('refused' if libc.open(os.__file__.encode(), 2) == -1 else 'done')",
    "the judge's memory": "print('refused' if libc.open(b'/proc/%d/mem' % os.getppid(), 0) == -1 else 'done')",
    "unlink": "print('refused' if libc.unlink(os.__file__.encode()) == -1 else 'done')",
    "a mode": "print('refused' if libc.chmod(os.__file__.encode(), 0) == -1 else 'done')",
    "a time": "print('refused' if libc.utimes(os.__file__.encode(), None) == -1 else 'done')",
    "an owner": "print('refused' if libc.chown(os.__file__.encode(), 7, 7) == -1 else 'done')",
    "a new file elsewhere": "print('refused' if libc.open(b'/tmp/npse-test-x', 0o101, 0o600) == -1 else 'done')",
    "a list of files": "print('refused' if not libc.opendir(b'/var') else 'done')",
    "the root": "print('refused' if libc.open(b'/etc/passwd', 0) == -1 else 'done')",
}


@pytest.mark.usefixtures("wall")
@pytest.mark.parametrize("wall", ["namespaces", pytest.param("Landlock", marks=pytest.mark.slow)], indirect=True)
@pytest.mark.parametrize("way", READING)
def test_the_solution_is_not_there(way):
    code = READING[way].format(file=str(SOLUTION), home=str(SOLUTION.parents[3]))
    mark = check(Submission(SQUEEZE, ("import numpy as np\n" + code,), "03_squeeze.py"))
    assert mark.earned == 0, str(mark)


@pytest.mark.usefixtures("wall")
@pytest.mark.parametrize("wall", ["namespaces", "Landlock"], indirect=True)
def test_the_system_refuses_what_c_functions_try():
    pytest.importorskip("numba")
    with Sandbox([LIBC, *CALLS.values()], "12.py", "numba") as box:
        told = dict(zip(CALLS, box.printed.splitlines(), strict=False))
        assert told == dict.fromkeys(CALLS, "refused"), (box.problem, box.ended)


@isolated
def test_neither_npse_nor_the_files_of_others_exist(tmp_path):
    (tmp_path / "05_scale.py").write_text("the work of somebody else")
    places = [os.path.dirname(npse.__file__) + "/exercises", str(tmp_path), os.path.expanduser("~/.ssh"), "/proc/1"]
    with Sandbox([f"import os\nprint([os.path.exists(path) for path in {places}], os.listdir('.'))"], "a.py") as box:
        assert box.printed == f"{[False] * len(places)} []\n", box.problem


@pytest.mark.usefixtures("wall")
@pytest.mark.parametrize("wall", ["namespaces", "Landlock"], indirect=True)
def test_a_file_of_its_own_may_be_written():
    code = ("import tempfile, os\nimport numpy as np\n"
            "np.save('a.npy', np.ones(3))\nassert np.load('a.npy').sum() == 3\n"
            "with tempfile.TemporaryDirectory() as folder, open(folder + '/x', 'w') as file:\n    file.write('text')\n"
            "with tempfile.NamedTemporaryFile() as file:\n    file.write(b'1')\n"
            "os.remove('a.npy')\nprint(os.listdir('.'))")
    with Sandbox([code], "a.py") as box:
        assert (box.problem, box.printed) == ("", "[]\n")


@isolated
def test_an_endless_program_ends_with_the_process_that_started_it(tmp_path):
    code = ("from npse.exercises.sandbox import Sandbox\nimport threading\n"
            "box = threading.Thread(target=Sandbox, args=(['while True: pass'], 'endless.py', 'numpy', 60))\n"
            "box.start()\n")
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, start_new_session=True,
                              env=os.environ | {"PYTHONPATH": os.pathsep.join([str(SOURCE.parents[2]), *sys.path])})
    try:
        assert _within(20, lambda: _programs_of(parent.pid))
    finally:
        children = _programs_of(parent.pid)
        parent.kill()
        parent.wait()
    assert children
    assert _within(5, lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children))


def _programs_of(pid):
    found, waiting = [], [str(pid)]
    while waiting:
        here = waiting.pop()
        for thread in os.listdir(f"/proc/{here}/task"):
            with open(f"/proc/{here}/task/{thread}/children") as file:
                waiting += file.read().split()
        found.append(here)
    return found[1:] if len(found) > 3 else []


def _within(seconds, true):
    latest = time.monotonic() + seconds
    while time.monotonic() < latest:
        if true():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.usefixtures("no_wall")
def test_what_is_missing_is_said():
    assert sandbox.missing_protections()[0] == "no namespaces in this test; Landlock is not used"
    mark = check(Submission(SQUEEZE, (SQUEEZE.as_file(ANSWER),), "03_squeeze.py"))
    assert mark.ok


@pytest.mark.usefixtures("no_wall")
def test_without_isolation_a_class_is_graded_only_with_trust(npse, tmp_path):
    (tmp_path / "class" / "ann").mkdir(parents=True)
    (tmp_path / "class" / "ann" / "03_squeeze.py").write_text(SQUEEZE.as_file(ANSWER))
    code, _, err = npse("exercise", "grade", tmp_path / "class", "--out", tmp_path / "report")
    assert code == 2
    assert "no namespaces in this test" in err
    assert "--trust" in err
    assert npse("exercise", "grade", tmp_path / "class", "--out", tmp_path / "report", "--trust")[0] == 0
