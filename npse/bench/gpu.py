"""The rates of the GPU, with which its ops are compared: copying in its memory, and multiply-adds in registers."""

from npse import backend, gpu


def measure(threads):
    """Measure in this process; ``threads`` of the host have nothing to do with it."""
    backend.use("cuda")
    from npse.cuda import rates

    return {"gpu": gpu.record(), "copy_memory_gbs": rates.copy_rate(), "multiply_add_gflops": rates.multiply_add_rate()}
