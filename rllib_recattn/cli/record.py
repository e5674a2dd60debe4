"""``rllib record``: episodes of a trained agent, for BC and MARWIL to learn from."""

from __future__ import annotations

from pathlib import Path

import click

from rllib_recattn.cli.output import writing
from rllib_recattn.errors import SettingsError


@click.command()
@click.argument("checkpoint", metavar="CHECKPOINT", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    metavar="DIRECTORY",
    required=True,
    type=click.Path(path_type=Path),
    help="Where the file of episodes goes; made if it is missing.",
)
@click.option(
    "--episodes", metavar="N", type=click.IntRange(min=1), default=100, show_default=True, help="How many episodes."
)
@click.option("--stochastic", is_flag=True, help="Sample actions, as in training. [default: take the most likely ones]")
@click.option("--random", "random_actions", is_flag=True, help="Draw actions at random in the place of the agent.")
@click.option(
    "--seed",
    metavar="S",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the first episode; the next has S + 1, and so on.",
)
def record(checkpoint: Path, output: Path, episodes: int, stochastic: bool, random_actions: bool, seed: int) -> None:
    """Let the agent saved in CHECKPOINT play, and write its episodes for BC and MARWIL.

    CHECKPOINT is a checkpoint's directory or a run's, whose newest checkpoint is taken. Checkpoints can run any code
    when they are read: open only those that you trust.
    """
    from rich.console import Console
    from rich.progress import Progress

    from rllib_recattn.experiment.checkpoints.checkpoint import find_checkpoint

    if stochastic and random_actions:
        raise SettingsError("--stochastic and --random: choose one of them")
    find_checkpoint(checkpoint)
    if output.exists() and not output.is_dir():
        raise SettingsError(f"--output {str(output)!r}: should be a directory, but is a file")

    # RLlib takes seconds to import, hence after all that can be checked without it.
    from rllib_recattn.experiment.cluster.ray_session import quiet_ray
    from rllib_recattn.experiment.evaluation.record import record_checkpoint

    console = Console(stderr=True)
    with (
        quiet_ray(),
        writing(output, "--output"),
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("Episodes", total=episodes)
        result = record_checkpoint(
            checkpoint,
            output,
            episodes=episodes,
            seed=seed,
            explore=stochastic,
            random_actions=random_actions,
            on_episode=lambda: progress.advance(task),
        )
    click.echo(
        f"Wrote {result.file}: {result.episodes} episode{'s' * (result.episodes > 1)}, {result.steps} steps, the "
        f"longest with {result.longest}; mean return {result.episode_return.mean:.2f}"
    )
