"""Starts Ray's workers as forks of a process that has imported RLlib, which takes each of them seconds otherwise.

Ray runs this file in place of its own `setup_worker.py`. The first one of a Ray instance leaves a server behind, which
forks a process for each worker and ends with Ray. A worker is what it always is: only imports of Ray and PyTorch
are behind it, and it draws random numbers of its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import sys
import tempfile

# The last is what PyTorch imports where an algorithm has a seed.
MODULES = ("ray.rllib.algorithms", "ray.tune", "ray._private.workers.default_worker", "torch._inductor")


def main() -> None:
    """Have a worker forked, and live as long as it does."""
    arguments, context = [], {}
    for argument in sys.argv[1:]:
        if argument.startswith("--serialized-runtime-env-context="):
            context = json.loads(argument.partition("=")[2] or "{}")
        elif not argument.startswith("--language="):
            arguments.append(argument)
    environment = os.environ | context.get("env_vars", {})
    connection = connect(os.getppid())
    data = json.dumps([os.getcwd(), arguments, environment]).encode()
    socket.send_fds(connection, [len(data).to_bytes(8, "big")], [0, 1, 2])
    connection.sendall(data)
    connection.recv(1)  # nothing, as the worker ends


def connect(raylet: int) -> socket.socket:
    """Return a connection to the server of one of Ray's nodes, which is started if there is none."""
    address = os.path.join(tempfile.gettempdir(), f"ray_worker_{os.getuid()}_{raylet}")
    connection = socket.socket(socket.AF_UNIX)
    with open(f"{address}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            connection.connect(address)
        except OSError:
            server = socket.socket(socket.AF_UNIX)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(address)
            server.bind(address)
            server.listen(64)
            if os.fork() == 0:
                lock.close()
                connection.close()
                serve(server, address, raylet)
            server.close()
            connection.connect(address)
    return connection


def serve(server: socket.socket, address: str, raylet: int) -> None:
    """Fork a worker for each connection until Ray is gone."""
    import importlib
    import select
    import signal

    import quick_rllib

    os.setsid()
    quick_rllib.build_connectors_quickly()
    make_class_ids_apart()
    for module in MODULES:
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while is_alive(raylet):
        if not select.select([server], [], [], 1)[0]:
            continue
        connection, _ = server.accept()
        if os.fork() == 0:
            server.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            become(connection)
        connection.close()
    for name in (address, f"{address}.lock"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    os._exit(0)


def make_class_ids_apart() -> None:
    """Have the actor classes of imported modules named by other random numbers than Ray's own.

    Ray's generator takes its seed when it is first used: were that before a fork, all workers would make the same ids.
    """
    from types import SimpleNamespace

    import ray.actor

    kind = ray.actor.ActorClassID
    ray.actor.ActorClassID = SimpleNamespace(from_random=lambda: kind(os.urandom(kind.size())))


def is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def become(connection: socket.socket) -> None:
    """Be the worker that the other side asks for."""
    import random
    import runpy

    import numpy
    import torch

    size, streams, _, _ = socket.recv_fds(connection, 8, 3)
    length, data = int.from_bytes(size, "big"), b""
    while len(data) < length:
        data += connection.recv(1 << 20)
    directory, arguments, environment = json.loads(data)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.setpgid(0, 0)  # which Ray may kill as a whole
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    # Each draws for itself, as new processes do.
    random.seed()
    numpy.random.seed()
    torch.seed()
    sys.argv[:] = arguments
    sys.path[0] = os.path.dirname(arguments[0])
    connection.set_inheritable(False)
    code = 0
    try:
        runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
