"""The runtime of the kernels: the compiler and its cache, threads, memory, the BLAS library."""
