"""The rates of this machine that limit its ops: the matrix product of NumPy's BLAS, and copying."""

import platform
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from npse.bench.process import ask
from npse.bench.timing import times
from npse.support import environment

SIZE = 2048                      # rows and columns of the matrices
CORE_TYPES = ("SkylakeX", "Haswell") if platform.machine().lower() in ("x86_64", "amd64") else ()


def rates(threads, seconds, core_types=CORE_TYPES):
    """Measure in fresh processes: one in which OpenBLAS chooses its kernels, and one for each of ``core_types``.

    Returns
    -------
    dict
        ``sgemm_gflops``, ``copy_cache_gbs``, ``copy_memory_gbs``: the best of all processes; ``core_type``: the one
        with the best sgemm, None for OpenBLAS's own choice; ``cache_bytes``; ``tried``: one result for each process;
        ``load``: the load average of the minute before, None if the system does not report it.
    """
    load = environment.load()
    tried = [ask(measure, threads=threads, seconds=seconds) | {"core_type": None}]
    for core_type in core_types if "openblas" in tried[0]["blas"] else ():
        try:
            tried.append(ask(measure, threads=threads, seconds=seconds,
                             environment={"OPENBLAS_CORETYPE": core_type}) | {"core_type": core_type})
        except ChildProcessError:                                 # kernels that this CPU cannot run
            continue
    best = max(tried, key=lambda row: row["sgemm_gflops"])
    return {"sgemm_gflops": best["sgemm_gflops"], "core_type": best["core_type"], "blas": best["blas"],
            **{name: max(row[name] for row in tried) for name in ("copy_cache_gbs", "copy_memory_gbs")},
            "cache_bytes": cache_bytes(), "threads": threads, "tried": tried, "load": load}


def measure(threads, seconds):
    """Measure in this process; the fastest of several calls counts."""
    a, b = np.random.default_rng(0).standard_normal((2, SIZE, SIZE), np.float32)
    c = np.empty_like(a)
    sgemm = min(times(lambda: np.matmul(a, b, out=c), seconds))
    return {"sgemm_gflops": 2e-9 * SIZE**3 / sgemm, "blas": _blas(),
            "copy_cache_gbs": copy_rate(cache_bytes() // 4, threads, seconds),
            "copy_memory_gbs": copy_rate(min(4 * cache_bytes(), 2**28), threads, seconds)}


def copy_rate(size, threads, seconds):
    """Return the rate in GB/s of copying ``size`` bytes, one slice for each thread; bytes read and written both count.
    """
    source = np.ones(size // 4, np.float32)
    target = np.zeros_like(source)
    slices = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    repeats = max(1, 2**26 // size)                               # so many that starting the threads costs little

    def copy(pair):
        for _ in range(repeats):
            np.copyto(*pair)

    with ThreadPoolExecutor(threads) as pool:
        taken = times(lambda: list(pool.map(copy, slices)), seconds)
    return 2e-9 * repeats * source.nbytes / min(taken)


def cache_bytes():
    """Return the size in bytes of the last cache before memory, as Linux reports it; 16 MiB on other systems."""
    sizes = [Path(f"/sys/devices/system/cpu/cpu0/cache/index{level}/size") for level in (3, 2)]
    found = next((size.read_text() for size in sizes if size.exists()), "16384K")
    number, unit = re.fullmatch(r"(\d+)([KM]?)\s*", found).groups()
    return int(number) * {"": 1, "K": 2**10, "M": 2**20}[unit]


def _blas():
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return "; ".join(f"{pool['internal_api']} {pool['version']}, {pool.get('architecture', 'its')} kernels, "
                     f"{pool['num_threads']} threads" for pool in pools) or "unknown BLAS"
