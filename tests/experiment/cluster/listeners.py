"""Which TCP ports a process and all that it has started listen at, from /proc."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path

_LISTENING = "0A"


def listeners(pid: int) -> list[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int, str]]:
    """Return address, port and the process's name of each listener; an IPv4 address within IPv6 as what it is."""
    sockets = _listening_sockets()
    found = []
    for process in _family(pid):
        for inode in _sockets_of(process) & sockets.keys():
            name = Path("/proc", str(process), "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            found.append((*sockets[inode], name[:60]))
    return found


def _listening_sockets():
    sockets = {}
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENING:
                host, _, port = fields[1].partition(":")
                # In words of 32 bits, each of them backwards.
                words = [bytes.fromhex(host)[start : start + 4][::-1] for start in range(0, len(host) // 2, 4)]
                address = ipaddress.ip_address(b"".join(words))
                sockets[fields[9]] = (getattr(address, "ipv4_mapped", None) or address, int(port, 16))
    return sockets


def _family(pid):
    """The process and its descendants."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in brackets, may hold anything.
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return family


def _sockets_of(pid):
    found = set()
    try:
        for descriptor in Path("/proc", str(pid), "fd").iterdir():
            match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(descriptor))
            if match:
                found.add(match[1])
    except OSError:
        pass
    return found
