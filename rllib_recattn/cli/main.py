"""The ``rllib`` command. Nothing heavy is imported before a subcommand needs it."""

from __future__ import annotations

import click

from rllib_recattn._version import __version__
from rllib_recattn.cli.lazy_group import LazyGroup

CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(
    cls=LazyGroup,
    context_settings=CONTEXT_SETTINGS,
    commands_at={
        "train": ("rllib_recattn.cli.train:train", "Train an agent."),
        "evaluate": ("rllib_recattn.cli.evaluate:evaluate", "Evaluate a trained agent."),
        "convert": ("rllib_recattn.cli.convert:convert", "Write an old-stack experiment for the new API stack."),
        "models": ("rllib_recattn.cli.models:models", "List the models and their settings."),
    },
)
@click.version_option(__version__, "-V", "--version", prog_name="rllib-recattn")
def main() -> None:
    """Train and evaluate agents with memory on Ray RLlib.

    Begin with: rllib train file tuned_examples/tmaze-agalite-ppo.yaml
    """
