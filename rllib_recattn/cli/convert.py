"""``rllib convert``: an experiment for RLlib's old API stack, written for the new one."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from rllib_recattn.cli.output import check_output_file, writing
from rllib_recattn.errors import SettingsError


@click.command()
@click.argument("path", metavar="OLD.yaml", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", metavar="NEW.yaml", type=click.Path(path_type=Path), help="Where to write. [default: to the screen]"
)
@click.option("--force", is_flag=True, help="Write over NEW.yaml if it is there already.")
@click.pass_context
def convert(ctx: click.Context, path: Path, out: Path | None, force: bool) -> None:
    """Write the experiment OLD.yaml, for RLlib's old API stack, for the new one.

    What has no counterpart there is listed, with the reason. The trained weights of an agent are moved by
    rllib_recattn.convert_checkpoint.
    """
    if out is not None:
        _check_out(out, path, force)

    from rllib_recattn.experiment.algorithm.build import build_config
    from rllib_recattn.experiment.cluster.ray_session import quiet_ray
    from rllib_recattn.experiment.definition.load import load_experiment
    from rllib_recattn.migration.conversion.convert_file import convert_experiment

    with quiet_ray():
        converted = convert_experiment(path)
        for loss in converted.losses:
            click.echo(f"Not carried: {loss}", err=True)
        if out is None:
            click.echo(converted.text, nl=False)
        else:
            with writing(out, "--out"):
                out.write_text(converted.text, encoding="utf-8")
            click.echo(f"Wrote {out}")
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory, "converted.yaml")
            file.write_text(converted.text, encoding="utf-8")
            try:
                build_config(load_experiment(file))
            except SettingsError as error:
                name = str(out or "the new file")
                raise SettingsError(
                    f"{name} needs changes before it runs:\n" + str(error).replace(str(file), name)
                ) from error


def _check_out(out: Path, path: Path, force: bool) -> None:
    check_output_file(out, "--out")
    if out.exists() and path.exists() and out.samefile(path):
        raise SettingsError(f"--out {str(out)!r}: should be another file than {str(path)!r}")
    if out.exists() and not force:
        raise SettingsError(f"--out {str(out)!r}: there is such a file already; write over it with --force")
