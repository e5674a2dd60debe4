"""``rllib evaluate``: how well does a trained agent do?"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rllib_recattn.cli.output import check_output_file, writing
from rllib_recattn.errors import SettingsError
from rllib_recattn.migration.command_line import says_nothing_any_more

if TYPE_CHECKING:
    from rllib_recattn.experiment.evaluation.evaluate import EvaluationResult
    from rllib_recattn.experiment.evaluation.intervals import Interval


@click.command()
@click.argument("checkpoint", metavar="CHECKPOINT", type=click.Path(path_type=Path))
@click.option(
    "--episodes", metavar="N", type=click.IntRange(min=1), default=100, show_default=True, help="How many episodes."
)
@click.option("--stochastic", is_flag=True, help="Sample actions, as in training. [default: take the most likely ones]")
@click.option(
    "--seed",
    metavar="S",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of the first episode; the next has S + 1, and so on.",
)
@click.option(
    "--out", metavar="FILE.json", type=click.Path(path_type=Path), help="Write the result as JSON, episode by episode."
)
@click.option("--video", metavar="FILE.gif|mp4", type=click.Path(path_type=Path), help="Film the first episodes.")
@says_nothing_any_more("--steps", "write --episodes N")
@says_nothing_any_more("--render", "film the agent with --video FILE.gif", is_flag=True)
@says_nothing_any_more("--video-dir", "write --video FILE.gif")
@says_nothing_any_more("--local-mode", "evaluation runs in one process anyway", is_flag=True)
@click.option("--algo", "--run", "algorithm", hidden=True, help="Must be the checkpoint's.")
@click.option("--env", hidden=True, help="Must be the checkpoint's.")
@click.option(
    "--video-episodes", metavar="N", type=click.IntRange(min=1), default=3, show_default=True, help="How many to film."
)
def evaluate(
    checkpoint: Path,
    episodes: int,
    stochastic: bool,
    seed: int,
    out: Path | None,
    video: Path | None,
    video_episodes: int,
    algorithm: str | None,
    env: str | None,
) -> None:
    """Let the agent saved in CHECKPOINT play, and print how well it does.

    CHECKPOINT is a checkpoint's directory or a run's, whose newest checkpoint is taken. Checkpoints can run any code
    when they are read: open only those that you trust.
    """
    from rich.console import Console
    from rich.progress import Progress

    from rllib_recattn.experiment.checkpoints.checkpoint import find_checkpoint
    from rllib_recattn.experiment.evaluation.video import VideoRecorder

    find_checkpoint(checkpoint)
    if out is not None:
        check_output_file(out, "--out")
    if video is not None:
        check_output_file(video, "--video")
    recorder = None if video is None else VideoRecorder(video, min(video_episodes, episodes))

    # RLlib takes seconds to import, hence after all that can be checked without it.
    from rllib_recattn.experiment.cluster.ray_session import quiet_ray
    from rllib_recattn.experiment.evaluation.evaluate import evaluate_checkpoint

    console = Console(stderr=True)
    if algorithm is not None or env is not None:
        with quiet_ray():
            _check_said(checkpoint, algorithm, env)
    with (
        quiet_ray(),
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("Episodes", total=episodes)
        result = evaluate_checkpoint(
            checkpoint,
            episodes=episodes,
            seed=seed,
            explore=stochastic,
            video=recorder,
            on_episode=lambda episode: progress.advance(task),
        )
    _print_table(result)
    if out is not None:
        with writing(out, "--out"):
            out.write_text(json.dumps(_data(result), indent=2, default=str) + "\n", encoding="utf-8")
        click.echo(f"Wrote {out}")
    if result.no_video is not None:
        click.echo(f"Note: no video was written: {result.no_video}", err=True)
    elif video is not None:
        click.echo(f"Wrote {video}")


def _check_said(checkpoint: Path, algorithm: str | None, env: str | None) -> None:
    """Compare what older versions of RLlib had to be told with what the checkpoint knows by itself."""
    from rllib_recattn.experiment.checkpoints.checkpoint import find_checkpoint, load_config

    config = load_config(find_checkpoint(checkpoint))
    trained_on = config.env if isinstance(config.env, str) else f"{config.env.__module__}.{config.env.__qualname__}"
    trained_by = type(config).__name__.removesuffix("Config")
    for option, said, known in (("--algo", algorithm, trained_by), ("--env", env, trained_on)):
        if said is not None and said != known:
            raise SettingsError(f"{option} {said}: this agent is one of {known}; leave the option out")


def _print_table(result: EvaluationResult) -> None:
    from rich.console import Console
    from rich.table import Table

    count = len(result.episodes)
    actions = "sampled" if result.explore else "greedy"
    table = Table()
    for heading in ("", "mean", "95 % interval"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row("return", *_cells(result.episode_return, 2))
    for policy, interval in result.policy_returns.items():
        table.add_row(f"  of policy {policy}", *_cells(interval, 2))
    for agent, interval in result.agent_returns.items():
        table.add_row(f"  of agent {agent}", *_cells(interval, 2))
    table.add_row("length", *_cells(result.length, 1))
    if result.success_rate is not None:
        table.add_row("success rate", *_cells(result.success_rate, 3))
    console = Console(highlight=False)
    console.print(f"{result.env}: {count} episode{'s' * (count > 1)}, {actions} actions", style="bold")
    console.print(table)


def _cells(interval: Interval, decimals: int) -> tuple[str, str]:
    if interval.low is None or interval.high is None:
        return f"{interval.mean:.{decimals}f}", "–"
    return (
        f"{interval.mean:.{decimals}f}",
        f"{interval.low:.{decimals}f} … {interval.high:.{decimals}f}",
    )


def _data(result: EvaluationResult) -> dict[str, Any]:
    of_several = {
        key: {name: asdict(interval) for name, interval in intervals.items()}
        for key, intervals in (("agent_returns", result.agent_returns), ("policy_returns", result.policy_returns))
        if intervals
    }
    return {
        "checkpoint": str(result.checkpoint),
        "env": result.env,
        "env_config": result.env_config,
        "explore": result.explore,
        "episode_return": asdict(result.episode_return),
        **of_several,
        "length": asdict(result.length),
        "success_rate": None if result.success_rate is None else asdict(result.success_rate),
        "episodes": [asdict(episode) for episode in result.episodes],
    }
