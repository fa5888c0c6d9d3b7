"""Crowds of connections: silent ones lock nobody out, and no network takes all."""

import contextlib
import shlex
import socket
import sys
from collections.abc import Callable

import pytest

from edge.connections import Connections, reserve_of
from support.raw_http import connected, head, read_answer
from support.servers import HOUSE, WAIT_SECONDS, Server, register, wait_until

DESCRIPTORS = 300


class Silent:
    """A peer that notes whether it was closed."""

    def __init__(self) -> None:
        self.is_gone = False

    def give_up(self) -> None:
        self.is_gone = True


def come(connections: Connections, network: str | None = "a") -> Silent | None:
    peer = Silent()
    return peer if connections.come(peer, peer, network) else None


def test_one_network_has_so_many() -> None:
    connections = Connections(each=2, most=9)
    first = come(connections)

    assert [come(connections) is not None for _ in range(2)] == [True, False]
    assert come(connections, "b") is not None
    connections.go(first)
    assert come(connections) is not None


def test_no_network_has_more_than_half_of_all() -> None:
    connections = Connections(each=9, most=4)

    assert [come(connections) is not None for _ in range(3)] == [True, True, False]


def test_a_trusted_proxy_has_as_many_as_there_are() -> None:
    connections = Connections(each=1, most=9)

    assert all(come(connections, None) for _ in range(9))


def test_who_comes_when_all_are_taken_gets_the_place_of_the_longest_silent_one() -> None:
    connections = Connections(each=9, most=3)
    peers = [come(connections, network) for network in "abc"]
    connections.begin(peers[0])
    connections.begin(peers[1])
    connections.end(peers[1], peers[1] or Silent())

    come(connections, "d")
    come(connections, "e")

    assert [peer and peer.is_gone for peer in peers] == [False, True, True]


def test_when_all_are_at_work_who_comes_is_refused() -> None:
    connections = Connections(each=9, most=2)
    for network in "ab":
        connections.begin(come(connections, network))

    assert come(connections, "c") is None


@pytest.mark.parametrize(("descriptors", "reserve"), [(100, 50), (512, 128), (4096, 512), (65_536, 1024)])
def test_files_and_the_database_have_descriptors_of_their_own(descriptors: int, reserve: int) -> None:
    assert reserve_of(descriptors) == reserve


@pytest.fixture
def narrow(make_server: Callable[..., Server]) -> Server:
    """A server with few descriptors."""
    server = make_server(FORWARDED_ALLOW_IPS="192.0.2.1", CONNECTIONS_PER_NETWORK="1000")
    program = f"{shlex.quote(sys.executable)} {shlex.quote(str(HOUSE / 'main.py'))}"
    return server.start("sh", "-c", f"ulimit -n {DESCRIPTORS}; exec {program}")


@pytest.mark.parametrize("networks", [1, 200])
def test_more_silent_connections_than_descriptors_lock_nobody_out(narrow: Server, networks: int) -> None:
    alice = register(narrow, "alice")
    port = int(narrow.url.rpartition(":")[2])
    with contextlib.ExitStack() as crowd:
        for number in range(DESCRIPTORS + 50):
            source = (f"127.0.1.{number % networks + 1}", 0)
            crowd.enter_context(socket.create_connection(("127.0.0.1", port), WAIT_SECONDS, source))

        with connected(narrow) as connection:
            connection.sendall(head("GET", "/me", alice))
            status, _, _ = read_answer(connection)

    assert status == 200


def test_a_socket_counts_until_it_is_closed(make_server: Callable[..., Server]) -> None:
    server = make_server(FORWARDED_ALLOW_IPS="192.0.2.1", CONNECTIONS_PER_NETWORK="3").start()
    alice = register(server, "alice")
    alice.client.close()
    me = head("GET", "/me", alice, Connection="close")

    def is_served() -> bool:
        with contextlib.suppress(OSError), connected(server) as connection:
            connection.sendall(me)
            return connection.recv(12) == b"HTTP/1.1 200"
        return False

    with alice.socket(), alice.socket(), alice.socket():
        wait_until(lambda: not is_served())
    wait_until(is_served)
