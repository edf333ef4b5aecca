"""What the compiled editions share: dispatch, sizes and variants of the convolution, kernels on disk."""
