"""The models in RLlib's new API stack: encoder, catalog, module and the function that configures them."""
