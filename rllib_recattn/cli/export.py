"""``rllib export``: a trained agent in a folder, to act without RLlib."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rllib_recattn.cli.output import writing
from rllib_recattn.errors import SettingsError

if TYPE_CHECKING:
    from rllib_recattn.experiment.trained_agents.export import ExportFormat


@click.command()
@click.argument("checkpoint", metavar="CHECKPOINT", type=click.Path(path_type=Path))
@click.option("-o", "--out", metavar="DIR", type=click.Path(path_type=Path), required=True, help="The folder to write.")
@click.option("--policy", metavar="ID", help="Which policy, of several. [default: all, a folder each]")
@click.option("--force", is_flag=True, help="Replace an agent that is in DIR already.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["safetensors", "onnx", "pt2"]),
    default="safetensors",
    show_default=True,
    help="safetensors for rllib_recattn.load_agent, onnx for onnxruntime, pt2 for PyTorch alone.",
)
@click.option("--values", is_flag=True, help="Have the step of onnx and pt2 return values as well.")
def export(checkpoint: Path, out: Path, policy: str | None, force: bool, form: ExportFormat, values: bool) -> None:
    """Write the agent saved in CHECKPOINT into a folder.

    As safetensors, weights are written with settings and spaces as JSON. rllib_recattn.load_agent(DIR) loads them
    without Ray, and nothing in DIR is run when it does. As onnx or pt2 a step of the agent is written as a graph, with
    the state in and out, for programs without this package; interface.json says what goes in and comes out. It is run
    beside the agent before it is kept. CHECKPOINT is a checkpoint's directory or a run's, whose newest checkpoint is
    taken. Checkpoints can run any code when they are read: open only those that you trust.
    """
    from rllib_recattn.checkpoint_files import is_of_rllib
    from rllib_recattn.experiment.checkpoints.checkpoint import find_checkpoint

    if not is_of_rllib(checkpoint) and any((checkpoint / name).is_file() for name in ("agent.json", "interface.json")):
        raise SettingsError(f"{str(checkpoint)!r}: is an exported agent already; should be a checkpoint")
    if not (checkpoint / "module_state.pkl").is_file():
        find_checkpoint(checkpoint)

    # RLlib takes seconds to import, hence after what can be checked without it.
    from rllib_recattn.experiment.cluster.ray_session import quiet_ray
    from rllib_recattn.experiment.trained_agents.export import export_agents

    with quiet_ray(), writing(out, "--out"):
        exported = export_agents(checkpoint, out, policy=policy, force=force, form=form, values=values)
    for each in exported:
        click.echo(f"Wrote {each.folder}: policy {each.policy}, {each.model}, {each.parameters:,} numbers")
        if each.error is not None:
            click.echo(f"Beside the agent, in 50 steps of 1, 3 and 64 rows: the largest error is {each.error:.1e}")
    if form != "safetensors":
        click.echo("interface.json says what goes in and comes out; docs/agents.md shows how to run it")
        return
    options = ["policy=…"] if len(exported) > 1 else []
    if any(each.names_code for each in exported):
        options.append("trust=True")
    click.echo(f"Load it with rllib_recattn.load_agent({', '.join([repr(str(out)), *options])})")
