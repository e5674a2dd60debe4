"""Connecting to a cluster that is there; what Ray says when it fails, in one line."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray

from rllib_recattn.errors import SettingsError
from rllib_recattn.importing import importable_folders
from rllib_recattn.private_names import MissingNameError
from rllib_recattn.ray_internals import addresses_of_nodes, job_config, resolved_address

AUTO = "auto"
ANSWER_SECONDS = 5.0


def connect(address: str, runtime_env: Mapping[str, Any] | None = None, verbose: int = 0) -> None:
    """Connect this process to a cluster, on one of whose nodes it runs.

    Args:
        address: ``HOST:PORT`` of the cluster's head, or ``auto`` for the cluster that this machine is a node of.
        runtime_env: What Ray prepares on the nodes for this process's tasks and actors.
        verbose: Above 0, Ray's own log and the output of the cluster's processes are shown.

    Raises:
        SettingsError: If that does not work, with the reason and what to do.
    """
    where = f"--ray-address {address}"
    found = _resolve(address, where)
    _require_answer(found, where)
    if address != AUTO:  # with which Ray finds out by itself whether there is a token, and joins this machine's cluster
        _require_token(where)
        _require_membership(found, where)
    try:
        with _quiet_stderr(verbose):
            ray.init(
                address=address,
                job_config=job_config(importable_folders()),
                runtime_env=None if runtime_env is None else dict(runtime_env),
                log_to_driver=verbose > 0,
                logging_level=logging.INFO if verbose else logging.ERROR,
            )
    except Exception as error:  # RuntimeError, ValueError, ConnectionError and Ray's own, by no rule
        ray.shutdown()
        raise SettingsError(f"{where}: {_reason(error)}") from error


def _resolve(address: str, where: str) -> str:
    """Return the ``host:port`` that Ray would connect to."""
    if "://" in address:
        raise SettingsError(
            f"{where}: should be HOST:PORT of the cluster's head; experiments are started on a node of the cluster, "
            "where `ray job submit` can start them too, and not through Ray Client"
        )
    try:
        found = resolved_address(address)
    except ValueError as error:
        raise SettingsError(f"{where}: should be HOST:PORT, such as 10.0.0.1:6379, or auto") from error
    except OSError:
        found = None
    if found is None:
        raise SettingsError(
            f"{where}: no Ray runs on this machine; start it with `ray start --head`, or join a cluster with "
            "`ray start --address=HOST:PORT`"
        )
    return found


def _require_answer(found: str, where: str) -> None:
    """Refuse an address where nothing listens: Ray would try for minutes."""
    host, _, port = found.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()
    except OSError as error:
        reason = error.strerror or str(error) or "no answer"
        stale = ", which is where Ray last ran on this machine" if where.endswith(AUTO) else ""
        raise SettingsError(
            f"{where}: nothing answers at {found}{stale}: {reason.lower()}; should be where `ray start --head` "
            "says that the cluster is, with the port open"
        ) from error


def _require_token(where: str) -> None:
    """Refuse to go without the token that `RAY_AUTH_MODE` asks for: Ray would end this process."""
    if os.environ.get("RAY_AUTH_MODE", "").lower() != "token" or os.environ.get("RAY_AUTH_TOKEN"):
        return
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()
    if not path.is_file() or not path.read_text(encoding="utf-8").strip():
        raise SettingsError(f"{where}: {_token_advice()}")


def _require_membership(found: str, where: str) -> None:
    """Refuse a wrong token, and a machine that no node of the cluster runs on: Ray would try on and on."""
    try:
        with _quiet_stderr():
            addresses = addresses_of_nodes(found)
    except MissingNameError:
        raise
    except Exception as error:
        if type(error).__name__ == "AuthenticationError":  # older versions of Ray have none
            raise SettingsError(f"{where}: {_token_advice()}") from error
        return  # whatever else is wrong, `ray.init` finds it too
    if addresses and not any(_is_own(address) for address in addresses):
        raise SettingsError(
            f"{where}: this machine is not a node of the cluster ({', '.join(sorted(addresses)[:5])}): run the command "
            f"on one of them, or let this machine join with `ray start --address={found}`"
        )


def _is_own(address: str) -> bool:
    """Say whether this machine has an IP address: then a socket can be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trying:
        try:
            trying.bind((address, 0))
        except OSError:
            return False
    return True


def _token_advice() -> str:
    return (
        "the cluster asks for a token, and the one here is missing or another "
        f"(RAY_AUTH_MODE is {os.environ.get('RAY_AUTH_MODE') or 'not set'}); set RAY_AUTH_MODE=token, and "
        "RAY_AUTH_TOKEN or ~/.ray/auth_token to the token of the head, which `ray get-auth-token` prints there"
    )


def _reason(error: Exception) -> str:
    text = " ".join(_without_traceback(str(each)) for each in (error, error.__cause__) if each)
    text = " ".join(text.split())
    if "AuthToken" in text or type(error).__name__ == "AuthenticationError":
        return _token_advice()
    if "Version mismatch" in text:
        return f"{text}; Ray and Python should be the same on all machines"
    return text[:500]


def _without_traceback(text: str) -> str:
    """Leave out of a message the traceback that Ray puts into it, but for what it ends with."""
    before, found, traceback = text.partition("Traceback (most recent call last):")
    return f"{before} {traceback.rstrip().rpartition(chr(10))[2]}" if found else text


@contextmanager
def _quiet_stderr(verbose: int = 0) -> Iterator[None]:
    """Drop what Ray's C++ part writes about attempts that fail; the error that comes of them says it once."""
    if verbose:
        yield
        return
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
