"""What a model sees of an environment: encoded observations, the previous action and the previous reward."""
