"""What the kernels run on: the compiler and its cache, threads, memory, the BLAS library."""
