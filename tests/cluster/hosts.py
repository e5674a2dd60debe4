"""Hosts of a cluster on one machine, each with an address, a name, shared memory and processes of its own.

A host is a set of Linux namespaces (network, mount, name, processes) that lives as long as its first process; ending
that process ends everything on the host at once, as pulling its plug does. The first host has a bridge, to which the
others are wired, so that this machine's own network is never touched. The file system is shared, as by NFS, except
for ``/dev/shm``, the directory of Ray's sessions, the home directory and what a host is told to hide.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from shutil import which

from rllib_recattn.experiment.checkpoints.run_state import rays_sessions

PACKAGE = Path(__file__).parents[2] / "rllib_recattn"
PORT = 6379
INTERFACE = "cluster0"
START_SECONDS = 300  # two on a quiet machine
_NEEDED = ("unshare", "nsenter", "ip", "mount")


def why_not() -> str | None:
    """Say why this machine cannot have such hosts, or return None."""
    missing = [tool for tool in _NEEDED if which(tool) is None]
    if sys.platform != "linux" or missing:
        return f"network namespaces need Linux with {', '.join(missing or _NEEDED)}"
    try_out = "ip link set lo up && ip link add test type veth peer name peer && mount -t tmpfs none /mnt"
    command = ["unshare", *_NAMESPACES, "sh", "-c", f"{try_out} && ip link add bridge type bridge"]
    done = subprocess.run(command, capture_output=True, text=True)
    return None if done.returncode == 0 else f"network namespaces are not allowed here: {done.stderr.strip()}"


_NAMESPACES = ("--net", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")


class Host:
    """One host.

    Attributes:
        name: Its name, which resolves to its address, or to 127.0.1.1 as on many a Debian.
        address: Its IP address.
        environment: The environment variables of what runs on it.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        address: str,
        environment: Mapping[str, str],
        hidden: Sequence[Path],
        loopback: bool,
    ):
        self.name = name
        self.address = address
        self.environment = {**environment, "HOME": str(directory / name)}
        self._log = directory / f"{name}.log"
        (directory / name).mkdir()
        hosts = directory / f"{name}.hosts"
        hosts.write_text(f"127.0.0.1 localhost\n{'127.0.1.1' if loopback else address} {name}\n")
        sessions = rays_sessions()
        sessions.mkdir(parents=True, exist_ok=True)
        steps = [
            *(f"mount -t tmpfs none '{path}'" for path in ("/dev/shm", sessions, *hidden)),
            f"mount --bind '{hosts}' /etc/hosts",
            f"hostname {name}",
            "ip link set lo up",
            "echo ready",
            "exec sleep infinity",
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["unshare", *_NAMESPACES, "sh", "-ec", "\n".join(steps)], stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", self._log.read_text()
        pid = self._process.pid
        self.pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
        self._ray: subprocess.Popen[bytes] | None = None

    def command(self, *arguments: str | Path) -> list[str]:
        """Return the command that runs another on this host."""
        return ["nsenter", "-t", str(self.pid), "-n", "-m", "-u", "-p", "--", *map(str, arguments)]

    def run(self, *arguments: str | Path, check: bool = True, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        """Run a command on this host to its end, and capture what it prints."""
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            self.command(*arguments), check=check, env=self.environment, capture_output=True, text=True, timeout=timeout
        )

    def start_ray(self, head: Host, *options: str) -> None:
        """Start Ray, as the head of the cluster or as one of its other nodes, and wait until the head knows of it."""
        role = [f"--address={head.address}:{PORT}"]
        if head is self:
            role = ["--head", f"--port={PORT}", "--include-dashboard=false"]
        sizes = [f"--object-store-memory={100 * 2**20}", "--disable-usage-stats"]
        command = ["ray", "start", *role, f"--node-ip-address={self.address}", *sizes, "--block", *options]
        with self._log.open("ab") as log:
            self._ray = subprocess.Popen(
                self.command(*_python_script(*command)), env=self.environment, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self._ray.poll() is None, self._log.read_text()
            if "Ray runtime started." in self._log.read_text():
                return
            time.sleep(0.2)
        raise TimeoutError(self._log.read_text())

    def kill(self) -> None:
        """End everything on this host at once."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._process.wait()
        if self._ray is not None:
            self._ray.wait()


class Hosts:
    """The hosts of a cluster; the first one is its head.

    Attributes:
        token: The token with which Ray's processes know each other.
    """

    def __init__(self, directory: Path, stack: ExitStack):
        self.token = secrets.token_hex(16)
        self._directory = directory
        self._stack = stack
        self._hosts: list[Host] = []

    @property
    def head(self) -> Host:
        """The first host, from which experiments are started."""
        return self._hosts[0]

    @property
    def address(self) -> str:
        """What ``--ray-address`` takes."""
        return f"{self.head.address}:{PORT}"

    def add(
        self,
        *ray_options: str,
        with_package: bool = True,
        hidden: Sequence[Path] = (),
        loopback: bool = False,
        start: bool = True,
    ) -> Host:
        """Add a host to the cluster.

        Args:
            ray_options: Further options of ``ray start``, such as ``--num-cpus=2``.
            with_package: Whether it has this package.
            hidden: Directories that are empty on it.
            loopback: Whether its name resolves to a loopback address, which no other host can reach.
            start: Whether Ray is started on it.
        """
        number = len(self._hosts) + 1
        variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_raylet_start_wait_time_s": str(START_SECONDS),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(PACKAGE.parent) if with_package else "",
        }
        hidden = [*hidden, *([] if with_package else _package_directories())]
        host = Host(self._directory, f"host{number}", f"10.77.0.{number}", variables, hidden, loopback)
        self._stack.callback(host.kill)
        self._hosts.append(host)
        self._wire(host)
        if start:
            host.start_ray(self.head, *ray_options)
        return host

    def _wire(self, host: Host) -> None:
        if host is self.head:
            host.run("ip", "link", "add", INTERFACE, "type", "bridge")
        else:
            plug = f"plug-{host.name}"
            # Seen from outside, where the other host's process has a number.
            peer = ["peer", "name", INTERFACE, "netns", str(host.pid)]
            in_head = ["nsenter", "-t", str(self.head.pid), "-n"]
            subprocess.run([*in_head, "ip", "link", "add", plug, "type", "veth", *peer], check=True)
            subprocess.run([*in_head, "ip", "link", "set", plug, "master", INTERFACE, "up"], check=True)
        host.run("ip", "address", "add", f"{host.address}/24", "dev", INTERFACE)
        host.run("ip", "link", "set", INTERFACE, "up")


def _python_script(name: str, *arguments: str) -> list[str]:
    return [sys.executable, str(Path(sys.executable).with_name(name)), *arguments]


def _package_directories() -> list[Path]:
    """Return where this package lies: in this checkout, and where it is installed, which may be another one."""
    distribution = importlib.metadata.distribution("rllib-recattn")
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    editable = origin.get("dir_info", {}).get("editable", False)
    installed = Path(origin["url"].removeprefix("file://")) if editable else Path(str(distribution.locate_file("")))
    return sorted({PACKAGE, installed / PACKAGE.name})


@contextmanager
def cluster_hosts(directory: Path) -> Iterator[Hosts]:
    """Hosts that are gone at the end, with all that runs on them."""
    with ExitStack() as stack:
        yield Hosts(directory, stack)
