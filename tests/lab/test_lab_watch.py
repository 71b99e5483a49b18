"""``epollo lab watch``: the page, its orders, its events, and a browser."""

import http.client
import json
import os
import re
import resource
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chromium import Chromium
from conftest import rest

Seen = dict[str, Any]


class Watching:
    """The command in a process of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-X", "dev", "-W", "error", "-m", "epollo", "lab", "watch"),
                *("--port", "0", "--poller", "epoll"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[-1]
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?key=(\S+)", self.url)
        assert found is not None, self.url
        self.port, self.key = int(found[1]), found[2]
        assert "Ctrl-C" in self.process.stdout.readline()

    def ask(self, method: str, target: str, **fields: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, target, headers=fields)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def order(self, what: str) -> int:
        return self.ask("POST", f"/order?key={self.key}&{what}")[0]

    def await_event(self, is_it: Callable[[Seen], bool]) -> Seen:
        """Return the first event that is as wanted, out of at most a hundred."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request("GET", f"/events?key={self.key}")
            answer = connection.getresponse()
            assert answer.status == 200
            assert answer.getheader("Content-Type") == "text/event-stream; charset=utf-8"
            seen: Seen = {}
            for _ in range(200):
                line = answer.readline().decode()
                if line.startswith("data: "):
                    seen = json.loads(line.removeprefix("data: "))
                    if is_it(seen):
                        return seen
            raise AssertionError(f"not seen; the last was {seen}")
        finally:
            connection.close()

    def stop(self) -> str:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        held = [os.pidfd_open(int(child)) for child in children.split()]
        self.process.send_signal(signal.SIGINT)
        _, stderr = self.process.communicate(timeout=20)
        for descriptor in held:
            # A pidfd is readable when its process has ended (pidfd_open(2)).
            assert select.select([descriptor], [], [], 10)[0]
            os.close(descriptor)
        return stderr


@pytest.fixture(scope="module")
def watching() -> Iterator[Watching]:
    one = Watching()
    yield one
    stderr = one.stop()
    assert one.process.returncode == 0
    assert stderr.strip() == ""


def test_guests_come_and_go_as_ordered(watching: Watching) -> None:
    assert watching.order("guests=120&asking=0") == 204
    assert watching.await_event(lambda seen: seen["guests"] == 120)["wanted"] == 120
    assert watching.order("guests=7") == 204
    assert watching.await_event(lambda seen: seen["guests"] == 7)["asking"] == 0


def test_epoll_sleeps_while_no_guest_asks_and_busy_burns(watching: Watching) -> None:
    assert watching.order("poller=epoll&guests=50&asking=0") == 204
    asleep = watching.await_event(lambda seen: seen["guests"] == 50 and seen["wakeups"] < 5)
    assert asleep["processor"] < 0.1
    assert watching.order("poller=busy") == 204
    burning = watching.await_event(
        lambda seen: seen["poller"] == "busy" and seen["guests"] == 50 and seen["processor"] > 0.2
    )
    assert burning["looked_at"] > 45
    assert burning["found"] < 5
    assert burning["in_vain"] > 1000
    assert watching.order("poller=epoll") == 204


def test_the_guests_keep_their_places_when_the_poller_changes(watching: Watching) -> None:
    assert watching.order("poller=epoll&guests=60&asking=0") == 204
    assert watching.await_event(lambda seen: seen["guests"] == 60)
    counts = []
    for poller in ("poll", "select", "epoll"):
        assert watching.order(f"poller={poller}") == 204

        def has_come(seen: Seen, wanted: str = poller) -> bool:
            counts.append(seen["guests"])
            return bool(seen["poller"] == wanted and seen["wakeups"] >= 0)

        watching.await_event(has_come)
    assert set(counts) == {60}


def test_rates_are_those_of_the_last_second_and_do_not_flicker(watching: Watching) -> None:
    assert watching.order("poller=epoll&guests=30&asking=2") == 204
    watching.await_event(lambda seen: seen["guests"] == 30 and bool(seen["served"]))
    rates: list[float] = []

    def have_twelve(seen: Seen) -> bool:
        rates.append(seen["wakeups"])
        return len(rates) == 12

    watching.await_event(have_twelve)
    # Two guests ask once a second: a rate over one tick would be 0, 0, 0, 5, 5.
    assert all(rate > 0 for rate in rates[6:]), rates
    assert watching.order("guests=10&asking=1") == 204


def test_a_guest_that_asks_is_served_and_seen(watching: Watching) -> None:
    assert watching.order("poller=poll&guests=20&asking=3") == 204
    # An answer may be sent at the end of one event's time and arrive in the next one's.
    assert watching.await_event(
        lambda seen: (
            seen["poller"] == "poll"
            and seen["guests"] == 20
            and bool(seen["served"])
            and seen["calls"] > 0
        )
    )
    one = watching.await_event(lambda seen: len(seen["served"]) == 1)
    assert one["served"][0] in {0, 1, 2}


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/?key=wrong", 404),
        ("GET", "/events", 404),
        ("POST", "/order?guests=5", 404),
        ("POST", "/order?key=wrong&guests=5", 404),
        ("GET", "/order?key=KEY&guests=5", 404),
        ("POST", "/order?key=KEY&guests=-5", 400),
        ("POST", "/order?key=KEY&guests=many", 400),
        ("POST", "/order?key=KEY&poller=kqueue", 400),
        ("POST", "/order?key=KEY&rm=all", 400),
        ("GET", "/nothing?key=KEY", 404),
    ],
)
def test_a_visitor_without_key_or_sense_is_refused(
    watching: Watching, method: str, target: str, status: int
) -> None:
    assert watching.ask(method, target.replace("KEY", watching.key))[0] == status


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 204),
        ({"Host": "localhost:9000"}, 204),
        ({"Host": "LOCALHOST"}, 204),
        ({"Host": "[::1]:9000"}, 204),
        ({"Host": "localhost:9000", "Origin": "http://localhost:9000"}, 204),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "localhost:9000", "Origin": "http://localhost:3000"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_pages_of_other_sites_order_nothing(
    watching: Watching, fields: dict[str, str], status: int
) -> None:
    """Not even those that have got hold of the key."""
    assert watching.ask("POST", f"/order?key={watching.key}&asking=1", **fields)[0] == status


def test_no_descriptors_for_browsers() -> None:
    """One that waits is let in later, and meanwhile nothing spins."""
    one = Watching()
    try:
        one.await_event(lambda seen: seen["guests"] == 50)
        resource.prlimit(one.process.pid, resource.RLIMIT_NOFILE, (3, 4096))
        with socket.create_connection(("127.0.0.1", one.port), 30) as browser:
            browser.sendall(f"GET /?key={one.key} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            rest(3)
            resource.prlimit(one.process.pid, resource.RLIMIT_NOFILE, (4096, 4096))
            assert browser.recv(100).startswith(b"HTTP/1.1 200 ")
    finally:
        stderr = one.stop()
    lines = stderr.splitlines()
    # One for each pause of a second, and a guest has no place either where the tick is unlucky.
    assert 1 <= len(lines) <= 8
    assert "epollo: no browser can connect for a moment: Too many open files" in lines


def test_no_more_ask_than_there_are(watching: Watching) -> None:
    assert watching.order("guests=3&asking=40") == 204
    assert watching.await_event(lambda seen: seen["guests"] == 3)["asking"] == 3
    assert watching.order("guests=60") == 204
    assert watching.await_event(lambda seen: seen["wanted"] == 60)["asking"] == 40
    assert watching.order("guests=10&asking=1") == 204


def test_a_server_that_was_killed_is_started_again() -> None:
    one = Watching()
    try:
        before = one.await_event(lambda seen: seen["guests"] == 50)["restarts"]
        for process in _list_descendants(one.process.pid):
            if b"epollo.lab.counted" in Path(f"/proc/{process}/cmdline").read_bytes():
                os.kill(process, signal.SIGKILL)
        again = one.await_event(lambda seen: seen["restarts"] == before + 1)
        assert again["poller"] == "epoll"
        assert one.await_event(lambda seen: seen["guests"] == 50 and bool(seen["served"]))
    finally:
        stderr = one.stop()
    assert stderr == "epollo: the server over epoll has ended; another one is started\n"


def _list_descendants(process: int) -> list[int]:
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(child) for child in children]


def test_more_than_there_is_room_for_is_cut(watching: Watching) -> None:
    assert watching.order("guests=99999&asking=99999") == 204
    seen = watching.await_event(lambda seen: seen["wanted"] == 900)
    assert seen["asking"] == 50
    assert watching.order("guests=10&asking=1") == 204


def test_octets_that_are_no_request_do_no_harm(watching: Watching) -> None:
    with socket.create_connection(("127.0.0.1", watching.port), 10) as peer:
        peer.sendall(b"\0\1\2 nonsense\r\n\r\n")
        assert peer.recv(100).startswith(b"HTTP/1.1 400 ")
    assert watching.ask("GET", f"/?key={watching.key}")[0] == 200


def test_the_page_in_a_browser(watching: Watching, browser: Chromium) -> None:
    watching.order("poller=epoll&guests=50&asking=2")
    wait = (
        "new Promise((done, fail) => { const since = Date.now(); const look = () => {"
        " if (CONDITION) done(true); else if (Date.now() - since > 15000) fail('too late');"
        " else setTimeout(look, 50); }; look(); })"
    )
    questions = {
        "seated": wait.replace(
            "CONDITION", "document.querySelectorAll('.guest.seated').length === 50"
        ),
        "served": wait.replace("CONDITION", "document.querySelector('.served') !== null"),
        "burning": (
            "document.querySelector('input[value=busy]').click(); "
            + wait.replace("CONDITION", "!document.getElementById('awake').hidden")
        ),
        "rings": wait.replace(
            "CONDITION", "document.querySelectorAll('.guest.looked').length === 50"
        ),
        # As if it was set in another browser: the page itself only sent an order.
        "followed": (
            "order('guests', 77); "
            + wait.replace(
                "CONDITION",
                "document.getElementById('guests').value === '77'"
                " && document.body.innerText.includes('77 guests')"
                " && document.body.innerText.includes('27 more guests are not drawn')",
            )
        ),
        "held": (
            "const slider = document.getElementById('guests'); slider.value = 90;"
            " slider.dispatchEvent(new PointerEvent('pointerdown'));"
            " new Promise((done) => setTimeout(() => done(slider.value), 1000))"
        ),
        "let go": (
            "slider.dispatchEvent(new PointerEvent('pointerup')); "
            + wait.replace("CONDITION", "slider.value === '77'")
        ),
        "select": (
            "poller = 'select';"
            " show({ ...{ looked_at: 5, found: 0.0123, in_vain: 0, calls: 0, processor: 0 },"
            " poller: 'select', guests: 50, wanted: 50, asking: 1, restarts, wakeups: 0, served: [3] });"
            " [document.querySelectorAll('.guest.looked').length,"
            " document.getElementById('found').textContent].join()"
        ),
        "language": "(document.getElementById('language').click(), document.title)",
        "fits": "document.documentElement.scrollWidth <= innerWidth",
    }
    try:
        page = browser.load(watching.url, questions=questions, until="load")
    finally:
        watching.order("poller=epoll")
    assert page.faults == []
    assert page.answers == {
        "seated": True,
        "served": True,
        "burning": True,
        "rings": True,
        "followed": True,
        "held": "90",
        "let go": True,
        "select": "50,0.012",
        "language": "五十位客人，现场",
        "fits": True,
    }
