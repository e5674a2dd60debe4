"""What a node tells about itself. Runs where this package may be missing, so it needs the standard library only.

:func:`rllib_recattn.experiment.cluster.nodes.examine_nodes` sends it by value.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import socket
import struct
import sys
from pathlib import Path
from typing import Any

DRIVERS_FILE = "driver"


def node_facts(package: str, distributions: list[str], address: str | None, storage: str | None) -> dict[str, Any]:
    """Look at this machine.

    Args:
        package: The name of the package that experiments need.
        distributions: The names of distributions whose versions are wanted.
        address: The IP address that the cluster knows this node by; None: this machine is on its own.
        storage: A directory that the driver has made for a trial, with a file in it; None: there is none to try.

    Returns:
        Plain data, with the fields of :class:`rllib_recattn.experiment.cluster.nodes.NodeFacts`.
    """
    hostname = socket.gethostname()
    return {
        "hostname": hostname,
        "hostname_address": _address_of(hostname),
        "interface": interface_with(address) if address else None,
        "gloo_interface": os.environ.get("GLOO_SOCKET_IFNAME"),
        "python": platform.python_version(),
        "versions": {name: _version_of(name) for name in distributions},
        "package_version": _package_version(package),
        "package_digest": package_digest(package),
        "shared_memory": shutil.disk_usage("/dev/shm").total if os.path.isdir("/dev/shm") else None,
        "storage_error": try_storage(storage, hostname if address is None else address) if storage else None,
    }


def package_digest(package: str) -> str | None:
    """Return a digest of a package's source files, or None if there is no such package."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:  # an empty directory of that name counts as a package, without an origin
        return None
    root = Path(spec.origin).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def try_storage(directory: str, name: str) -> str | None:
    """Read the driver's file in a directory and write another beside it.

    Args:
        directory: What the driver has made, ``<storage_path>/<something new>``.
        name: The name of the file to write, whose content it also is.

    Returns:
        What is wrong, or None.
    """
    storage_path = os.path.dirname(directory)
    try:
        with open(os.path.join(directory, DRIVERS_FILE), encoding="utf-8") as file:
            file.read()
    except FileNotFoundError:
        return f"{storage_path} is not the directory that the other nodes see"
    except OSError as error:
        return f"{storage_path} cannot be read: {error.strerror}"
    try:
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(name)
    except OSError as error:
        return f"{storage_path} cannot be written to: {error.strerror}"
    return None


def interface_with(address: str) -> str | None:
    """Return the name of the network interface that has an IPv4 address, if that can be told."""
    if sys.platform != "linux":
        return None
    import fcntl

    get_address = 0x8915  # SIOCGIFADDR
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(asking.fileno(), get_address, request)
            except OSError:  # an interface without an address
                continue
            if socket.inet_ntoa(answer[20:24]) == address:
                return name
    return None


def _address_of(hostname: str) -> str | None:
    try:
        return socket.gethostbyname(hostname)
    except OSError:
        return None


def _version_of(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _package_version(package: str) -> str | None:
    try:
        version: str = importlib.import_module(f"{package}._version").__version__
    except (ImportError, AttributeError):
        return None
    return version
