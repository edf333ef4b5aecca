"""A class to grade: honest work in many layouts, right and half right, and hand-ins that attack the grader.

`write_class` writes the folder and returns the points that every student must get.
"""

import gzip
import itertools
import json
import os
from pathlib import Path

from npse.exercises import exercises, find
from npse.exercises.annotated import ANSWER, SOURCE, STUDENT
from npse.exercises.notebook import as_notebook

SQUEEZE, SCALE = find("squeeze"), find("scale")
RIGHT = SCALE.solution_code()
SOLUTION = f"{SOURCE / '05_scale.py'}"
CAUGHT = "except (OSError, ValueError, RuntimeError): pass\n"
EVERY_PROCESS = "import os, signal, resource\nfor pid in range(1, 40000):\n    if pid != os.getpid():\n" \
                "        try: {attack}\n        " + CAUGHT
LIBC = "\nimport sys, os\nlibc = sys.modules['ctypes'].CDLL(None)\n"
WRITE_REPLIES = """
import json, struct, sys
frame = sys._getframe()
while frame:
    if "outbox" in frame.f_locals:
        head = json.dumps({"dict": {"result": 1.0, "arguments": {"tuple": []}, "problem": None, "names": ["scale"]}})
        frame.f_locals["outbox"].write(50 * (struct.pack("<QQ", len(head), 0) + head.encode()))
        frame.f_locals["outbox"].flush()
    frame = frame.f_back
"""

# name: (exercise, the file, points): programs that reach for what is not theirs, and those that must not stop the rest
ATTACKS = {
    # ends or changes the process that judges, or all others
    "pidfd": ("scale", EVERY_PROCESS.format(attack="signal.pidfd_send_signal(os.pidfd_open(pid), 9)"), 0),
    "limit of time": ("scale", EVERY_PROCESS.format(attack="resource.prlimit(pid, resource.RLIMIT_CPU, (1, 1))"), 0),
    "limit of files": ("scale", EVERY_PROCESS.format(attack="resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, 0))"), 0),
    "kill": ("scale", EVERY_PROCESS.format(attack="os.kill(pid, 9)"), 0),
    "kill groups": ("scale", "import os\ntry: os.killpg(0, 9)\n" + CAUGHT + "os.kill(-1, 9)\n", 0),
    "memory of the judge": ("scale", "import io, os, pathlib\n" + EVERY_PROCESS.format(
        attack="io.FileIO(pathlib.Path(f'/proc/{pid}/mem'), 'r+b').write(b'x')"), 0),
    # reads the solution
    "FileIO of a Path": ("scale", f"import io, pathlib\nexec(io.FileIO(pathlib.Path({SOLUTION!r})).read())", 0),
    "abspath": ("scale", f"import os\nos.path.abspath = lambda path: '/usr/lib/x'\nexec(open({SOLUTION!r}).read())", 0),
    "isinstance": ("scale", f"import builtins\nbuiltins.isinstance = lambda *a: 0\nexec(open({SOLUTION!r}).read())", 0),
    "readline": ("scale", f"import readline\nreadline.read_history_file({SOLUTION!r})\n"
                 "exec('\\n'.join(readline.get_history_item(i + 1) "
                 "for i in range(readline.get_current_history_length())))", 0),
    "import by name": ("scale", "r = __import__('np' + 'se').reference\nscale, scale_backward = r.scale, None\n", 0),
    # programs without the lesson
    "no Numba": ("numba_kernel", "import numpy as np\ndef no_jit(function):\n    return function\n\n"
                 "@no_jit\ndef squeeze_kernel(u, z):\n"
                 "    for _ in range(1):\n        z[...] = u.mean(axis=(1, 2))\n", 5),
    "NumPy around an empty kernel": ("cuda_kernel", "import numpy as np\nfrom numba import cuda\n@cuda.jit\n"
                                     "def scale_kernel(u, s, y):\n    pass\ndef scale(u, s):\n"
                                     "    return u * s[:, None, None, :]\n", 0),
    "overflow": ("loss", find("loss").solution_code().replace(" - logits.max(axis=1, keepdims=True)", ""), 0),
    "zeros for w2": ("bug_museum", find("bug_museum").solution_code().replace("np.full((C, M), 1 / M)", "np.zeros(7)"),
                     4),
    # C functions, where a compiler is allowed; the programs are right, and what they try has no effect
    "a shell": ("numba_kernel", find("numba_kernel").solution_code() + LIBC
                + "libc.system(b'touch {target}; rm {victim}')\n", 7),
    "unlink": ("cuda_kernel", find("cuda_kernel").solution_code() + LIBC + "libc.unlink(b'{victim}')\n", 6),
    "a process that stays": ("numba_kernel", find("numba_kernel").solution_code() + LIBC
                             + "if libc.fork() == 0:\n    libc.setsid()\n    while True: pass\n", 7),
    # time and memory
    "endless": ("scale", "while True:\n    try:\n        while True: pass\n    except BaseException: pass\n", 0),
    "stopped": ("scale", "import signal\nsignal.raise_signal(signal.SIGSTOP)\n", 0),
    "asleep": ("scale", RIGHT + "\nimport time\n_scale = scale\ndef scale(u, s):\n    time.sleep(60)\n", 5),
    "lists": ("scale", "x = []\nwhile True: x.append(bytearray(10**7))\n", 0),
    "threads": ("scale", "import threading, time\nfor _ in range(5000):\n"
                "    threading.Thread(target=time.sleep, args=(9,)).start()\n", 0),
    "a full disk": ("scale", "import os\nfor i in range(10**6):\n    with open(f'x{i % 9}', 'ab') as file:\n"
                    "        file.write(bytes(10**6))\n", 0),
    "a crash": ("scale", "import faulthandler\nfaulthandler._sigsegv()\n", 0),
    "recursion in C": ("scale", "import sys\nsys.setrecursionlimit(10**9)\nx = []\nfor _ in range(10**6): x = [x]\n"
                       "repr(x)\n", 0),
    # forged results and a changed interpreter
    "replies": ("scale", WRITE_REPLIES, 0),
    "every pipe": ("scale", "import os\nfor f in range(99):\n    try: os.write(f, b'{\"points\": 9}' * 999)\n    "
                   + CAUGHT, 0),
    "json": ("scale", "import json\njson.dumps = lambda *a, **k: '{\"dict\": {\"result\": 7}}'\n", 0),
    "an audit hook": ("scale", "import sys\nsys.addaudithook(lambda *a: 1 / 0)\n" + RIGHT, 7),
    "always nan": ("scale", "import numpy as np\ndef scale(u, s):\n    return u * np.nan\n"
                   "def scale_backward(dy, u, s):\n    return u * np.nan, s * np.nan\n", 0),
    "equal to all": ("scale", "import numpy as np\nclass A(np.ndarray):\n    def __eq__(self, other): return True\n"
                     "    def __sub__(self, other): return 0\ndef scale(u, s):\n    return np.zeros(u.shape).view(A)\n"
                     "def scale_backward(dy, u, s):\n    return np.zeros(u.shape).view(A), np.zeros(s.shape).view(A)\n",
                     0),
    # files that are hard to read; the text of a program that is hard to check
    "helpers": ("numba_kernel", "from numba import njit\n" + "".join(
        f"@njit\ndef f{i}(x):\n    f{i + 1}(x)\n    f{i + 1}(x)\n" for i in reversed(range(30)))
        + "@njit\ndef f30(x):\n    pass\n" + find("numba_kernel").solution_code().replace(
            "z[n, c] /= H * W", "z[n, c] /= H * W\n        f0(n)"), 7),
}


def notebook_of(*sources):
    """Return the text of a notebook with these cells of code."""
    return json.dumps({"cells": [{"cell_type": "code", "metadata": {}, "source": source} for source in sources]})


def _deep(folder):
    here = os.getcwd()
    folder.mkdir()
    os.chdir(folder)
    try:
        for _ in range(600):                                     # a path of more than 4096 bytes
            os.mkdir("abcdefgh")
            os.chdir("abcdefgh")
    finally:
        os.chdir(here)


def _many(folder):
    folder.mkdir()
    for k in range(21_000):
        (folder / f"x{k}.py").touch()


def _put(name, content):
    def make(folder):
        folder.mkdir()
        data = content if isinstance(content, bytes) else content.encode()
        with open(os.path.join(os.fsencode(folder), os.fsencode(name)), "wb") as file:
            file.write(data)
    return make


def _link(target):
    def make(folder):
        folder.mkdir()
        (folder / "05_scale.py").symlink_to(target)
    return make


def _pipe(folder):
    folder.mkdir()
    os.mkfifo(folder / "05_scale.py")


PUNYCODE = b"# coding: punycode\n" + b"a" * 400_000 + b"-" + b"abcdefgh" * 500_000
# name of the student's folder: (what is in it, points)
FILES = {
    "a link to itself": (_link("05_scale.py"), 0),
    "a link to the zeros": (_link("/dev/zero"), 0),
    "a pipe": (_pipe, 0),
    "deep folders": (_deep, 0),
    "many files": (_many, 0),
    "not UTF-8": (_put(b"05_scale_\xff.py", RIGHT), 7),
    "n" * 252: (_put("05_scale.py", RIGHT), 7),
    "=cmd() <script>alert(1)<\nscript>": (_put("05_scale.py", RIGHT), 7),
    "a slow notebook": (_put("05_scale.ipynb", notebook_of("x = (\n" + " " * 3_000_000 + "x")), 0),
    "a deep notebook": (_put("05_scale.ipynb", "[" * 2_000_000), 0),
    "a notebook of numbers": (_put("05_scale.ipynb", '{"cells": ' + "9" * 4_000_000 + "}"), 0),
    "many cells": (_put("05_scale.ipynb", notebook_of(*["x = 1"] * 100_000)), 0),
    "brackets": (_put("05_scale.py", "(" * 150_000), 0),
    "a slow encoding": (_put("05_scale.py", PUNYCODE), 0),
    "an archive": (_put("05_scale.py", gzip.compress(RIGHT.encode())), 0),
    "the marks": (_put("marks.jsonl", '{"key": "", "mark": {"earned": 7}}'), 0),
}


def _flat(exercise, number, code):
    return f"student{number}_{1000 + number}_98765_{exercise.stem}.py", code


LAYOUTS = (                      # (path of the file, its content) of right code
    lambda exercise, number, code: (f"s{number}/{exercise.stem}.py", code),
    lambda exercise, number, code: (f"s{number}/week 1/{exercise.stem}.py", code),
    _flat,                                                       # Canvas
    lambda exercise, number, code: (f"Ann Lee_{number}_assignsubmission_file_/{exercise.stem}.py", code),       # Moodle
    lambda exercise, number, code: (f"Homework_s{number}_attempt_2026-11-20-14-05-09_{exercise.stem}.py", code),
    lambda exercise, number, code: (f"s{number}/{exercise.stem}.py", code.encode("utf-16")),
    lambda exercise, number, code: (f"s{number}/{exercise.stem}.ipynb", notebook_of("%time\n" + code, "1 / 0")),
    lambda exercise, number, code: (f"s{number}/{exercise.stem}.ipynb", as_notebook(exercise, ANSWER)),
)
NAMES = ("s{}", "s{}", "student{0}_{1}", "Ann Lee_{}", "s{}", "s{}", "s{}", "s{}")      # of the students, by layout


def write_class(folder, honest, attacks=None):
    """Write a class into a folder.

    Parameters
    ----------
    folder : Path
    honest : int
        The number of students who attack nothing.
    attacks : sequence of str, optional
        Names of attacks; by default all.

    Returns
    -------
    points : dict of (student, exercise) -> int
        The points of everybody for what was handed in.
    victim, target : Path
        A file that must stay, and one that must not come to be.
    """
    folder.mkdir()
    victim, target = folder.parent / "victim.txt", folder.parent / "made by a student"
    victim.write_text("the work of a teacher")
    points = {}
    for number, exercise, layout in zip(range(honest), itertools.cycle(exercises()), itertools.cycle(range(11)),
                                        strict=False):
        code, earned = exercise.solution_code(), sum(_parts(exercise).values())
        if layout >= len(LAYOUTS):                               # half right, and the file as it was given
            mistake = exercise.mistakes[number % len(exercise.mistakes)]
            code, earned = f"{code}\n\n{mistake.code}", _points_with(exercise, mistake)
            if layout == len(LAYOUTS) + 2:
                code, earned = exercise.as_file(STUDENT), 0
        layout = layout if layout < len(LAYOUTS) else 0
        name, content = LAYOUTS[layout](exercise, number, code)
        _write(folder / name, content)
        points[NAMES[layout].format(number, 1000 + number), exercise.name] = earned
    for name, (exercise, code, earned) in ATTACKS.items():
        if attacks is None or name in attacks:
            code = code.replace("{target}", str(target)).replace("{victim}", str(victim))
            _write(folder / name / f"{find(exercise).stem}.py", code)
            points[name, exercise] = earned
    for name, (make, earned) in FILES.items():
        if attacks is None or name in attacks:
            make(folder / name)
            points[name.replace("\n", "\\n"), "scale"] = earned
    return points, victim, target


def _write(path, content):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content if isinstance(content, bytes) else content.encode())


def _parts(exercise):
    return {name: points for task in exercise.tasks() for name, points in task.parts.items()}


def _points_with(exercise, mistake):
    """Return the points of the solution with a mistake of its source in it."""
    earned = 0
    for task in exercise.tasks():
        lost = set(mistake.loses).intersection(task.parts)
        if lost >= set(list(task.parts)[:len(task.points)]):     # the rest counts only with one of these
            lost = set(task.parts)
        earned += sum(points for name, points in task.parts.items() if name not in lost)
    return earned
