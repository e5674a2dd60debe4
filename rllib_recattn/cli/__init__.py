"""The command line, ``rllib``."""
