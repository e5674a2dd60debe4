"""How RLlib's connectors bring the previous action and reward to a model."""
