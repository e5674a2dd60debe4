"""What came before: RLlib's old API stack, older versions of Ray, and the way from there to here.

- ``old_files``: names and settings that files of older versions have, read under their present names;
- ``model_dict``: the ``model`` dict of the old API stack, and what stands in its place;
- ``conversion``: a whole file, written for the new API stack;
- ``checkpoints``: trained agents, from one API stack to the other;
- ``command_line``: commands and options of older versions.
"""
