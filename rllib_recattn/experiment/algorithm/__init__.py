"""From an experiment to the config of its RLlib algorithm, and back to YAML."""
