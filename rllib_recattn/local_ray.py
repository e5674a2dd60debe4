"""Starting a Ray that only this machine can reach."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rllib_recattn.ray_internals import init_at, keeping_loopback_addresses

_LOOPBACK = "127.0.0.1"
_INHERITED = {
    # Where Ray's own processes take it from; see `keeping_loopback_addresses`.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Where the learners' gloo listens; by default at the address that the machine takes its own name for.
    "GLOO_SOCKET_IFNAME": "lo" if sys.platform == "linux" else "lo0",
}


def start_local_ray(**settings: Any) -> None:
    """Start a Ray of this process's own, at the loopback address and without a dashboard.

    By default Ray's processes listen on all interfaces: the control store, the raylet, and every worker. They listen at
    the loopback address alone if that is the node's address.

    Args:
        **settings: Those of ``ray.init``.
    """
    with _inherited(), keeping_loopback_addresses():
        init_at(_LOOPBACK, include_dashboard=False, **settings)


@contextmanager
def _inherited() -> Iterator[None]:
    """Set environment variables for the processes that are started meanwhile, unless somebody has set them."""
    ours = {name: value for name, value in _INHERITED.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)
