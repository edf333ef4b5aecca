"""``npse info``: what npse finds on this machine; put it into each report of a problem."""

import importlib.util

from npse.cli.console import show


def info() -> None:
    """Print versions, cores, threads, BLAS, editions, folders and data sets."""
    import numpy as np

    from npse import backend, data
    from npse.support import environment, nvidia_driver

    np.ones((2, 2)) @ np.ones((2, 2))                             # loads the BLAS library
    rows = {name: version or "not installed" for name, version in environment.versions().items()}
    rows["commit"] = environment.commit() or "not a checkout"
    rows["processor"] = f"{environment.processor()}, {environment.cores()} cores usable"
    if quota := environment.quota():
        rows["quota"] = f"processor time of {quota:g} cores, set by the container"
    rows["BLAS"] = "; ".join(environment.blas()) or "unknown"
    rows["editions"] = ", ".join(backend.available())
    if importlib.util.find_spec("numba"):
        try:
            cpu = backend.edition("cpu")
        except (ImportError, ValueError) as error:
            rows["threads"] = " ".join(str(error).split())
        else:
            rows["threads"] = f"{cpu.get_threads()} of npse's own pool, for kernels and matrix products alike"
            rows["kernel cache"] = str(cpu.cache_folder() or "none: no folder can be written")
    unavailable = backend.why_unavailable("cuda")
    rows["GPU"] = f"{nvidia_driver.name() or 'none'}; {unavailable or 'the cuda edition runs on it'}"
    if not unavailable:
        rows["convolution on it"] = _convolution()
    rows["data folder"] = str(data.data_dir())
    rows["data found"] = ", ".join(data.found())
    show(("<", "<"), rows.items())


def _convolution() -> str:
    """Return the fastest variant of convolution that the cuda edition may use, and how to allow another."""
    from npse.cuda.conv import VARIANTS

    return (f"up to {VARIANTS.limit}; NPSE_CUDA_CONVOLUTION=winograd allows Winograd's algorithm, "
            "NPSE_CUDA_CONVOLUTION=tensor also tensor cores, in tf32")
