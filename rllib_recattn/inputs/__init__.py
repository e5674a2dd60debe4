"""What a model sees of an environment, as vectors: observations of any space, the previous action and reward."""
