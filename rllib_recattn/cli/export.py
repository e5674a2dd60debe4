"""``rllib export``: a trained agent in a folder, to act without RLlib."""

from __future__ import annotations

from pathlib import Path

import click

from rllib_recattn.cli.output import writing
from rllib_recattn.errors import SettingsError


@click.command()
@click.argument("checkpoint", metavar="CHECKPOINT", type=click.Path(path_type=Path))
@click.option("-o", "--out", metavar="DIR", type=click.Path(path_type=Path), required=True, help="The folder to write.")
@click.option("--policy", metavar="ID", help="Which policy, of several. [default: all, a folder each]")
@click.option("--force", is_flag=True, help="Replace an agent that is in DIR already.")
def export(checkpoint: Path, out: Path, policy: str | None, force: bool) -> None:
    """Write the agent saved in CHECKPOINT into a folder.

    The weights are written as safetensors, settings and spaces as JSON. rllib_recattn.load_agent(DIR) loads them
    without Ray, and nothing in DIR is run when it does. CHECKPOINT is a checkpoint's directory or a run's, whose newest
    checkpoint is taken. Checkpoints can run any code when they are read: open only those that you trust.
    """
    from rllib_recattn.agents.stored import is_stored
    from rllib_recattn.experiment.checkpoints.checkpoint import find_checkpoint

    if is_stored(checkpoint):
        raise SettingsError(f"{str(checkpoint)!r}: is an exported agent already; should be a checkpoint")
    if not (checkpoint / "module_state.pkl").is_file():
        find_checkpoint(checkpoint)

    # RLlib takes seconds to import, hence after what can be checked without it.
    from rllib_recattn.experiment.cluster.ray_session import quiet_ray
    from rllib_recattn.experiment.trained_agents.export import export_agents

    with quiet_ray(), writing(out, "--out"):
        exported = export_agents(checkpoint, out, policy=policy, force=force)
    for each in exported:
        click.echo(f"Wrote {each.folder}: policy {each.policy}, {each.model}, {each.parameters:,} numbers")
    options = ["policy=…"] if len(exported) > 1 else []
    if any(each.names_code for each in exported):
        options.append("trust=True")
    click.echo(f"Load it with rllib_recattn.load_agent({', '.join([repr(str(out)), *options])})")
