"""The rates of the GPU that limit its ops: copying in its memory, and multiply-adds in registers."""

from npse import backend
from npse.support import nvidia_driver


def measure(threads):
    """Measure in this process; ``threads``, those of the host, do not affect the result."""
    backend.use("cuda")
    from npse.bench import gpu_rates

    return {"gpu": nvidia_driver.record(), "copy_memory_gbs": gpu_rates.copy_rate(),
            "multiply_add_gflops": gpu_rates.multiply_add_rate()}
