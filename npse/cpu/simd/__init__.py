"""Vector registers: the register tile, and sums over channels, a vector at a time."""
