"""A trained agent at work, in plain PyTorch; imports neither Ray nor RLlib."""
