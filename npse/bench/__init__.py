"""The measurements of `npse bench`. Each runs in its own process, see process.py and worker.py.

    machine_rates.py   rates of this machine: matrix product, copy   gpu.py, gpu_rates.py   those of the GPU
    step.py            a whole training step and evaluation          workload.py            what is timed
    ops.py             each op call of a step, timed alone           flops.py               arithmetic of a call
    variants.py        each variant of the convolution               timing.py              clock and memory
    torch_peer.py      the same step in PyTorch                      compare.py             interleaved runs, ratios
    runtime_peer.py    the same evaluation in OpenVINO, onnxruntime  exported.py            a run beside its ONNX model
    report.py, roofline.py   tables and picture of the measurements
"""
