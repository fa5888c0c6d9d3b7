"""What Prometheus reads: figures of everything that is counted, for the machine itself and for who has the token."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.databases import TestDatabase
from support.pdfs import make_pdf
from support.servers import COMMAND, HOUSE, Person, Server, register, wait_until
from support.tabs import SECRET_KEY, Tab, send

TOKEN = "a token for Prometheus alone"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, make_database: Callable[[], TestDatabase]) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("watched"), make_database().url, METRICS_TOKEN=TOKEN).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def alice(watched: Server) -> Person:
    return register(watched, "alice")


@pytest.fixture(scope="module")
def bob(watched: Server) -> Person:
    return register(watched, "bob")


def read(server: Server, name: str, **labels: str) -> float:
    """The sum of a figure's samples with these labels."""
    answer = httpx.get(f"{server.url}/metrics")
    assert answer.status_code == 200
    return sum(
        sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def test_it_is_prometheus_text(watched: Server) -> None:
    answer = httpx.get(f"{watched.url}/metrics")

    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert list(text_string_to_metric_families(answer.text))


def test_requests_are_counted_by_their_route_and_status(watched: Server, alice: Person) -> None:
    labels = {"method": "GET", "route": "/documents/{document_id}", "status": "404"}
    before = read(watched, "pagewire_request_seconds_count", **labels)

    for document_id in (77, 78):
        alice.client.get(f"/documents/{document_id}")

    assert read(watched, "pagewire_request_seconds_count", **labels) == before + 2


@pytest.mark.parametrize("method", ["GET", "BREW"])
def test_no_path_and_no_method_of_a_strangers_becomes_a_label(watched: Server, method: str) -> None:
    httpx.request(method, f"{watched.url}/made-up-by-a-stranger")

    text = httpx.get(f"{watched.url}/metrics").text
    assert "stranger" not in text
    assert "BREW" not in text


def test_open_sockets_and_their_frames_are_counted(watched: Server, alice: Person, bob: Person) -> None:
    frames = read(watched, "pagewire_frame_delay_seconds_count")
    with Tab(bob) as tab:
        tab.expect("ready")
        assert read(watched, "pagewire_sockets") == 1
        send(alice, bob, "hello")
        tab.expect("message")

    wait_until(lambda: read(watched, "pagewire_sockets") == 0)
    assert read(watched, "pagewire_frame_delay_seconds_count") > frames
    assert read(watched, "pagewire_message_batch_count") >= 1


def test_extractions_are_counted_by_their_outcome(watched: Server, alice: Person) -> None:
    assert alice.upload(make_pdf("one", "two")).status_code == 200
    assert alice.upload(b"%PDF-1.7 and no more").status_code == 400

    assert read(watched, "pagewire_extracted_pages_total") == 2
    assert read(watched, "pagewire_extraction_seconds_count", outcome="ready") == 1
    assert read(watched, "pagewire_extraction_seconds_count", outcome="bad_pdf") == 1


def test_the_disk_of_the_uploads_is_measured(watched: Server) -> None:
    assert read(watched, "pagewire_storage_free_bytes") > 0


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded"])
def test_through_a_proxy_it_takes_the_token(watched: Server, header: str) -> None:
    proxied = {header: "127.0.0.1"}

    refused = httpx.get(f"{watched.url}/metrics", headers={**proxied, "Authorization": "Bearer wrong"})
    allowed = httpx.get(f"{watched.url}/metrics", headers={**proxied, "Authorization": f"Bearer {TOKEN}"})

    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert allowed.status_code == 200


def test_the_processes_of_one_machine_add_up(
    tmp_path: Path, make_server: Callable[..., Server], make_database: Callable[[], TestDatabase]
) -> None:
    folder = tmp_path / "figures"
    folder.mkdir()
    database = make_database()
    shared = {"database": database, "SECRET_KEY": SECRET_KEY, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    first, second = (make_server(name, **shared).start(*COMMAND) for name in ("a", "b"))
    for server in (first, second):
        httpx.get(f"{server.url}/healthz")
    alice = register(first, "alice")
    with Tab(alice) as near, Tab(alice, second) as far:
        near.expect("ready")
        far.expect("ready")

        assert read(first, "pagewire_request_seconds_count", route="/healthz") >= 2
        wait_until(lambda: read(first, "pagewire_sockets") == 2)
    second.kill()
    second.start(*COMMAND)
    wait_until(lambda: read(first, "pagewire_sockets") == 0)


def test_a_short_token_is_refused_at_the_start(make_server: Callable[..., Server]) -> None:
    with pytest.raises(AssertionError, match=re.escape("METRICS_TOKEN")):
        make_server(METRICS_TOKEN="short").start()


def test_the_dashboard_shows_figures_that_there_are(watched: Server) -> None:
    dashboard = json.loads((HOUSE / "docs" / "grafana.json").read_text())
    answer = httpx.get(f"{watched.url}/metrics").text
    there = set(re.findall(r"^# TYPE (\w+) (?:gauge|counter)$", answer, re.MULTILINE))
    for name in re.findall(r"^# TYPE (\w+) histogram$", answer, re.MULTILINE):
        there |= {f"{name}_{part}" for part in ("bucket", "count", "sum")}

    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]

    shown = {name for expression in expressions for name in re.findall(r"pagewire_\w+", expression)}
    assert shown
    assert shown <= there
    assert {name for name in there if name.startswith("pagewire_") and not name.endswith(("_bucket", "_sum"))} <= {
        *shown,
        *(re.sub("_bucket$|_sum$", "_count", name) for name in shown),
    }


def test_the_dashboard_asks_what_prometheus_can_parse() -> None:
    dashboard = json.loads((HOUSE / "docs" / "grafana.json").read_text())

    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            assert target["expr"].count("(") == target["expr"].count(")"), target["expr"]
            assert target["expr"].count("{") == target["expr"].count("}"), target["expr"]
