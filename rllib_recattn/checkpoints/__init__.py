"""Trained agents from one of RLlib's API stacks to the other."""
