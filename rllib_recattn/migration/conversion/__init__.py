"""An experiment for RLlib's old API stack, written anew for the new one."""
