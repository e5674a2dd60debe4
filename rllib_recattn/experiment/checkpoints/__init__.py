"""Checkpoints of runs: found, read, and compared with what is to go on from them."""
