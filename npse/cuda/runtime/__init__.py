"""Runs the kernels: the device, the simulator or the compiler; memory; how work is divided among blocks and threads."""
