"""Trained agents of RLlib's checkpoints, ready to act."""
