"""``python -m rllib_recattn``: the ``rllib`` command, where the shell does not find it."""

from rllib_recattn.cli.main import main

if __name__ == "__main__":
    main(prog_name="python -m rllib_recattn")
