"""Servers, PostgreSQL, Redis, the broker and the S3 store on hosts of their own, and cables between them that are cut.

Nothing is told that a cable is cut: connections hang. No request hangs for longer than ANSWER_SECONDS.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from psycopg2.extensions import make_dsn
from websockets.sync.client import ClientConnection

from postgres.postmaster import OPTIONS
from support.celery import start_worker
from support.chaos import SECONDS, SECRET_KEY
from support.networks import Host, can_make_networks, made_network
from support.outages import FragilePostgres, fragile_postgres
from support.pdfs import make_pdf
from support.redis import RedisServer
from support.servers import COMMAND, Person, Server, receive, register, wait_until
from support.stores import run_s3_server

ANSWER_SECONDS = 10.0

pytestmark = [pytest.mark.skipif(not can_make_networks(), reason="it may not make network namespaces")]


@dataclass
class Site:
    """Two servers, and the hosts of what they need."""

    here: Server
    there: Server
    database: FragilePostgres
    database_host: Host
    redis_host: Host
    store_host: Host
    there_host: Host


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with contextlib.ExitStack() as stack:
        hosts = stack.enter_context(made_network("here", "there", "database", "redis", "store"))
        here_host, there_host, database_host, redis_host, store_host = hosts
        postgres = start_postgres(stack, database_host)
        with redis_host.entered():
            redis = RedisServer(redis_host.address).start()
            stack.callback(redis.stop)
        with store_host.entered():
            store = stack.enter_context(run_s3_server(store_host.address))
        settings = {
            "SECRET_KEY": SECRET_KEY,
            "REDIS_URL": redis.url,
            **store.make_bucket().variables,
        }
        servers = []
        for host in (here_host, there_host):
            url = make_dsn(**{**postgres.connect_kwargs, "host": database_host.address})
            server = Server(tmp_path_factory.mktemp("server"), url, HOST=host.address, **settings)
            with host.entered():
                stack.callback(server.kill)
                server.start(*COMMAND)
            servers.append(server)
        (line,) = (line for line in servers[0].lines if "setup code" in line)
        register(servers[0], "admin", setup_code=line.rpartition(" ")[2])  # it comes from another host
        yield Site(servers[0], servers[1], postgres, database_host, redis_host, store_host, there_host)


def start_postgres(stack: contextlib.ExitStack, host: Host) -> FragilePostgres:
    with host.entered(), pytest.MonkeyPatch.context() as patch:
        patch.setitem(OPTIONS, "listen_addresses", "*")
        return stack.enter_context(fragile_postgres(hba="host all all 198.18.0.0/15 scram-sha-256"))


@pytest.fixture
def alice(site: Site) -> Person:
    return impatient(register(site.here, "alice"))


@pytest.fixture
def bob(site: Site) -> Person:
    return impatient(register(site.there, "bob"))


def impatient(person: Person) -> Person:
    """Who fails where an answer takes too long."""
    person.client.timeout = httpx.Timeout(ANSWER_SECONDS)
    return person


def write(sender: Person, recipient: Person, content: str) -> httpx.Response:
    return sender.client.post("/messages", json={"recipient_id": recipient.id, "content": content})


def expect(socket: ClientConnection, content: str) -> None:
    while receive(socket)["content"] != content:
        pass


def stored(site: Site) -> set[str]:
    return {content for (content,) in site.database.ask("SELECT content FROM messages")}


def test_without_the_cable_of_the_database_each_request_is_refused_in_time(
    site: Site, alice: Person, bob: Person
) -> None:
    with bob.socket() as socket:
        assert write(alice, bob, "before").status_code == 200
        with site.database_host.cut_off():
            refused = [write(alice, bob, "meanwhile").status_code, alice.client.get("/me").status_code]
            assert refused == [503, 503]
            assert alice.client.get("/healthz").status_code == 200
            assert alice.upload(make_pdf("meanwhile")).status_code == 503

        wait_until(lambda: write(alice, bob, "after").status_code == 200)
        expect(socket, "after")
    assert {"before", "after"} <= stored(site)


def test_without_the_cable_of_redis_messages_cross(site: Site, alice: Person, bob: Person) -> None:
    with bob.socket() as socket:
        with site.redis_host.cut_off():
            for number in range(3):
                assert write(alice, bob, f"without {number}").status_code == 200
                expect(socket, f"without {number}")
        assert write(alice, bob, "with it").status_code == 200
        expect(socket, "with it")


def test_without_the_cable_of_the_store_an_upload_is_refused_in_time(site: Site, alice: Person) -> None:
    kept = alice.upload(make_pdf("before")).json()["document_id"]
    with site.store_host.cut_off():
        refused = alice.upload(make_pdf("meanwhile"))
        assert (refused.status_code, refused.json()["code"]) == (503, "storage_error")
        assert alice.client.get(f"/documents/{kept}").status_code == 200

    wait_until(lambda: alice.upload(make_pdf("after")).status_code == 200)


def test_a_server_whose_cable_is_cut_holds_nobody_up(site: Site, alice: Person, bob: Person) -> None:
    write(bob, alice, "before")
    with alice.socket() as socket:
        with site.there_host.cut_off():
            for number in range(3):
                assert write(alice, bob, f"meanwhile {number}").status_code == 200
        wait_until(lambda: write(bob, alice, "after").status_code == 200)
        expect(socket, "after")


@pytest.mark.skipif(SECONDS < 60, reason="it takes a minute; PAGEWIRE_CHAOS_SECONDS=60 asks for it")
@pytest.mark.timeout(300)
def test_a_server_whose_cable_stays_cut_is_taken_as_gone_even_if_it_was_sent_something(
    site: Site, alice: Person
) -> None:
    """PostgreSQL asks a silent connection whether it is alive, but not one whose last packet was not confirmed."""

    def count_nodes() -> int:
        locks = "SELECT count(*) FROM pg_locks, installation WHERE locktype = 'advisory' AND classid = node_lock"
        return int(site.database.ask(locks)[0][0])

    assert count_nodes() == 2
    with site.there_host.cut_off():
        alice.client.post("/logout-all")  # every node is notified

        deadline = time.monotonic() + 100
        while count_nodes() > 1:
            assert time.monotonic() < deadline, "its documents wait for it"
            time.sleep(1)
    wait_until(lambda: count_nodes() == 2)


# The broker of Celery


@pytest.fixture
def broker_host(tmp_path: Path) -> Iterator[tuple[Host, Person]]:
    """The broker's host, and somebody whose server has a worker do the extractions; each is on a host of its own."""
    with contextlib.ExitStack() as stack:
        hosts = stack.enter_context(made_network("server", "worker", "database", "broker"))
        server_host, worker_host, database_host, broker_host = hosts
        postgres = start_postgres(stack, database_host)
        with broker_host.entered():
            broker = RedisServer(broker_host.address).start()
            stack.callback(broker.stop)
        url = make_dsn(**{**postgres.connect_kwargs, "host": database_host.address})
        settings = {"SECRET_KEY": SECRET_KEY, "UPLOAD_DIR": str(tmp_path / "uploads"), "CELERY_BROKER_URL": broker.url}
        server = Server(tmp_path / "server", url, HOST=server_host.address, **settings)
        with server_host.entered():
            stack.callback(server.kill)
            server.start(*COMMAND)
        with worker_host.entered():
            stack.callback(start_worker(tmp_path / "worker", server).kill)
        (line,) = (line for line in server.lines if "setup code" in line)
        yield broker_host, register(server, "alice", setup_code=line.rpartition(" ")[2])


def test_without_the_cable_of_the_broker_uploads_are_answered_in_time_and_extracted(
    broker_host: tuple[Host, Person],
) -> None:
    host, alice = broker_host
    alice.client.timeout = httpx.Timeout(ANSWER_SECONDS + 5)  # it waits ten seconds for a worker

    assert alice.upload(make_pdf("before")).status_code == 200
    with host.cut_off():
        answers = [alice.upload(make_pdf(f"meanwhile {number}")) for number in range(2)]
        assert {answer.status_code for answer in answers} <= {200, 202}
        wait_until(lambda: all(status_of(alice, answer) == "ready" for answer in answers))

    wait_until(lambda: alice.upload(make_pdf("after")).status_code == 200)


def status_of(person: Person, answer: httpx.Response) -> str:
    return str(person.client.get(f"/documents/{answer.json()['document_id']}").json()["status"])
