"""What the kernels run on: the device or its stand-ins, memory, and how blocks and threads share out work."""
