"""What the compiled editions share: the dispatch of ops, and the geometry and the variants of the convolution."""
