"""A trained agent over HTTP: ``rllib serve``."""
