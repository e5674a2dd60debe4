"""Whether MLflow's tracking server answers: asked before training, and with little patience while it goes on."""

from __future__ import annotations

import logging
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.training.loggers.side_logger import error_line

_SECONDS = 5
_RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
_TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


def check_server(tracking_uri: str, experiment_name: str, where: str) -> None:
    """See that MLflow will take results, before training starts.

    A database is only asked whether it is there: to talk to it would make its tables, and of one that is not there
    MLflow asks again for most of an hour.

    Args:
        tracking_uri: The server or database.
        experiment_name: MLflow's experiment.
        where: What names the server, for the message: file and key path, or a variable.

    Raises:
        SettingsError: If the server is out of reach or refuses us, the experiment was deleted, or MLflow does not know
            what to do with such an address.
    """
    address = urlsplit(tracking_uri)
    shown = f"{where} = {_without_user(address)!r}"
    kind = address.scheme.partition("+")[0]  # of `postgresql+psycopg2`
    if kind == "sqlite":
        _check_file(address.path[1:], shown)
        return
    if kind in _PORTS:
        _connect(address.hostname or "localhost", address.port or _PORTS[kind], shown)
        return
    from mlflow.tracking import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    try:
        with impatient(retries=0):
            experiment = MlflowClient(tracking_uri=tracking_uri).get_experiment_by_name(experiment_name)
    except Exception as error:
        reason = error_line(_root(error))
        for secret in (address.username, address.password):
            reason = reason.replace(secret, "…") if secret else reason
        raise SettingsError(
            f"{shown}: should be an MLflow server that answers within {_SECONDS} s, or a database such as "
            f"sqlite:////home/me/mlflow.db: {reason}"
        ) from None
    if experiment is not None and experiment.lifecycle_stage == "deleted":
        raise SettingsError(
            f"{shown}: the experiment {experiment_name!r} is among its deleted ones: restore it, or write another "
            "experiment_name"
        )


@contextmanager
def impatient(retries: int = 1) -> Iterator[None]:
    """Let MLflow give up on a server within seconds, unless the environment says how long to wait for it.

    By itself it waits for minutes, in which no trial gets to its next iteration and Ctrl-C goes unheard.
    """
    ours = {_RETRIES: str(retries), _TIMEOUT: str(_SECONDS)}
    added = {name: value for name, value in ours.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _check_file(path: str, shown: str) -> None:
    file = Path(path)
    nearest = next(parent for parent in (file.absolute(), *file.absolute().parents) if parent.exists())
    try:
        if file.is_file():
            with closing(sqlite3.connect(file)) as database:
                database.execute("pragma schema_version")
        elif file.is_dir() or not nearest.is_dir() or not os.access(nearest, os.W_OK):
            raise OSError(f"{nearest} is no directory that can be written to")
    except (OSError, sqlite3.Error) as error:
        raise SettingsError(f"{shown}: should be a file with a database, or one that can be made: {error}") from None


def _connect(host: str, port: int, shown: str) -> None:
    try:
        socket.create_connection((host, port), timeout=_SECONDS).close()
    except OSError as error:
        raise SettingsError(f"{shown}: nothing answers there within {_SECONDS} s: {error}") from None


def _without_user(address: SplitResult) -> str:
    return address._replace(netloc=address.netloc.rpartition("@")[2]).geturl()


def _root(error: BaseException) -> BaseException:
    """Return what went wrong with the connection, of which MLflow's message tells at its very end; else the error."""
    root = error
    while (cause := root.__cause__ or root.__context__) is not None:
        root = cause
    return root if isinstance(root, OSError) else error
