"""How many connections there are, by network and in all, so that files and the database have descriptors too."""

import resource
from collections import Counter, OrderedDict
from typing import Protocol

MOST = 65_536
RESERVE = (128, 1024)  # descriptors that are not for connections: an eighth of all, within these bounds


class Peer(Protocol):
    def give_up(self) -> None:
        """Close the connection at once."""


class Connections:
    """The open connections of this process: *most* in all, and at most *each*, and half of all, of one network.

    When all places are taken, a newcomer replaces the connection that has been silent for longest: open, without a
    request under way. If none is silent, the newcomer is refused.
    """

    def __init__(self, *, each: int, most: int) -> None:
        self._each = min(each, most // 2)
        self._most = most
        self._networks: dict[object, str | None] = {}  # by connection; None: a trusted proxy's
        self._counts: Counter[str] = Counter()
        self._silent: OrderedDict[object, Peer] = OrderedDict()

    def come(self, connection: object, peer: Peer, network: str | None) -> bool:
        """Count a new connection; False if it is to be closed."""
        if network is not None and self._counts[network] >= self._each:
            return False
        if len(self._networks) >= self._most and not self._give_up_one():
            return False
        self._networks[connection] = network
        if network is not None:
            self._counts[network] += 1
        self._silent[connection] = peer
        return True

    def _give_up_one(self) -> bool:
        if not self._silent:
            return False
        connection, peer = self._silent.popitem(last=False)
        self.go(connection)
        peer.give_up()
        return True

    def begin(self, connection: object) -> None:
        """A request is under way."""
        self._silent.pop(connection, None)

    def end(self, connection: object, peer: Peer) -> None:
        """The request is answered."""
        if connection in self._networks:
            self._silent[connection] = peer

    def go(self, connection: object) -> None:
        """It is closed; it may have been counted or not."""
        self._silent.pop(connection, None)
        network = self._networks.pop(connection, None)
        if network is not None:
            self._counts[network] -= 1
            if not self._counts[network]:
                del self._counts[network]


def reserve_of(descriptors: int) -> int:
    return min(max(descriptors // 8, RESERVE[0]), RESERVE[1], descriptors // 2)


def raise_descriptor_limit() -> int:
    """Each connection takes a descriptor, and many systems allow 1,024 unless one asks for more. Return how many there
    are.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return MOST if soft == resource.RLIM_INFINITY else soft
