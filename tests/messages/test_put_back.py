"""A database that is put back to an older state is noticed: nobody is left with events that it does not have."""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from postgres.roles import APPLICATION
from support.outages import FragilePostgres, fragile_postgres
from support.servers import WAIT_SECONDS, Person, Server, register, wait_until
from support.tabs import SECRET_KEY, Tab, send


@pytest.fixture
def postgres() -> Iterator[FragilePostgres]:
    with fragile_postgres() as server:
        yield server


@pytest.fixture
def start(postgres: FragilePostgres, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start nodes of one installation, each in a folder of its own."""
    nodes: list[Server] = []

    def make(folder: str, url: str | None = None) -> Server:
        node = Server(tmp_path / folder, url or postgres.url, SECRET_KEY=SECRET_KEY)
        nodes.append(node)
        return node.start()

    yield make
    for node in nodes:
        node.kill()


def move(person: Person, server: Server) -> Person:
    """The same person on another node."""
    person.server = server
    person.client = server.client()
    person.client.headers.update(person.headers)
    return person


def epoch_of(person: Person) -> str:
    with Tab(person) as tab:
        return str(tab.expect("ready")["epoch"])


def send_many(sender: Person, recipient: Person, *words: str) -> None:
    for word in words:
        send(sender, recipient, word)


def put_back_while_stopped(postgres: FragilePostgres, node: Server, backup: Path) -> None:
    node.stop()
    postgres.put_back(backup)
    node.start()


def test_a_client_that_has_more_than_the_backup_is_resynced_though_its_number_exists_again(
    postgres: FragilePostgres, start: Callable[..., Server]
) -> None:
    node = start("node")
    alice, bob = register(node, "alice"), register(node, "bob")
    send_many(alice, bob, *"12345")
    backup = postgres.back_up()
    send_many(alice, bob, *"678")
    epoch = epoch_of(bob)

    put_back_while_stopped(postgres, node, backup)
    send_many(move(alice, node), bob, "6 again", "7 again", "8 again", "9")

    with Tab(move(bob, node)) as tab:
        tab.send(type="resume", last_seq=8, epoch=epoch)
        resync = tab.expect("resync")
    assert (resync["reason"], resync["seq"], resync["epoch"] != epoch) == ("put_back", 9, True)


def test_a_client_that_has_no_more_than_the_backup_goes_on(
    postgres: FragilePostgres, start: Callable[..., Server]
) -> None:
    node = start("node")
    alice, bob = register(node, "alice"), register(node, "bob")
    send_many(alice, bob, *"12345")
    backup = postgres.back_up()
    epoch = epoch_of(bob)
    send_many(alice, bob, *"678")

    put_back_while_stopped(postgres, node, backup)
    send_many(move(alice, node), bob, "6 again")

    with Tab(move(bob, node)) as tab:
        tab.send(type="resume", last_seq=4, epoch=epoch)
        assert [tab.expect("message")["content"] for _ in range(2)] == ["5", "6 again"]
        assert tab.expect("ready", "resync")["type"] == "ready"


def test_a_restart_alone_is_no_reason_to_resync(postgres: FragilePostgres, start: Callable[..., Server]) -> None:
    node = start("node")
    alice, bob = register(node, "alice"), register(node, "bob")
    send_many(alice, bob, "1", "2")
    epoch = epoch_of(bob)

    node.kill()
    postgres.restart()
    node.start()
    send_many(move(alice, node), bob, "3")

    with Tab(move(bob, node)) as tab:
        tab.send(type="resume", last_seq=2, epoch=epoch)
        assert tab.expect("message", "resync")["content"] == "3"


def test_an_unknown_epoch_is_a_resync(postgres: FragilePostgres, start: Callable[..., Server]) -> None:
    bob = register(start("node"), "bob")

    with Tab(bob) as tab:
        tab.send(type="resume", last_seq=0, epoch="nowhere")

        assert tab.expect("resync")["reason"] == "put_back"


def test_an_open_socket_is_resynced_when_the_database_comes_back_older(
    postgres: FragilePostgres, start: Callable[..., Server]
) -> None:
    node = start("node")
    alice, bob = register(node, "alice"), register(node, "bob")
    send_many(alice, bob, "1")
    backup = postgres.back_up()
    wait_until(lambda: alice.client.get("/readyz").status_code == 200)
    send_many(alice, bob, "2", "3")
    with Tab(bob) as tab:
        assert tab.expect("ready")["seq"] == 3
        tab.everything()

        postgres.put_back(backup)

        assert (tab.expect("resync")["reason"], tab.everything()) == ("put_back", [])
        wait_until(lambda: alice.client.get("/readyz").status_code == 200)
        send_many(alice, bob, "2 again")
        frame = tab.expect("message")
    assert (frame["content"], frame["seq"], frame["prev"]) == ("2 again", 2, 1)


def test_an_open_socket_that_has_no_more_than_the_backup_is_given_the_new_epoch_alone(
    postgres: FragilePostgres, start: Callable[..., Server]
) -> None:
    node = start("node")
    alice, bob, carol = (register(node, name) for name in ("alice", "bob", "carol"))
    send_many(alice, bob, "1")
    backup = postgres.back_up()
    wait_until(lambda: alice.client.get("/readyz").status_code == 200)
    send_many(alice, carol, "of another conversation")
    with Tab(bob) as tab:
        epoch = tab.expect("ready")["epoch"]
        tab.everything()

        postgres.put_back(backup)

        assert tab.expect("epoch", "resync")["epoch"] != epoch


def test_two_nodes_notice_it_both(postgres: FragilePostgres, start: Callable[..., Server]) -> None:
    here, there = start("here"), start("there")
    alice, bob = register(here, "alice"), register(here, "bob")
    send_many(alice, bob, "1")
    backup = postgres.back_up()
    wait_until(lambda: alice.client.get("/readyz").status_code == 200)
    send_many(alice, bob, "2", "3")
    with Tab(bob, here) as near, Tab(bob, there) as far:
        near.everything()
        far.everything()

        postgres.put_back(backup)

        assert [tab.expect("resync")["reason"] for tab in (near, far)] == ["put_back"] * 2
        wait_until(lambda: alice.client.get("/readyz").status_code == 200)
        send_many(alice, bob, "2 again")
        assert [tab.expect("message")["content"] for tab in (near, far)] == ["2 again"] * 2


def test_a_restored_copy_is_recognised(postgres: FragilePostgres, start: Callable[..., Server]) -> None:
    node = start("node")
    alice, bob = register(node, "alice"), register(node, "bob")
    send_many(alice, bob, "1")
    epoch = epoch_of(bob)
    node.stop()
    with contextlib.closing(psycopg2.connect(make_dsn(**{**postgres.superuser, "dbname": "postgres"}))) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE restored OWNER {APPLICATION} TEMPLATE pagewire")
    node.start()
    send_many(move(alice, node), bob, "2")

    copy = start("copy", make_dsn(**{**postgres.keywords, "dbname": "restored"}))
    send_many(move(alice, copy), bob, "2 of the copy")

    with Tab(move(bob, copy)) as tab:
        tab.send(type="resume", last_seq=2, epoch=epoch)
        assert tab.expect("resync")["reason"] == "put_back"


def test_a_long_poll_of_another_history_is_a_410(postgres: FragilePostgres, start: Callable[..., Server]) -> None:
    node = start("node")
    alice, bob = register(node, "alice"), register(node, "bob")
    send_many(alice, bob, "1")
    backup = postgres.back_up()
    wait_until(lambda: alice.client.get("/readyz").status_code == 200)
    send_many(alice, bob, "2")
    before = bob.client.get("/events?after=1").json()

    put_back_while_stopped(postgres, node, backup)
    send_many(move(alice, node), bob, "2 again")
    after = move(bob, node).client.get("/events", params={"after": before["seq"], "epoch": before["epoch"]})

    assert (after.status_code, after.json()["code"]) == (410, "resync")
    assert bob.client.get("/events?after=1").json()["epoch"] != before["epoch"]


def test_a_waiting_long_poll_ends_when_the_database_comes_back_older(
    postgres: FragilePostgres, start: Callable[..., Server]
) -> None:
    node = start("node")
    alice, bob = register(node, "alice"), register(node, "bob")
    backup = postgres.back_up()
    wait_until(lambda: alice.client.get("/readyz").status_code == 200)
    send_many(alice, bob, "1")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(bob.client.get, "/events?after=1&wait=60")

        postgres.put_back(backup)

        assert waiting.result(WAIT_SECONDS + 30).status_code in (410, 503)


def test_a_token_of_an_account_that_the_backup_lacks_is_not_the_next_ones(
    postgres: FragilePostgres, start: Callable[..., Server]
) -> None:
    node = start("node")
    backup = postgres.back_up()
    wait_until(lambda: node.client().get("/readyz").status_code == 200)
    lost = register(node, "lost")

    put_back_while_stopped(postgres, node, backup)
    next_one = register(node, "alice")

    assert (move(lost, node).client.get("/me").status_code, next_one.id) == (401, lost.id)


def test_a_conversation_that_the_backup_lacks_is_written_down_again(
    postgres: FragilePostgres, start: Callable[..., Server]
) -> None:
    node = start("node")
    alice, bob = register(node, "alice"), register(node, "bob")
    backup = postgres.back_up()
    wait_until(lambda: alice.client.get("/readyz").status_code == 200)
    send_many(alice, bob, "lost")

    with Tab(bob) as tab:
        tab.everything()
        postgres.put_back(backup)
        tab.expect("resync", "epoch")
    wait_until(lambda: alice.client.get("/readyz").status_code == 200)
    send_many(alice, bob, "again")

    assert [entry["user"]["id"] for entry in bob.client.get("/conversations").json()["conversations"]] == [alice.id]


def test_epochs_come_to_rest_on_two_nodes(postgres: FragilePostgres, start: Callable[..., Server]) -> None:
    here, there = start("here"), start("there")
    alice, bob = register(here, "alice"), register(here, "bob")
    backup = postgres.back_up()
    wait_until(lambda: alice.client.get("/readyz").status_code == 200)
    send_many(alice, bob, "lost")
    with Tab(bob, here) as near, Tab(bob, there) as far:
        near.everything()
        far.everything()
        postgres.put_back(backup)
        near.expect("resync")
        far.expect("resync")
        begun = postgres.ask("SELECT count(*) FROM epochs")
        checks = [here.client(), there.client()]
        for pid in [pid for (pid,) in postgres.ask("SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'")]:
            postgres.ask("SELECT pg_terminate_backend(%s)", pid)  # both look again
        wait_until(lambda: all(client.get("/readyz").status_code == 200 for client in checks))

        assert postgres.ask("SELECT count(*) FROM epochs") == begun


def test_a_role_that_may_not_ask_which_cluster_it_is_serves_all_the_same(
    postgres: FragilePostgres, start: Callable[..., Server]
) -> None:
    postgres.ask("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM public")
    postgres.ask("CREATE ROLE plain LOGIN PASSWORD 'plain'")
    postgres.ask("GRANT ALL ON SCHEMA public TO plain")

    node = start("node", make_dsn(**{**postgres.keywords, "user": "plain", "password": "plain"}))

    assert len(epoch_of(register(node, "alice"))) == 16
