"""The evaluation that npse times, in OpenVINO or onnxruntime, which load the network as an ONNX model."""

import numpy as np

from npse.bench.step import WARM
from npse.bench.timing import figures, times
from npse.bench.workload import batch, build
from npse.interop.onnx_file import INPUT, to_onnx


class Peer:
    """A network in a runtime; ``evaluate()`` returns the logits of the batch that npse evaluates.

    The runtimes may use float32 only. Both are told the size of the batch, so that they can choose their kernels
    for it.
    """

    def __init__(self, model, batch_size, threads, runtime):
        x, _ = batch(batch_size)
        self._x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        content = to_onnx(build(model).eval(), x.shape[1:]).SerializeToString()
        self.evaluate, self.version = RUNTIMES[runtime](content, self._x, threads)


def openvino(content, x, threads):
    """Compile a model with OpenVINO; return (function, version)."""
    import openvino

    core = openvino.Core()
    model = core.read_model(content)
    model.reshape(x.shape)
    # without the hint OpenVINO computes in bfloat16 on processors that have it
    compiled = core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32",
                                                 "PERFORMANCE_HINT": "LATENCY"})
    request = compiled.create_infer_request()
    return lambda: request.infer({0: x}, share_inputs=True)[0], openvino.__version__


def onnxruntime(content, x, threads):
    """Load a model into onnxruntime; return (function, version)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3                                # errors only
    options.add_free_dimension_override_by_name("N", len(x))
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {INPUT: x})[0], onnxruntime.__version__


RUNTIMES = {"openvino": openvino, "onnxruntime": onnxruntime}


def measure(model, batch_size, threads, seconds, runtime):
    """Time the evaluation in a runtime; it trains nothing."""
    peer = Peer(model, batch_size, threads, runtime)
    return {"train": None, "eval": figures(times(peer.evaluate, seconds, warm=WARM)), "peak_mb": None,
            runtime: peer.version, "threads": threads}
