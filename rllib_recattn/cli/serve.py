"""``rllib serve``: a trained agent over HTTP."""

from __future__ import annotations

import ipaddress
import math
import socket
from pathlib import Path

import click

from rllib_recattn.errors import SettingsError


@click.command()
@click.argument("agent", metavar="AGENT", type=click.Path(path_type=Path))
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen at.",
)
@click.option(
    "--port", metavar="PORT", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: a free one."
)
@click.option("--policy", metavar="ID", help="Which policy, of several.")
@click.option(
    "--workers", metavar="N", type=click.IntRange(1, 1024), default=1, show_default=True, help="How many processes."
)
@click.option(
    "--expire",
    metavar="SECONDS",
    type=float,
    default=3600.0,
    show_default=True,
    help="How long a session may wait before it goes on.",
)
@click.option(
    "--secret-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="What states are signed with: sessions then outlast a restart. [default: a new one]",
)
@click.option(
    "--max-body", metavar="MIB", type=click.IntRange(min=1), default=16, show_default=True, help="Largest request."
)
@click.option("--device", metavar="DEVICE", default="cpu", show_default=True, help="Where it computes.")
@click.option("--trust", is_flag=True, help="Import a model or encoder of your own that an exported agent names.")
def serve(
    agent: Path,
    host: str,
    port: int,
    policy: str | None,
    workers: int,
    expire: float,
    secret_file: Path | None,
    max_body: int,
    device: str,
    trust: bool,
) -> None:
    """Let the trained agent in AGENT act for programs that ask over HTTP.

    AGENT is what rllib export wrote, or a checkpoint or a run: those can run any code when they are read.

    \b
    POST /act    {"session": "a", "observation": […], "state": …}
                 → {"action": …, "state": …}
    POST /reset  the state at the beginning of an episode
    GET /agent   what it is given, and what it returns
    GET /docs    all of it, with a page to try it

    The answer's state goes into the next request of the session, and is left out where an episode begins. The server
    keeps nothing, so that workers may come and go. It asks nobody who they are: leave it at this machine's own address,
    or put something in front that does.
    """
    if not expire > 0 or math.isinf(expire):
        raise SettingsError(f"--expire {expire:g}: should be a finite number of seconds > 0")
    try:
        from rllib_recattn.serving.server import ServingSettings, read_secret
        from rllib_recattn.serving.server import serve as run
    except ImportError as error:
        raise SettingsError(f"rllib serve needs {error.name}: pip install 'rllib-recattn[serve]'") from error

    settings = ServingSettings(
        path=str(agent),
        policy=policy,
        trust=trust,
        device=device,
        secret=read_secret(secret_file),
        expire_s=expire,
        largest_body=max_body << 20,
    )
    loaded = settings.load()
    port = _free_port(host, port)
    click.echo(f"{loaded.description.model} acts at http://{_in_url(host)}:{port}, see /docs. Ctrl-C ends it.")
    if not _is_loopback(host):
        click.echo("Note: whoever reaches this address can use it; it asks nobody who they are.", err=True)
    run(settings, loaded, host=host, port=port, workers=workers)


def _free_port(host: str, port: int) -> int:
    """Return the port, or a free one for 0; refuse one that is taken before anything starts."""
    try:
        (family, kind, _, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        with socket.socket(family, kind) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
            return int(tried.getsockname()[1])
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingsError(f"--host {host} --port {port}: cannot listen there: {reason}") from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
