"""The ``rllib`` command. Nothing heavy is imported before a subcommand needs it."""

from __future__ import annotations

import warnings

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
        "export": ("rllib_recattn.cli.export:export", "Write a trained agent, to act without RLlib."),
        "serve": ("rllib_recattn.cli.serve:serve", "Let a trained agent act for programs that ask over HTTP."),
        "record": ("rllib_recattn.cli.record:record", "Record episodes of a trained agent, for BC and MARWIL."),
        "inspect": ("rllib_recattn.cli.inspect:inspect", "Draw what a trained agent remembers."),
        "plot": ("rllib_recattn.cli.plot:plot", "Draw the learning curves of runs."),
        "sweep-report": (
            "rllib_recattn.cli.sweep_report:sweep_report",
            "Compare the configurations of a sweep.",
        ),
        "validate": ("rllib_recattn.cli.validate:validate", "Check experiment files."),
        "schema": ("rllib_recattn.cli.schema:schema", "Print the JSON Schema of experiment files, for editors."),
        "example": ("rllib_recattn.cli.example:example", "List, show and train the tuned examples."),
        "convert": ("rllib_recattn.cli.convert:convert", "Write an old-stack experiment for the new API stack."),
        "doctor": ("rllib_recattn.cli.doctor:doctor", "Look for what would keep training from working."),
        "models": ("rllib_recattn.cli.models:models", "List the models and their settings."),
        "compare": ("rllib_recattn.cli.compare:compare", "Tell which model a task asks for."),
        "probe": ("rllib_recattn.cli.probe:probe", "Tell what memories can learn, in a minute each."),
    },
)
@click.version_option(__version__, "-V", "--version", prog_name="rllib-recattn")
def main() -> None:
    """Train and evaluate agents with memory on Ray RLlib.

    \b
    Begin with these, in any folder:
      rllib train file tmaze-agalite-ppo --storage-path results   a minute or two
      rllib evaluate results/tmaze-agalite-ppo                    what it has learnt
      rllib inspect results/tmaze-agalite-ppo                     what it remembers
    """
    # RLlib imports dm_control where it is installed, whose choice of a renderer complains where there is no screen.
    warnings.filterwarnings("ignore", module="glfw")
