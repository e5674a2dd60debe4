"""The option ``--ray-address``."""

from __future__ import annotations

import click


def _cluster(ctx: click.Context, parameter: click.Parameter, address: str | None) -> str | None:
    return None if address in (None, "", "local") else address


ray_address_option = click.option(
    "--ray-address",
    metavar="HOST:PORT",
    envvar="RAY_ADDRESS",
    show_envvar=True,
    callback=_cluster,
    help="The cluster whose head is there, or the one that this machine is a node of (auto). "
    "[default: this machine alone]",
)
