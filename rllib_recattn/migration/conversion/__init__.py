"""An experiment for RLlib's old API stack, rewritten for the new one."""
