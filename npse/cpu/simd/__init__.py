"""Vector registers: the register tile, and sums of channels a vector at a time."""
