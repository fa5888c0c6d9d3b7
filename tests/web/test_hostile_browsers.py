"""What browsers do to a page: no storage, no cookies, no network, old code, two people one after the other."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Request, Route, WebSocketRoute, expect

from support.browser import Visit
from support.pdfs import make_pdf
from support.servers import PASSWORD, Person

ANOTHER_CLIENT = '<script type="module" src="/app/assets/index-newer.js"></script>'


def once(act: Callable[[Route], None]) -> Callable[[Route], None]:
    """Act on the first request, and let the others pass."""
    left = [act]
    return lambda route: left.pop()(route) if left else route.continue_()


def test_a_tab_left_open_over_an_upgrade_begins_anew(visit: Visit, alice: Person) -> None:
    visitor = visit()
    visitor.expected = re.compile("Unable to preload|dynamically imported|404")
    visitor.sign_in(alice.email)
    visitor.see("Drop your PDFs here")
    begun: list[Request] = []
    visitor.page.on("request", lambda request: begun.append(request) if request.is_navigation_request() else None)
    visitor.page.route(
        re.compile("/assets/Search-.*js"),
        lambda route: route.continue_() if begun else route.fulfill(status=404),
    )
    visitor.page.route(re.compile("/app/$"), lambda route: route.fulfill(body=ANOTHER_CLIENT, content_type="text/html"))

    visitor.page.get_by_role("link", name="Search").click()

    visitor.see("What are you looking for?")
    assert len(begun) == 1


def test_a_tab_that_an_upgrade_cannot_help_begins_anew_only_once(visit: Visit, alice: Person) -> None:
    visitor = visit()
    visitor.expected = re.compile("Unable to preload|dynamically imported|404")
    visitor.sign_in(alice.email)
    visitor.see("Drop your PDFs here")
    visitor.page.route(re.compile("/assets/Search-.*js"), lambda route: route.fulfill(status=404))
    visitor.page.route(re.compile("/app/$"), lambda route: route.fulfill(body=ANOTHER_CLIENT, content_type="text/html"))
    begun: list[Page] = []
    visitor.page.on("domcontentloaded", lambda page: begun.append(page))

    visitor.page.get_by_role("link", name="Search").click()

    visitor.see("Try again")
    assert len(begun) == 1


def test_code_that_is_gone_does_not_break_off_a_sign_in(visit: Visit, alice: Person) -> None:
    visitor = visit()
    visitor.expected = re.compile("404")
    visitor.go("/search")
    visitor.see("Sign in")
    code, client = re.compile("/assets/Search-.*js"), re.compile("/app/$")
    visitor.page.route(code, lambda route: route.fulfill(status=404))
    visitor.page.route(client, lambda route: route.fulfill(body=ANOTHER_CLIENT, content_type="text/html"))
    held: list[Route] = []
    visitor.page.route("**/session", once(held.append))

    with visitor.page.expect_response(code) as gone:
        visitor.fill_in(alice.email)
    visitor.page.evaluate("url => import(url).catch(() => fetch('/app/')).then(() => fetch('/app/'))", gone.value.url)
    visitor.page.unroute(code)
    visitor.page.unroute(client)
    held[0].continue_()

    visitor.see("What are you looking for?")


def test_a_screen_whose_code_does_not_come_is_there_when_the_network_is_back(visit: Visit, alice: Person) -> None:
    visitor = visit()
    visitor.expected = re.compile("Unable to preload")
    visitor.sign_in(alice.email)
    visitor.see("Drop your PDFs here")
    visitor.context.set_offline(True)

    visitor.page.get_by_role("link", name="Search").click()

    visitor.see("The server does not answer.")
    visitor.press("Try again")
    expect(visitor.page.get_by_role("navigation", name="Main")).to_be_visible()
    visitor.context.set_offline(False)
    visitor.see("What are you looking for?")


@pytest.mark.parametrize(
    "script",
    [
        """for (const name of ["localStorage", "sessionStorage"])
               Object.defineProperty(window, name, {get() { throw new DOMException("no", "SecurityError"); }});""",
        'Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError"); };',
    ],
    ids=["forbidden", "full"],
)
def test_a_browser_that_stores_nothing_is_enough(
    visit: Visit, alice: Person, bob: Person, book: int, script: str
) -> None:
    visitor = visit()
    visitor.page.add_init_script(script)
    visitor.sign_in(alice.email)
    visitor.page.get_by_role("link", name="Book.pdf").click()
    visitor.see_page(1)
    visitor.go(f"/messages/{bob.id}")
    visitor.page.locator("form.say textarea").wait_for()

    visitor.context.set_offline(True)
    visitor.page.evaluate("dispatchEvent(new Event('offline'))")
    visitor.write("one")
    visitor.write("two")
    visitor.context.set_offline(False)

    log = visitor.page.get_by_role("log")
    expect(log).to_contain_text("one")
    expect(log).to_contain_text("two")
    expect(visitor.page.locator(".tick", has_text=re.compile("Goes out|Sending"))).to_have_count(0)
    sent = bob.client.get(f"/messages/{alice.id}").json()
    assert [message["content"] for message in sent] == ["one", "two"]


def test_a_browser_without_cookies_is_told_so(visit: Visit, alice: Person) -> None:
    visitor = visit()
    visitor.go()
    visitor.page.get_by_label("E-mail address").wait_for()

    def forget(route: Route) -> None:
        visitor.context.clear_cookies()  # the one that signing in set is gone when the boot asks
        route.continue_()

    visitor.page.route(
        "**/session", lambda route: forget(route) if route.request.method == "GET" else route.continue_()
    )
    visitor.fill_in(alice.email)

    visitor.see("This browser keeps no cookies")


def test_what_one_person_wrote_is_never_sent_by_the_next(
    visit: Visit, alice: Person, bob: Person, carol: Person
) -> None:
    """Both sign in at the door, in two tabs of one browser, which has one cookie."""
    visitor = visit()

    def hold(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        socket.on_message(lambda frame: None if '"message"' in str(frame) else server.send(frame))

    visitor.page.route_web_socket("**/ws", hold)
    tab = visitor.new_page()
    tab.goto(f"{visitor.server.url}/app/")
    visitor.sign_in(alice.email)
    visitor.go(f"/messages/{carol.id}")
    visitor.write("from alice")
    visitor.see("from alice")
    visitor.page.locator("form.say textarea").fill("a draft of alice")

    tab.get_by_label("E-mail address").fill(bob.email)
    tab.get_by_label("Password", exact=True).fill(PASSWORD)
    tab.get_by_role("button", name="Sign in").click()

    expect(visitor.page.get_by_role("heading", name="Library")).to_be_visible()
    visitor.page.unroute_all()
    tab.goto(f"{visitor.server.url}/app/messages/{carol.id}")
    expect(tab.get_by_role("textbox", name="Message")).to_have_value("")
    tab.locator("form.say textarea").fill("from bob")
    tab.locator("form.say textarea").press("Enter")
    expect(tab.get_by_text("Sent", exact=True)).to_be_visible()
    assert [message["content"] for message in carol.client.get(f"/messages/{bob.id}").json()] == ["from bob"]
    assert carol.client.get(f"/messages/{alice.id}").json() == []


def test_back_after_signing_out_shows_nothing_of_before(visit: Visit, alice: Person) -> None:
    visitor = visit()
    visitor.sign_in(alice.email)
    visitor.see("Drop your PDFs here")
    visitor.context.clear_cookies()

    visitor.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")

    visitor.see("Welcome back")


@pytest.mark.parametrize(("motion", "moving"), [("no-preference", 1), ("reduce", 0)])
def test_nothing_moves_where_reduced_motion_is_asked_for(visit: Visit, alice: Person, motion: str, moving: int) -> None:
    visitor = visit(reduced_motion=motion)
    visitor.sign_in(alice.email)
    held: list[Route] = []
    visitor.page.route(re.compile("/assets/Search-.*js"), lambda route: held.append(route))

    visitor.page.get_by_role("link", name="Search").click()

    expect(visitor.page.locator("main .loading")).to_be_visible()
    assert visitor.page.evaluate("document.getAnimations().length") == moving
    held[0].continue_()
    visitor.see("What are you looking for?")
    assert visitor.page.evaluate("document.getAnimations().length") == 0


def test_what_the_server_did_not_answer_is_asked_again_when_it_is_back(visit: Visit, alice: Person) -> None:
    visitor = visit()
    sockets: list[WebSocketRoute] = []

    def follow(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    visitor.page.route_web_socket("**/ws", follow)
    visitor.sign_in(alice.email)
    visitor.see("Drop your PDFs here")
    visitor.page.get_by_role("link", name="Messages").click()
    visitor.see("You have no messages yet")
    visitor.page.route("**/documents?*", lambda route: route.abort())
    visitor.page.get_by_role("link", name="Library").click()
    visitor.page.get_by_role("button", name="Mine").click()
    visitor.see("The server does not answer.")

    visitor.page.unroute_all()
    sockets[-1].close()

    visitor.see("You have uploaded nothing yet")


def test_a_list_goes_on_though_its_end_came_and_went_between_two_frames(visit: Visit, alice: Person) -> None:
    data = make_pdf("a page")
    for number in range(51):
        alice.upload(data, f"Report {number}.pdf")
    visitor = visit()
    visitor.page.add_init_script(
        """const Real = IntersectionObserver;
        IntersectionObserver = function (tell, options) {
            const gone = {isIntersecting: false};
            return new Real((entries) => tell([{...gone, target: entries[0].target}, ...entries]), options);
        };"""
    )
    visitor.sign_in(alice.email)
    visitor.see("Report 50.pdf")

    visitor.page.get_by_role("link", name="Report 1.pdf").scroll_into_view_if_needed()

    expect(visitor.page.get_by_role("link", name="Report 0.pdf")).to_be_visible()
