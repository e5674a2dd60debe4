"""Faults of environments and EnvRunners: what is survived, what ends training, and how it is said."""

from rllib_recattn.rl_module.faults.survive import FAULT_TOLERANCE, survive_faults

__all__ = ["FAULT_TOLERANCE", "survive_faults"]
