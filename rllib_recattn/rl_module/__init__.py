"""The models in RLlib's new API stack: encoder, catalog, module and the function that configures them."""

from rllib_recattn.tested_versions import warn_of_newer_ray

warn_of_newer_ray()
