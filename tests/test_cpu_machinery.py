"""The Numba edition: its cache folder, its line on the terminal, its threads. Most tests start their own processes."""

import os
import shutil
import subprocess
import sys
import threading
import time
import warnings
import weakref
from functools import partial
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")
import numba

from npse import cpu, reference
from npse.cpu import conv
from npse.cpu.runtime import jit, parallel

RELU = "import numpy as np, npse.cpu as cpu; print(cpu.relu(np.linspace(-1, 1, 7)).tolist())"


def python(code, check=True, **environment):
    """Run code in a fresh process; variables set to None are removed from its environment."""
    variables = {name: value for name, value in {**os.environ, **environment}.items() if value is not None}
    return subprocess.run([sys.executable, "-c", code], env=variables, text=True, capture_output=True, check=check)


@pytest.mark.slow
def test_compiling_prints_one_line_and_loading_none_and_the_bits_are_the_same(tmp_path):
    code = """
import hashlib, numpy as np, npse.cpu as cpu
random = np.random.default_rng(0)
x, g = random.standard_normal((2, 8, 12, 12, 16), np.float32)
w = random.standard_normal((3, 3, 16, 16), np.float32)
y, mean, var = cpu.batch_norm_relu(cpu.conv2d(x, w, 1, 1), x[0, 0, 0], x[0, 0, 1])
dx, dgamma, _ = cpu.batch_norm_relu_backward(g, x, x[0, 0, 0], x[0, 0, 1], mean, var)
for array in (y, mean, var, dx, dgamma, *cpu.scale_add_relu_backward(dx, x, g[:, 0, 0], y)):
    print(hashlib.sha256(array).hexdigest())
print(cpu.cache_folder())"""
    cold = python(code, NPSE_CACHE_DIR=str(tmp_path))
    warm = python(code, NPSE_CACHE_DIR=str(tmp_path))
    assert cold.stderr.count("npse: compiling kernels for this machine, once") == 1
    assert len(cold.stderr.splitlines()) == 1
    assert warm.stderr == ""
    assert cold.stdout == warm.stdout
    assert Path(cold.stdout.splitlines()[-1]).parent == tmp_path


def test_the_users_own_functions_are_left_alone(tmp_path):
    assert os.environ.get("NUMBA_CACHE_DIR", "") == numba.config.CACHE_DIR
    code = "import npse.cpu, numba; print(numba.njit(lambda x: x + 1)(1), repr(numba.config.CACHE_DIR))"
    other = python(code, NPSE_CACHE_DIR=str(tmp_path), NUMBA_CACHE_DIR=None)
    assert (other.stdout, other.stderr) == ("2 ''\n", "")


@pytest.mark.parametrize("environment", [
    {"NPSE_CACHE_DIR": os.path.join(os.devnull, "nowhere")},
    {"NPSE_CACHE_DIR": None, "XDG_CACHE_HOME": os.path.join(os.devnull, "nowhere"), "HOME": os.devnull},
])
@pytest.mark.skipif(sys.platform == "win32", reason="the null device is a file under POSIX")
def test_without_a_writable_folder_nothing_is_cached(environment):
    ran = python(RELU + "; print(cpu.cache_folder())", **environment)
    assert ran.stdout.splitlines()[1] == "None"
    assert "NPSE_CACHE_DIR" in ran.stderr


def test_the_fingerprint_follows_the_source(tmp_path):
    source = tmp_path / "cpu"
    shutil.copytree(Path(cpu.__file__).parent, source, ignore=shutil.ignore_patterns("__pycache__"))
    assert jit.fingerprint(source) == jit.fingerprint()
    helper = source / "runtime" / "arrays.py"
    helper.write_text(helper.read_text() + "\n")
    assert jit.fingerprint(source) != jit.fingerprint()


def test_the_fingerprint_follows_versions_and_cpu(monkeypatch):
    before = jit.fingerprint()
    monkeypatch.setattr(numba, "__version__", "0.0")
    other_version = jit.fingerprint()
    monkeypatch.setattr(jit, "_cpu", lambda: "another")
    assert len({before, other_version, jit.fingerprint()}) == 3


def test_folders_of_other_fingerprints_are_removed_after_a_month(tmp_path):
    old, recent, foreign = (tmp_path / name for name in ("kernels-" + "0" * 16, "kernels-" + "1" * 16, "mine"))
    for folder in (old, recent, foreign):
        folder.mkdir()
        (folder / "file").touch()
    for folder in (old, foreign):
        os.utime(folder, (0, 0))
    python(RELU, NPSE_CACHE_DIR=str(tmp_path))
    assert not old.exists()
    assert recent.exists()
    assert (foreign / "file").exists()


@pytest.mark.slow
def test_kernels_run_as_plain_python():
    options = ["-q", "-n", "0", "-p", "no:cacheprovider", "-k", "equals_the_book_and_leaves",
               str(Path(__file__).with_name("test_cpu_ops.py"))]
    code = f"import sys, pytest; sys.exit(pytest.main({options}))"
    ran = python(code, check=False, NUMBA_DISABLE_JIT="1")
    assert ran.returncode == 0, ran.stdout


def test_run_on_threads_covers_the_range_once():
    for count in (1, 2, 7, 100):
        for block in (None, 1, 3, 1000):
            seen = np.zeros(count, int)

            def task(first, last, seen=seen):
                seen[first:last] += 1

            parallel.run_on_threads(task, count, block)
            assert (seen == 1).all()


@jit.kernel
def mark(seen, first, last):
    for k in range(first, last):
        seen[k] += 1


@jit.kernel
def mark_by_thread(seen, work, thread, first, last):
    for k in range(first, last):
        x = 1.0
        for _ in range(work):
            x *= 0.999
        seen[thread, k] += x > 0


@jit.kernel
def fail(seen, first, last):
    if last == len(seen):
        raise ValueError


@pytest.fixture
def any_threads():
    before = cpu.get_threads()
    yield cpu.set_threads
    cpu.set_threads(before)


def test_parallel_for_gives_a_kernel_every_index_once(any_threads):
    for count in (1, 2, 7, 100, 1000):
        for block in (None, 1, 3, 999):
            for number in (1, 2, 5):
                any_threads(number)
                seen, by_thread = np.zeros(count, int), np.zeros((number, count), int)
                parallel.parallel_for(partial(mark, seen), count, block)
                parallel.parallel_for(partial(mark_by_thread, by_thread, 1), count, block, threads=number,
                                      pass_thread=True)
                assert (seen == 1).all()
                assert (by_thread.sum(axis=0) == 1).all()


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="one thread at a time runs plain Python")
def test_workers_run_in_compiled_code_and_wake_when_there_is_work(any_threads):
    any_threads(2)
    for _ in range(3):
        seen, calls, begun = np.zeros((2, 50), int), 0, time.monotonic()
        while not seen.any(axis=1).all():
            assert time.monotonic() - begun < 60, "the worker did not start"
            parallel.parallel_for(partial(mark_by_thread, seen, 10**4), 50, 1, threads=2, pass_thread=True)
            calls += 1
        assert (seen.sum(axis=0) == calls).all()
        time.sleep(0.1)                                           # now it sleeps


def test_no_more_threads_than_there_is_scratch_memory_for(any_threads):
    any_threads(5)                                                # as another thread could, after the memory was taken
    seen = np.zeros((3, 1000), int)
    for _ in range(50):
        parallel.parallel_for(partial(mark_by_thread, seen[:2], 10), 1000, 1, threads=2, pass_thread=True)
    assert (seen.sum(axis=1)[:2].sum(), seen[2].any()) == (50 * 1000, False)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="plain Python has no types to check")
def test_a_kernel_that_returns_something_is_refused(any_threads):
    @jit.kernel
    def count_them(seen, first, last):
        return last - first

    any_threads(2)
    with pytest.raises(TypeError, match="count_them returns int64"):
        parallel.parallel_for(partial(count_them, np.zeros(64)), 64, 1)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="plain Python raises the error itself")
def test_a_kernel_that_fails_raises_an_error(any_threads):
    for number in (2, 3):
        any_threads(number)
        with pytest.raises(MemoryError, match="fail failed on one of its threads"):
            parallel.parallel_for(partial(fail, np.zeros(64)), 64, 1)
        seen = np.zeros(64, int)
        parallel.parallel_for(partial(mark, seen), 64, 1)          # and the next one runs
        assert (seen == 1).all()


def test_an_error_in_a_task_reaches_the_caller():
    def task(first, last):
        if last == 64:
            raise OSError("disk failure")

    before = cpu.get_threads()
    try:
        for count in (1, 3):
            cpu.set_threads(count)
            with pytest.raises(OSError, match="disk failure"):
                parallel.run_on_threads(task, 64, 1)
    finally:
        cpu.set_threads(before)


def test_no_thread_keeps_the_arrays_of_a_task(any_threads):
    def task(array, first, last):
        time.sleep(0.01)                                          # so that the workers get ranges too

    any_threads(3)
    array = np.ones(3)
    gone = weakref.ref(array)
    parallel.run_on_threads(partial(task, array), 8, 1)
    del array
    assert gone() is None


def test_errstate_of_the_caller_applies_to_every_thread():
    x, w = np.full((16, 8, 8, 4), 1e300), np.full((3, 3, 4, 4), 1e300)
    matrix_product = conv.VARIANTS["matrix"].conv2d
    before = cpu.get_threads()
    try:
        cpu.set_threads(3)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error")
            assert np.isinf(matrix_product(x, w)).all()
        with np.errstate(over="raise"), pytest.raises(FloatingPointError):
            matrix_product(x, w)
    finally:
        cpu.set_threads(before)


def test_set_threads_refuses_other_values():
    for count in (0, -1, 1.5, "two"):
        with pytest.raises(ValueError, match="at least 1"):
            cpu.set_threads(count)


    with pytest.raises(ValueError, match="threads must be at most 1024, but is 100000"):
        cpu.set_threads(100000)


def test_if_the_system_starts_no_more_threads_fewer_are_used(any_threads, monkeypatch):
    start, started = threading.Thread.start, []

    def refuse(thread):
        if thread.name == "npse" and len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.extend([thread] * (thread.name == "npse"))
        start(thread)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    any_threads(1000)
    seen, by_thread, by_python = np.zeros(5000, int), np.zeros((1000, 5000), int), np.zeros(5000, int)
    parallel.parallel_for(partial(mark, seen), 5000, 1)
    parallel.parallel_for(partial(mark_by_thread, by_thread, 1), 5000, 1, threads=1000, pass_thread=True)

    def task(first, last):
        by_python[first:last] += 1
    parallel.run_on_threads(task, 5000, 1)
    assert len(started) == 2
    assert (seen == 1).all()
    assert (by_python == 1).all()
    assert (by_thread.sum(axis=0) == 1).all()
    assert not by_thread[3:].any()


def blas_threads():
    return [library.num_threads for library in parallel._blas().lib_controllers]


def test_blas_gets_its_threads_back():
    before = blas_threads()
    conv.VARIANTS["matrix"].conv2d(np.ones((8, 9, 9, 3)), np.ones((3, 3, 3, 4)))
    assert blas_threads() == before
    with pytest.raises(ValueError, match="dense"):
        cpu.dense(np.ones((2, 3)), np.ones((2, 4)))
    assert blas_threads() == before


def test_small_products_stay_on_one_blas_thread(monkeypatch):
    """A second BLAS thread would poll for work afterwards, on the core that the kernels need."""
    seen = []
    for op in (reference.dense, reference.dense_backward):       # checked by this edition, then by the book's function
        def check(*arguments, check=op.contract.check):
            seen.append(blas_threads())
            return check(*arguments)
        monkeypatch.setattr(op.contract, "check", check)
    with parallel._blas().limit(limits=2):
        before = blas_threads()
        x, w = np.ones((2, 4)), np.ones((3, 4))
        cpu.dense_backward(cpu.dense(x, w), x, w)
        assert seen == [before, [1] * len(before)] * 2
        assert blas_threads() == before


def test_two_python_threads_may_call_ops_at_once():
    x, w = np.random.default_rng(0).standard_normal((16, 12, 12, 4)), np.ones((3, 3, 4, 5))
    expected, found = cpu.conv2d(cpu.relu(x), w).tobytes(), []
    blas = blas_threads()

    def work():
        for _ in range(20):
            found.append(cpu.conv2d(cpu.relu(x), w).tobytes() == expected)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == [True] * 60
    assert blas_threads() == blas


def test_workers_compile_nothing():
    """If a process is forked while a worker compiles, the child can never compile."""
    code = """
import threading, numpy as np, npse.cpu as cpu
from npse.cpu.runtime import parallel
start, compiled = threading.Thread.start, []
def start_and_look(thread):
    if thread.name == "npse":
        compiled.append(len(parallel.worker_loop.signatures))
    start(thread)
threading.Thread.start = start_and_look
cpu.set_threads(3)
cpu.relu(np.ones((8, 300, 300, 2)))
print(compiled)
"""
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60,
                          check=True).stdout == "[1, 1]\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_can_continue():
    code = """
import os, numpy as np, npse.cpu as cpu
cpu.set_threads(2)
x = np.ones((8, 6, 6, 2))
expected = cpu.scale(x, x[:, 0, 0])
child = os.fork()
if child == 0:
    os._exit(0 if (cpu.scale(x, x[:, 0, 0]) == expected).all() else 1)
print(os.waitpid(child, 0)[1])
"""
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60,
                          check=True).stdout == "0\n"


def test_a_function_without_a_module_compiles_beside_the_edition():
    names = {}
    exec("def double(x):\n    return 2 * x", names)
    names["double"].__module__ = None
    assert numba.njit(names["double"])(3) == 6
