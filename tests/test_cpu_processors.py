"""The cpu edition, compiled for other processors than this one.

Every op runs as on a processor with AVX2, and with SSE, which has no tiles: a processor with AVX-512 runs the code of
its predecessors. The machine code of the loops over products is read. ARM: tests/arm64.sh.
"""

import os
import platform
import subprocess
import sys

import pytest
from assembly import product_loops

pytest.importorskip("numba")

from npse.cpu.simd.tile_llvm import vector_registers

AVX2, AVX512 = "+avx2,+fma", "+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx2,+fma"
PROCESSORS = {"AVX2": ("haswell", AVX2, (32, 16)), "SSE2": ("nocona", "+sse2", (0, 0))}
MODELS = [("haswell", AVX2), ("alderlake", AVX2), ("znver3", AVX2), ("icelake-server", AVX512), ("znver4", AVX512)]
SHOWN = "from npse.cpu.simd.tile_llvm import vector_registers; print(vector_registers())"

on_x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="compiles for x86")
COMPILED = """
from numba.core.types import Array, float32, intp, none
from npse.cpu.conv_kernels.winograd_products import multiply, multiply_transposed
from npse.cpu.conv_kernels.winograd_transforms import TILE, WIDE_TILE

def arrays(*dimensions):
    return tuple(Array(float32, n, "C") for n in dimensions)

numbers = intp, intp, intp
for tile in {TILE, WIDE_TILE}:
    kernel = multiply(tile)
    kernel.compile((*arrays(4, 6, 4), none, none, none, intp, intp, *arrays(6, 6), *numbers))
    print(*kernel.inspect_asm().values())
    print("-----")
for width in {TILE.width, WIDE_TILE.width}:
    kernel = multiply_transposed(width)
    kernel.compile((*arrays(4, 4, 7), intp, intp, *arrays(6, 6), *numbers))
    print(*kernel.inspect_asm().values())
    print("-----")
"""


def as_on(cpu, features, tmp_path):
    return os.environ | {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features, "NPSE_CACHE_DIR": str(tmp_path)}


@on_x86
@pytest.mark.slow
@pytest.mark.parametrize(("cpu", "features"), MODELS)
def test_sums_of_products_stay_in_registers(cpu, features, tmp_path):
    """A sum that is kept on the stack waits for its own store: on a Zen 3 that once took half of the speed."""
    machine = as_on(cpu, features, tmp_path)
    done = subprocess.run([sys.executable, "-c", COMPILED], env=machine, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kernels = done.stdout.split("-----\n")[:-1]
    assert len(kernels) == (2 if features == AVX2 else 4)
    for assembly in kernels:
        loops = product_loops(assembly)
        assert loops
        assert not [loop for loop in loops if loop.spills], loops


@pytest.mark.nightly
@on_x86
@pytest.mark.parametrize("name", PROCESSORS)
def test_every_op_on_another_processor(name, tmp_path):
    cpu, features, registers = PROCESSORS[name]
    machine = as_on(cpu, features, tmp_path)
    if registers > vector_registers():
        pytest.skip(f"this processor has no {name}")
    shown = subprocess.run([sys.executable, "-c", SHOWN], env=machine, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == str(registers)
    checked = subprocess.run([sys.executable, "-m", "npse", "check", "--edition", "cpu"], env=machine,
                             capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout[-3000:] + checked.stderr[-3000:]
    assert "checks right" in checked.stdout
