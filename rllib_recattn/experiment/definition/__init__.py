"""What an experiment is: from a YAML file to a validated description, without loading RLlib."""
