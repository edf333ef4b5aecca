"""NVIDIA drivers that are installed but do not work, for npse and for Numba: stubs of the library, compiled here.

For each, `npse info` must report it, `auto` must take another edition and say why, and the choice of the cuda edition
must end in one line.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys

import pytest
from shares import some

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the stub is a libcuda.so.1 of Linux"),
    pytest.mark.skipif(COMPILER is None, reason="no C compiler was found, so no stub of the driver can be made"),
    pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed"),
]

INIT = "int cuInit(unsigned flags) { return %d; }\n"
VERSION = "int cuDriverGetVersion(int *version) { *version = %d; return 0; }\n"
DEVICE = "int cuDeviceGet(int *device, int number) { *device = 0; return %d; }\n"
NAME = "int cuDeviceGetName(char *text, int room, int device) { strncpy(text, %s, room); return %d; }\n"
WORDS = "int cuGetErrorString(int code, const char **text) { *text = %s; return 0; }\n"
WELL = INIT % 0 + VERSION % 13000 + DEVICE % 0 + NAME % ('"NVIDIA Stub GPU"', 0)

# Numba finds functions through this one: those of the stub, and for all others one that fails with a code.
LOOKUP = """
static int fails() { return %d; }
int cuGetErrorName(int code, const char **text) { *text = "CUDA_ERROR_STUB"; return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuGetProcAddress_v2(const char *name, void **found, int version, unsigned long long flags, int *status) {
    *found = dlsym(RTLD_DEFAULT, name);
    if (!*found) *found = fails;
    return 0;
}
int cuGetProcAddress(const char *name, void **found, int version, unsigned long long flags) {
    return cuGetProcAddress_v2(name, found, version, flags, 0);
}
"""

SCRIPT = """
import json
from npse import backend
from npse.support import nvidia_driver
edition, reason = backend.choose()
print(json.dumps({"edition": edition, "reason": reason, "missing": backend.why_unavailable("cuda"),
                  "name": nvidia_driver.name(),
                  "record": nvidia_driver.record()}))
"""


@pytest.fixture
def computer_with(tmp_path):
    """Return a function: C code of a driver -> a function that runs Python with that driver."""
    def build(driver):
        source, library = tmp_path / "driver.c", tmp_path / "libcuda.so.1"
        source.write_text(f"#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <string.h>\n{driver}")
        subprocess.run([COMPILER, "-shared", "-fPIC", "-w", "-o", library, source, "-ldl"], check=True)
        variables = {name: value for name, value in os.environ.items() if name != "NUMBA_ENABLE_CUDASIM"}
        variables["LD_LIBRARY_PATH"] = str(tmp_path)

        def python(*words):
            ran = subprocess.run([sys.executable, *words], cwd=tmp_path, env=variables, capture_output=True, text=True)
            return ran.returncode, ran.stdout, ran.stderr
        return python
    return build


CASES = {
    "an empty library": ("int nothing;", "the driver is damaged: it lacks functions that every driver has"),
    "no GPU": (INIT % 100 + VERSION % 13000, "the driver finds none; check nvidia-smi and CUDA_VISIBLE_DEVICES"),
    "not initialised": (INIT % 3 + WORDS % '"initialization error"', "cannot start: initialization error (error 3)"),
    "compiled for a newer one": (INIT % 35 + WORDS % '"CUDA driver is insufficient"', "is insufficient (error 35)"),
    "no words": (INIT % 804, "cannot start: unknown (error 804)"),
    "words that are none": (INIT % 999 + WORDS % 0, "cannot start: unknown (error 999)"),
    "words that are no text": (INIT % 803 + WORDS % r'"two\nlines, \xff"', "start: two lines, \ufffd (error 803)"),
    "CUDA 11.4": (WELL.replace("13000", "11040"), "too old: it supports CUDA 11.4, the installed numba-cuda needs"),
    "no version": (INIT % 0 + DEVICE % 0, "the NVIDIA driver does not report which CUDA version it supports; reinst"),
    "no device": (INIT % 0 + VERSION % 13000 + DEVICE % 100, "the driver finds none"),
    "an invalid device": (INIT % 0 + VERSION % 13000 + DEVICE % 101, "the driver cannot start: unknown (error 101)"),
    "no function for devices": (INIT % 0 + VERSION % 13000, "the driver is damaged"),
    "few functions": (WELL, "the cuda edition cannot run: Failed to get cuGetProcAddress_v2; nvidia-smi shows"),
    "a name that cannot be had": (INIT % 0 + VERSION % 13000 + DEVICE % 0 + NAME % ('""', 1), "cannot run: "),
    "a name of no letters": (INIT % 0 + VERSION % 13000 + DEVICE % 0 + NAME % ('""', 0), "cannot run: "),
    "a full GPU": (WELL + LOOKUP % 2, "CUDA_ERROR_OUT_OF_MEMORY; nvidia-smi shows which processes use the GPU"),
    "a GPU that another process has": (WELL + LOOKUP % 46, "CUDA_ERROR_DEVICE_UNAVAILABLE; nvidia-smi shows"),
    "a GPU that fell off the bus": (WELL + LOOKUP % 999,
                                   "CUDA_ERROR_UNKNOWN; nvidia-smi shows which processes use the GPU"),
}


@pytest.mark.parametrize("what", some(CASES, 3))
def test_a_driver_that_does_not_work_is_reported_in_one_line(what, computer_with):
    driver, words = CASES[what]
    code, out, err = computer_with(driver)("-c", SCRIPT)
    assert (code, err) == (0, "")
    told = json.loads(out)
    line, name = told["missing"], told["name"]
    assert words in line
    assert "\n" not in line
    assert told["edition"] == "cpu"
    assert told["reason"] == f"the fastest edition available; {name or 'a GPU'} is not used: {line}"
    assert name in (None, "NVIDIA GPU" if "a name" in what or what == "no version" else "NVIDIA Stub GPU")
    assert (told["record"] is None) == (name is None)


@pytest.mark.parametrize("what", ["an empty library", *(pytest.param(what, marks=pytest.mark.slow) for what in (
    "no version", "few functions", "a full GPU"))])
def test_the_command_line_works_without_the_gpu(what, computer_with, tmp_path):
    driver, words = CASES[what]
    python = computer_with(driver)
    code, out, err = python("-m", "npse", "info")
    assert (code, err) == (0, "")
    row, = [line for line in out.splitlines() if line.startswith("GPU ")]
    assert words in row
    code, out, err = python("-m", "npse", "train", "--edition", "cuda")
    assert (code, out) == (2, "")
    assert err.startswith("npse: ")
    assert row.endswith(f"; {err.removeprefix('npse: ').strip()}")
    assert not (tmp_path / "runs").exists()
