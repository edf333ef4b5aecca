"""Every op of the cpu edition, compiled for other processors than this one, and run: AVX2, and SSE without tiles.

A processor with AVX-512 runs the code of its predecessors. ARM: tests/arm64.sh.
"""

import os
import platform
import subprocess
import sys

import pytest

pytest.importorskip("numba")

from npse.cpu.simd.tile_llvm import vector_registers

PROCESSORS = {"AVX2": ("haswell", "+avx2,+fma", (32, 16)), "SSE2": ("nocona", "+sse2", (0, 0))}
SHOWN = "from npse.cpu.simd.tile_llvm import vector_registers; print(vector_registers())"


@pytest.mark.nightly
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="compiles for x86")
@pytest.mark.parametrize("name", PROCESSORS)
def test_every_op_on_another_processor(name, tmp_path):
    cpu, features, registers = PROCESSORS[name]
    if registers > vector_registers():
        pytest.skip(f"this processor has no {name}")
    machine = os.environ | {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features, "NPSE_CACHE_DIR": str(tmp_path)}
    shown = subprocess.run([sys.executable, "-c", SHOWN], env=machine, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == str(registers)
    checked = subprocess.run([sys.executable, "-m", "npse", "check", "--edition", "cpu"], env=machine,
                             capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout[-3000:] + checked.stderr[-3000:]
    assert "checks right" in checked.stdout
