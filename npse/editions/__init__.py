"""What the compiled editions share: how an op is dispatched, and the geometry and variants of the convolution."""
