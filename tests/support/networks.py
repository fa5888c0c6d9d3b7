"""Hosts of their own on one machine: network namespaces that are joined by a switch, whose cables can be cut."""

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

CLONE_NEWNET = 0x40000000
_numbers = count(1)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def can_make_networks() -> bool:
    """Whether this process may: it needs Linux, root, and iproute2."""
    name = f"pw{os.getpid()}"
    try:
        _ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError):
        return False
    _ip("netns", "delete", name)
    return True


@dataclass
class Host:
    """What is started while it is `entered` runs on it."""

    name: str
    address: str
    port: str  # of the switch, where its cable ends
    switch: str

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """This thread's sockets, and those of threads and processes that it starts, are on this host."""
        with Path("/proc/thread-self/ns/net").open() as home:
            with Path(f"/run/netns/{self.name}").open() as namespace:
                _enter(namespace.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def cut(self) -> None:
        """Packets to it and from it vanish: nobody is told."""
        _ip("-n", self.switch, "link", "set", self.port, "down")

    def mend(self) -> None:
        _ip("-n", self.switch, "link", "set", self.port, "up")

    @contextlib.contextmanager
    def cut_off(self) -> Iterator[None]:
        self.cut()
        try:
            yield
        finally:
            self.mend()


def _enter(namespace: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "cannot enter the network namespace")


@contextlib.contextmanager
def made_network(*names: str) -> Iterator[list[Host]]:
    """Hosts with these names, and this process, on one switch."""
    number = next(_numbers)
    mark = f"{os.getpid()}n{number}"
    # Of the addresses that are set aside for measuring networks; a process may have two of these at a time.
    net = f"198.{18 + number % 2}.{os.getpid() % 256}"
    switch = f"pw{mark}-switch"
    with contextlib.ExitStack() as stack:
        _ip("netns", "add", switch)
        stack.callback(_ip, "netns", "delete", switch)
        _ip("-n", switch, "link", "add", "switch", "type", "bridge")
        _ip("-n", switch, "link", "set", "switch", "up")
        hosts = []
        for place, name in enumerate(names, 2):
            host = Host(f"pw{mark}-{name}", f"{net}.{place}", f"port{place}", switch)
            _ip("netns", "add", host.name)
            stack.callback(_ip, "netns", "delete", host.name)
            _ip("-n", host.name, "link", "add", "cable", "type", "veth", "peer", "name", host.port, "netns", switch)
            _connect(["-n", host.name], "cable", host)
            hosts.append(host)
        ours = Host("", f"{net}.1", "port1", switch)
        cable = f"pw{mark}"[:15]
        _ip("link", "add", cable, "type", "veth", "peer", "name", ours.port, "netns", switch)
        _connect([], cable, ours)
        yield hosts


def _connect(where: list[str], cable: str, host: Host) -> None:
    _ip(*where, "address", "add", f"{host.address}/24", "dev", cable)
    _ip(*where, "link", "set", cable, "up")
    if where:
        _ip(*where, "link", "set", "lo", "up")
    _ip("-n", host.switch, "link", "set", host.port, "master", "switch", "up")
