"""``rllib schema``: the JSON Schema of experiment files."""

from __future__ import annotations

import json
from pathlib import Path

import click

from rllib_recattn.cli.output import check_output_file, writing


@click.command()
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Where to write. [default: to the screen]"
)
def schema(output: Path | None) -> None:
    """Print the JSON Schema of experiment files, with which editors complete and check them.

    Editors with the YAML language server find it by this comment in a file's first line:

    # yaml-language-server: $schema=PATH
    """
    if output is not None:
        check_output_file(output, "--output")

    from rllib_recattn.experiment.algorithm.schema import experiment_schema
    from rllib_recattn.experiment.cluster.ray_session import quiet_ray

    with quiet_ray():
        text = json.dumps(experiment_schema(), indent=1, ensure_ascii=False) + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    with writing(output, "--output"):
        output.write_text(text, encoding="utf-8")
    click.echo(f"Wrote {output}")
