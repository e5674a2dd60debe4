"""Sampling of all environments of an EnvRunner in one batch: RLlib's episodes, without its work for each step of one.

RLlib's ``SingleAgentEnvRunner`` handles each environment by itself at each step, in ten connector pieces and in the
lists of its episode. Where all of these are RLlib's defaults and this package's, what comes of it is known: here one
array holds a step of all environments, and episodes are made of slices of these arrays when they end. They are equal
to the bit. Everything else goes RLlib's way.
"""
