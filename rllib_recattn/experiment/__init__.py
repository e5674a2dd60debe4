"""Experiments: from a YAML file to a validated description, an algorithm config, and a run."""
