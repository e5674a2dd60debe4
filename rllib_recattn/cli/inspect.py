"""``rllib inspect``: what does a trained agent remember?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from rllib_recattn.cli.output import check_output_file, writing
from rllib_recattn.errors import SettingsError

SUFFIXES = (".png", ".svg", ".pdf")


@click.command()
@click.argument("checkpoint", metavar="CHECKPOINT", type=click.Path(path_type=Path))
@click.option(
    "--seed", metavar="S", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the episode."
)
@click.option("--stochastic", is_flag=True, help="Sample actions, as in training. [default: take the most likely ones]")
@click.option(
    "--cue-step",
    metavar="T",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="The step of the observation that is to be remembered.",
)
@click.option(
    "--of",
    type=click.Choice(["action", "value"]),
    default="action",
    show_default=True,
    help="What to look at: the distribution of the actions and the chosen one's logit, or the value.",
)
@click.option(
    "--replace-with",
    type=click.Choice(["episodes", "zeros"]),
    default="episodes",
    show_default=True,
    help="What stands in the place of an observation: what other episodes showed at its step, where it differs, else "
    "zeros; or zeros everywhere.",
)
@click.option(
    "--replacements",
    metavar="K",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="How many other episodes these are, with the seeds that follow.",
)
@click.option(
    "--episodes",
    metavar="N",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="With 20 or more, a probe is fitted to them that reads the cue from the state; it needs cues that are few and "
    "recur.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE.png|svg|pdf",
    type=click.Path(path_type=Path),
    default=Path("memory.png"),
    show_default=True,
    help="Where to draw.",
)
@click.option(
    "--gif",
    "video",
    metavar="FILE.gif|mp4",
    type=click.Path(path_type=Path),
    help="Film the episode beside its memory.",
)
@click.option("--json", "data", metavar="FILE.json", type=click.Path(path_type=Path), help="Write the numbers as JSON.")
def inspect(
    checkpoint: Path,
    seed: int,
    stochastic: bool,
    cue_step: int,
    of: Any,
    replace_with: Any,
    replacements: int,
    episodes: int,
    output: Path,
    video: Path | None,
    data: Path | None,
) -> None:
    """Let the agent saved in CHECKPOINT play an episode, and draw what it still knows at every step.

    The picture shows how far another cue, or another observation at any other step, would move each later action; the
    gradient of each action; the gates or the attention of the model's layers, the size of its state, actions and
    rewards. CHECKPOINT is a
    checkpoint's directory or a run's, of a single agent. Checkpoints can run any code when they are read: open only
    those that you trust.
    """
    from rich.console import Console
    from rich.progress import Progress

    from rllib_recattn.experiment.checkpoints.checkpoint import find_checkpoint
    from rllib_recattn.experiment.evaluation.video import VideoRecorder

    find_checkpoint(checkpoint)
    _check_file(output, "--output", SUFFIXES)
    if data is not None:
        _check_file(data, "--json", (".json",))
    if video is not None:
        check_output_file(video, "--gif")
    recorder = None if video is None else VideoRecorder(video, 1)

    # RLlib takes seconds to import, hence after all that can be checked without it.
    from rllib_recattn.experiment.cluster.ray_session import quiet_ray
    from rllib_recattn.experiment.inspection.animation import animate_inspection
    from rllib_recattn.experiment.inspection.data import as_data
    from rllib_recattn.experiment.inspection.figure import draw_inspection
    from rllib_recattn.experiment.inspection.inspect import inspect_checkpoint

    console = Console(stderr=True)
    with quiet_ray(), Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Steps", total=None)
        inspection = inspect_checkpoint(
            checkpoint,
            seed=seed,
            explore=stochastic,
            episodes=episodes,
            cue_step=cue_step,
            of=of,
            replace_with=replace_with,
            n_others=replacements,
            on_progress=lambda done: progress.advance(task, done),
        )
        with writing(output, "--output"):
            draw_inspection(inspection, output)
        if recorder is not None:
            animate_inspection(inspection, recorder)
    if data is not None:
        with writing(data, "--json"):
            data.write_text(json.dumps(as_data(inspection)) + "\n", encoding="utf-8")
    click.echo(f"{inspection.summary}.")
    for written in (output, video, data):
        if written is not None:
            click.echo(f"Wrote {written}")


def _check_file(path: Path, option: str, suffixes: tuple[str, ...]) -> None:
    if path.suffix.lower() not in suffixes:
        raise SettingsError(f"{option} {str(path)!r}: should end in {' or '.join(suffixes)}")
    check_output_file(path, option)
