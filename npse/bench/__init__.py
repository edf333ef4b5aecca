"""What `npse bench` measures. Every measurement runs in a process of its own: see process.py and worker.py.

    machine.py     the rates of this machine: matrix product and copy     support/nvidia_driver.py   those of the GPU
    step.py        a whole training step and evaluation
    ops.py         every op call of a step, timed alone         flops.py   how much arithmetic a call is
    ladder.py      every rung of the convolution
    torch_peer.py  the same step in PyTorch                     compare.py  round robin, ratios
    report.py, roofline.py   tables and picture of what was measured
"""
