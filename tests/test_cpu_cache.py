"""Kernels on disk: an op is right for any damage of the files, and no signal interrupts a compilation."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("numba")
import numba
import numpy as np

from npse import cpu
from npse.cpu.runtime import jit
from npse.cpu.runtime.kernel_cache import KernelCache
from npse.cpu.runtime.uninterrupted import uninterrupted
from npse.cpu.simd.tile import lanes
from npse.editions import kernel_files

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="plain Python is not cached")


def double(x):
    return x + x


def kernel(folder):
    """Return the function above as a kernel of a fresh process: no code is compiled yet, code on disk is loaded."""
    compiled = numba.njit(double)
    compiled._cache = KernelCache(double, folder)
    return compiled


def kept(folder):
    return sorted(folder.glob("*.nbc"))


DAMAGES = {
    "cut in half": lambda content: content[:len(content) // 2],
    "empty": lambda content: b"",
    "zeros, as after a power cut": lambda content: bytes(len(content)),
    "one bit": lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    "another format": lambda content: b"not a kernel",
    "a digest of nothing": lambda content: kernel_files.digest(b""),
    "a valid file of something else": lambda content: kernel_files.digest(b"x") + b"x",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_compiled_again_and_replaced(damage, tmp_path):
    assert kernel(tmp_path)(2) == 4
    file, = kept(tmp_path)
    sound = file.read_bytes()
    file.write_bytes(damage(sound))
    again = kernel(tmp_path)
    assert again(2) == 4
    assert not again.stats.cache_hits
    third = kernel(tmp_path)
    assert third(2) == 4
    assert third.stats.cache_hits
    assert kept(tmp_path) == [file]


def test_a_file_of_another_signature_is_not_used_for_this_one(tmp_path):
    kernel(tmp_path)(2)
    file, = kept(tmp_path)
    kernel(tmp_path)(2.5)
    other, = set(kept(tmp_path)) - {file}
    shutil.copy(other, file)
    assert kernel(tmp_path)(2) == 4


def test_processes_that_write_at_once_do_not_mix_signatures(tmp_path):
    first, second = kernel(tmp_path), kernel(tmp_path)            # neither knows the file of the other
    assert (first(2), second(2.5)) == (4, 5.0)
    third = kernel(tmp_path)
    assert (third(2.5), third(2)) == (5.0, 4)
    assert sum(third.stats.cache_hits.values()) == 2


def test_a_changed_source_is_compiled_again(tmp_path):
    kernel(tmp_path)(2)
    other = kernel(tmp_path)
    other._cache._source = b"the digest of another version of this file"
    assert other(2) == 4
    assert not other.stats.cache_hits


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EDQUOT, errno.EROFS])
def test_a_file_that_cannot_be_written_is_reported_once_and_the_op_is_right(number, tmp_path, monkeypatch, capsys):
    def fail(path, content):
        raise OSError(number, os.strerror(number))
    monkeypatch.setattr(kernel_files, "write_atomically", fail)
    monkeypatch.setattr(kernel_files, "_told", threading.Lock())
    compiled = kernel(tmp_path)
    assert (compiled(2), compiled(2.5), kernel(tmp_path)(2)) == (4, 5.0, 4)
    told, = capsys.readouterr().err.splitlines()
    assert told == (f"npse: compiled kernels cannot be kept in {tmp_path}: {os.strerror(number)}; "
                    "they will be compiled again next time (NPSE_CACHE_DIR names another folder)")


def test_a_file_that_cannot_be_read_or_replaced_is_reported(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(kernel_files, "_told", threading.Lock())
    kernel(tmp_path)(2)
    file, = kept(tmp_path)
    file.unlink()
    (file / "in the way").mkdir(parents=True)
    assert kernel(tmp_path)(2) == 4
    assert capsys.readouterr().err.count("npse: compiled kernels cannot be kept in ") == 1


def test_a_folder_that_was_removed_meanwhile_is_made_again(tmp_path):
    compiled = kernel(tmp_path / "kernels")
    assert compiled(2) == 4
    shutil.rmtree(tmp_path / "kernels")
    assert compiled(2.5) == 5.0
    assert len(kept(tmp_path / "kernels")) == 1
    compiled._cache.flush()
    assert not kept(tmp_path / "kernels")


@pytest.fixture
def folder_for(monkeypatch, tmp_path):
    """A function: value of NPSE_CACHE_DIR -> folder of kernels. Working directory and home are an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))

    def folder(value):
        monkeypatch.setenv("NPSE_CACHE_DIR", str(value))
        jit.cache_folder.cache_clear()
        return jit.cache_folder()
    yield folder
    jit.cache_folder.cache_clear()


@pytest.mark.parametrize(("value", "where"), [
    ("kernels", "kernels"), ("./a/../kernels", "kernels"), ("~/mine", "mine"), ("with a space/ü", "with a space/ü"),
])
def test_the_folder_may_be_named_in_any_way(folder_for, tmp_path, value, where):
    folder = folder_for(value)
    assert folder.is_absolute()                                   # it must not change with the working directory
    assert folder.resolve().parent == (tmp_path / where).resolve()
    assert folder.is_dir()


@pytest.mark.parametrize("value", ["file", "file/below", "~nobody-of-that-name/x", "x" * 5000])
def test_a_path_that_cannot_be_a_folder_keeps_nothing(folder_for, tmp_path, value):
    (tmp_path / "file").touch()
    assert folder_for(value) is None
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_no_folder_and_no_interpreter_setting_is_touched_for_a_users_kernel(tmp_path):
    code = ("import npse.cpu, numba; users = numba.njit(lambda x: x); "
            "print(type(users._cache).__name__, type(npse.cpu.activation._relu._cache).__name__)")
    ran = subprocess.run([sys.executable, "-c", code], env=os.environ | {"NPSE_CACHE_DIR": str(tmp_path)},
                         capture_output=True, text=True, check=True)
    assert ran.stdout == "NullCache KernelCache\n"


def test_the_fingerprint_follows_every_file_of_the_edition(tmp_path):
    source = tmp_path / "cpu"
    shutil.copytree(Path(cpu.__file__).parent, source, ignore=shutil.ignore_patterns("__pycache__"))
    found = {jit.fingerprint(source)}
    for name in ("kernels/deep/new.py", "other/deep/new.py"):
        (source / name).parent.mkdir(parents=True)
        (source / name).write_text("x = 1")
        found.add(jit.fingerprint(source))
    (source / name).write_text("x = 2")
    found.add(jit.fingerprint(source))
    assert len(found) == 4


def test_results_and_errors_come_from_the_other_thread():
    here = threading.current_thread()
    assert uninterrupted(threading.current_thread) is not here
    assert uninterrupted(lambda: uninterrupted(threading.current_thread)) is not here      # kernels that call kernels
    with pytest.raises(KeyError, match="a key"):
        uninterrupted({}.__getitem__, "a key")


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs an alarm")
def test_an_interrupt_is_raised_at_once_and_the_work_is_finished():
    def interrupt(*_):
        raise KeyboardInterrupt

    done, before = [], signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            uninterrupted(lambda: (time.sleep(1), done.append("first")))
        assert time.monotonic() - began < 0.9
        assert not done
    finally:
        signal.signal(signal.SIGALRM, before)
    uninterrupted(done.append, "second")
    assert done == ["first", "second"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_waits_for_work_that_goes_on_after_an_interrupt():
    code = """
import os, signal, threading, time
from npse.cpu.runtime.uninterrupted import uninterrupted
from npse.cpu.simd.tile import lanes
def interrupt(*_): raise KeyboardInterrupt
signal.signal(signal.SIGALRM, interrupt)
lock = threading.Lock()
def work():
    with lock: time.sleep(0.5)
signal.setitimer(signal.ITIMER_REAL, 0.1)
try: uninterrupted(work)
except KeyboardInterrupt: print("interrupted", flush=True)
child = os.fork()
if child == 0:
    os._exit(0 if uninterrupted(lock.acquire, True, 5) else 1)
print(os.waitpid(child, 0)[1])
"""
    ran = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.stdout == "interrupted\n0\n", ran.stderr


CONVOLVE = """
import sys, numpy as np
from npse import cpu
from npse.cpu import conv
cpu.set_threads(1)
def run(channels):
    x, w = (np.random.default_rng(0).standard_normal(shape).astype(np.float32)
            for shape in ((9, 9, 10, 5), (3, 3, 5, channels)))
    return conv.VARIANTS["tile"].conv2d(x, w, 1, 1)
"""


@pytest.mark.slow
@pytest.mark.skipif(not lanes(np.float32), reason="this processor has no register tile")
def test_kernels_of_two_processes_are_not_confused(tmp_path):
    def process(code):
        environment = os.environ | {"NPSE_CACHE_DIR": str(tmp_path)}
        subprocess.run([sys.executable, "-c", CONVOLVE + code], env=environment, check=True)

    process("run(64)")                                 # each compiles one kernel, of the same function, as its first
    process("run(24)")
    process("""
one = [run(64), run(24)]
cpu.set_threads(2)
two = [run(64), run(24)]
for ours, others in zip(one, two):
    np.testing.assert_array_equal(ours, others)""")


def adding(size, helper):
    @jit.kernel
    def add(x):
        x[0] = helper(x[0]) + size
    return add


def twice(x):
    return 2 * x


def test_the_name_of_a_kernel_contains_the_values_it_closes_over():
    first, second = adding(3, jit.kernel(twice)), adding(4, jit.kernel(twice))
    assert first.py_func.__qualname__ == "adding.<locals>.add_twice_3"
    assert second.py_func.__qualname__ == "adding.<locals>.add_twice_4"


@pytest.mark.slow
def test_every_kernel_of_the_cases_is_found_again_by_the_next_process(tmp_path):
    code = """
import numpy as np
from npse import cpu
from npse.cpu.runtime import jit
from npse.gradcheck import cases_of
with jit.on_compile(lambda count, name: print(name)):
    for op in ("gelu", "tanh", "maximum", "dense"):
        case = cases_of(op)[0]
        arguments = case.arguments(np.random.default_rng(0), np.float32)
        case.backward(cpu, case.forward(cpu, **arguments), **arguments)"""

    def compiled():
        return subprocess.run([sys.executable, "-c", code], env=os.environ | {"NPSE_CACHE_DIR": str(tmp_path)},
                              capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(compiled()) > 8
    assert compiled() == []


def _closing_over(value):
    def function(x):
        return x + value
    return function


def test_the_identity_of_a_kernel_follows_all_that_it_closes_over():
    def with_default(x, shift=1):
        return x + shift

    values = [1, 1.0, 2, True, None, "1", np.float32(1), np.float64(1), np.dtype("f4"), np.float32, (1, 2), (2, 1),
              np.ones(2), np.ones((1, 2)), np.zeros(2), double, twice, numba.njit(twice), with_default,
              _closing_over(1), _closing_over(2), _closing_over(_closing_over(1)), _closing_over(_closing_over(2))]
    found = [kernel_files.identity(_closing_over(value)) for value in values]
    same = next(k for k, value in enumerate(values) if value is twice)   # compiled or not, it is the same function
    assert found[same] == found[same + 1]
    assert len({*found}) == len(found) - 1
    assert found == [kernel_files.identity(_closing_over(value)) for value in values]


def test_a_kernel_that_no_other_process_can_recognise_is_not_kept(tmp_path, folder_for):
    folder = folder_for("kernels")
    unknown = object()

    def function(x):
        if x is unknown:
            return x
        return x + x
    with pytest.raises(TypeError, match=r"closes over <object .* cannot be recognised"):
        KernelCache(function, folder)
    assert type(jit.kernel(function)._cache).__name__ == "NullCache"


def test_a_long_name_of_a_kernel_ends_in_a_hash_of_it():
    names = [adding(f"{'a' * 200}{end}", jit.kernel(twice)).py_func.__qualname__ for end in "bc"]
    assert len({*names}) == 2
    assert max(map(len, names)) < 120
