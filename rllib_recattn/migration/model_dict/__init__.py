"""The ``model`` dict of RLlib's old API stack, and what stands in its place on the new one."""
