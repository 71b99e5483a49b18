"""``epollo lab watch``: a server at work, looked at through a browser.

There are three processes: this one, which shows the page and holds the guests' connections; the server
that is watched, which counts (`counted`); and one that only ends the server when this one ends. Five
times a second the server's tally is read, and what it did in the last second is sent to every browser.
"""

import json
import math
import os
import secrets
import signal
import socket
import tempfile
import time
from collections import deque
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from urllib.parse import parse_qs

from epollo.annotations import Any, Final
from epollo.errors import OperatorError
from epollo.http.message import Request, Response, select_host
from epollo.http.status import respond_plainly
from epollo.lab.accounting import cpu_seconds
from epollo.lab.counters import SYSTEM_CALLS, TRIES, Counters
from epollo.lab.guests import REQUEST
from epollo.lab.measure import DISH_OCTETS, Party
from epollo.lab.page import format_both
from epollo.lab.visitor import Door, Visitor
from epollo.lab.words import COUNTED_WORDS, LANGUAGES, WATCH_WORDS, say
from epollo.loop import EventLoop, Handler, Wakeup
from epollo.pollers import POLLERS, open_poller
from epollo.terminal import format_link, report, tell
from epollo.transports.listening import open_listening_socket

GUESTS_LIMIT: Final = 900
"""The most guests that fit below select's FD_SETSIZE."""
ASKING_LIMIT: Final = 50
_HOSTS: Final = frozenset((b"127.0.0.1", b"localhost", b"[::1]"))
"""What this machine calls itself, also at the near end of a tunnel."""
_TICKS_PER_SECOND: Final = 5
_TICK_SECONDS: Final = 1 / _TICKS_PER_SECOND
_OPENED_PER_TICK: Final = 100


class Guest(Handler):
    """The handler of one connection to the server that is watched."""

    def __init__(self, watch: "Watch", number: int, port: int) -> None:
        self._watch = watch
        self._number = number
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._socket.setblocking(False)
        self.deadline = math.inf
        watch.loop.add(self._socket.fileno(), self)
        self.ask()

    def ask(self) -> None:
        """Ask for a dish."""
        try:
            self._socket.send(REQUEST)
        except OSError:
            # The server has not taken the last ones yet, or is gone; the next turn tells.
            return

    def on_ready(self, events: int) -> None:  # noqa: ARG002
        """Take what was brought."""
        try:
            octets = self._socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            octets = b""
        if octets:
            self._watch.served.add(self._number)
        else:
            self.close()

    def close(self) -> None:
        """Close the connection."""
        if self._socket.fileno() >= 0:
            self._watch.loop.remove(self._socket.fileno())
            self._socket.close()
        self._watch.guests.pop(self._number, None)


class Watch:
    """What is watched, and the visitors that watch; closed, nothing of it is left."""

    def __init__(self, listening: socket.socket, root: Path, poller: str) -> None:
        self.loop = EventLoop(open_poller("auto"), report)
        self.streams: set[Visitor] = set()
        self.guests: dict[int, Guest] = {}
        self.served: set[int] = set()
        """The guests that got an answer since the last tick."""
        self.key = secrets.token_urlsafe(12)
        """Only a browser that has it may look or order: any web page can reach a local port."""
        self._root = root
        self._wanted = 50
        self._asking = 1
        self._ticks = 0
        self._restarts = 0
        self._page = format_watch_page(self.key)
        Door(listening, self)
        self._listening = listening
        self._is_over = False
        # The loop makes the calls of signals, so they find nothing half done.
        self._wakeup = Wakeup(self.loop)
        for number in (signal.SIGINT, signal.SIGTERM):
            self._wakeup.on_signal(number, self._stop)
        self._poller = ""
        self._party: Party | None = None
        self._counters: Counters | None = None
        # Readings of the last second: a rate over one tick would flicker between 0 and five times the
        # truth.
        self._readings: deque[tuple[float, float, dict[str, int]]] = deque(
            maxlen=_TICKS_PER_SECOND + 1
        )
        self.switch(poller)

    def run(self) -> None:
        """Watch until SIGINT or SIGTERM."""
        due = time.monotonic() + _TICK_SECONDS
        while not self._is_over:
            self.loop.run_batch(max(0.0, due - time.monotonic()))
            if time.monotonic() >= due and not self._is_over:
                self.tick()
                due = time.monotonic() + _TICK_SECONDS

    def report(self, line: str) -> None:
        """Tell the operator something."""
        report(line)

    def switch(self, poller: str) -> None:
        """Have another server, over another poller; the guests keep their places."""
        party = Party(poller, self._root, counts=True)
        seated = sorted(self.guests)
        self._leave()
        self._poller = poller
        self._party = party
        self._counters = Counters(os.dup(party.counters))
        self._readings.clear()
        self._readings.append(self._read_books())
        self._seat_guests(seated)

    def tick(self) -> None:
        """Send all browsers what the server did, seat or dismiss guests, and let some of them ask.

        In this order: guests that ask now are served in the time that the next event tells of.
        """
        assert self._party is not None  # noqa: S101 - for the type checker: closed only at the end
        if self._party.is_over:
            self.report(f"the server over {self._poller} has ended; another one is started")
            self._restarts += 1
            self._try_switch(self._poller)
            return
        text = json.dumps(self._observe())
        for visitor in list(self.streams):
            visitor.send_event(text)
        for number in [number for number in self.guests if number >= self._wanted]:
            self.guests[number].close()
        missing = [number for number in range(self._wanted) if number not in self.guests]
        self._seat_guests(missing[:_OPENED_PER_TICK])
        self._ticks += 1
        for number in range(min(self._asking, len(self.guests))):
            if (number + self._ticks) % _TICKS_PER_SECOND == 0 and number in self.guests:
                self.guests[number].ask()

    def respond(self, request: Request) -> Response | None:
        """Answer the page's requests; None for its stream of events."""
        host = request.target.authority or request.fields.get(b"host", b"")
        if select_host(request) not in _HOSTS:
            # A name of another site that leads here (DNS rebinding); RFC 9110 section 7.4.
            return respond_plainly(421)
        if request.fields.get(b"origin", b"http://" + host) != b"http://" + host:
            return respond_plainly(403)
        query = parse_qs((request.target.query or b"").decode("latin-1"))
        if not secrets.compare_digest(query.get("key", [""])[0].encode(), self.key.encode()):
            return respond_plainly(404)
        method, path = request.method, request.target.path
        if (method, path) == (b"GET", b"/"):
            return _respond_page(self._page)
        if (method, path) == (b"GET", b"/events"):
            return None
        if (method, path) == (b"POST", b"/order"):
            return Response(204) if self._take_order(query) else respond_plainly(400)
        return respond_plainly(404)

    def close(self) -> None:
        """End the server, and close every connection."""
        self._leave()
        for handler in self.loop.handlers():
            if isinstance(handler, Visitor):
                handler.close()
        self._wakeup.close()
        self.loop.close()
        self._listening.close()

    def _stop(self) -> None:
        self._is_over = True

    def _take_order(self, query: dict[str, list[str]]) -> bool:
        """Do what was ordered; return whether it made sense."""
        for name, (value, *_) in query.items():
            if name == "poller" and value in POLLERS:
                if value != self._poller:
                    self._try_switch(value)
            elif name in {"guests", "asking"} and value.isascii() and value.isdigit():
                if name == "guests":
                    self._wanted = min(int(value), GUESTS_LIMIT)
                else:
                    self._asking = min(int(value), ASKING_LIMIT)
            elif name != "key":
                return False
        return True

    def _try_switch(self, poller: str) -> None:
        """Have another server; where none can be had there is nothing left to watch."""
        try:
            self.switch(poller)
        except OperatorError as error:
            self.report(str(error))
            self._stop()

    def _seat_guests(self, numbers: list[int]) -> None:
        assert self._party is not None  # noqa: S101 - for the type checker: closed only at the end
        for number in numbers:
            try:
                self.guests[number] = Guest(self, number, self._party.port)
            except OSError as error:
                self.report(f"no place for guest {number + 1}: {error.strerror}")
                self._wanted = number
                return

    def _observe(self) -> dict[str, Any]:
        """Return what the server did in the last second, as the page shows it."""
        now, cpu, counted = self._read_books()
        then, cpu_before, counted_before = self._readings[0]
        self._readings.append((now, cpu, counted))
        seconds = max(now - then, 1e-3)
        did = {name: counted[name] - counted_before[name] for name in counted}
        tries = sum(did[name] for name in TRIES)
        served, self.served = sorted(self.served), set()
        return {
            "poller": self._poller,
            "guests": len(self.guests),
            "wanted": self._wanted,
            "asking": min(self._asking, self._wanted),
            "restarts": self._restarts,
            "wakeups": did["turns"] / seconds,
            "looked_at": did["looked_at"] / max(did["turns"], 1),
            "found": max(0, tries - did["in_vain"]) / max(did["turns"], 1),
            "in_vain": did["in_vain"] / seconds,
            "calls": sum(did[name] for name in SYSTEM_CALLS) / seconds,
            "processor": max(0.0, cpu - cpu_before) / seconds,
            "served": [number for number in served if number < ASKING_LIMIT],
        }

    def _read_books(self) -> tuple[float, float, dict[str, int]]:
        assert self._party is not None  # noqa: S101 - for the type checker
        assert self._counters is not None  # noqa: S101
        return time.monotonic(), cpu_seconds(self._party.processes), self._counters.read()

    def _leave(self) -> None:
        for guest in list(self.guests.values()):
            guest.close()
        if self._counters is not None:
            self._counters.close()
            self._counters = None
        if self._party is not None:
            self._party.close()
            self._party = None


def _respond_page(page: bytes) -> Response:
    return Response(
        200,
        (
            (b"Content-Type", b"text/html; charset=utf-8"),
            (b"Content-Length", b"%d" % len(page)),
            (b"Cache-Control", b"no-store"),
            (b"Referrer-Policy", b"no-referrer"),
            (b"X-Content-Type-Options", b"nosniff"),
        ),
        (page,),
    )


def format_watch_page(key: str) -> bytes:
    """Return the page that shows the server at work."""
    template = Template(files("epollo.lab").joinpath("watch.html").read_text(encoding="utf-8"))
    words = {
        name: format_both(
            f"watch.{name}", f'<output data-shows="{COUNTED_WORDS.get(name, "")}"></output>'
        )
        for name in WATCH_WORDS
    }
    titles = {language: say("watch.title", language) for language in LANGUAGES}
    sentences = {
        language: {
            poller: say(f"{poller}.what", language)
            for poller in ("busy", "select", "poll", "epoll")
        }
        for language in LANGUAGES
    }
    return template.substitute(
        key=json.dumps(key),
        titles=json.dumps(titles, ensure_ascii=False),
        sentences=json.dumps(sentences, ensure_ascii=False),
        pollers=json.dumps(list(POLLERS)),
        guests_limit=GUESTS_LIMIT,
        asking_limit=ASKING_LIMIT,
        other_en=escape(say("language", "en")),
        other_zh=escape(say("language", "zh")),
        plain_title=escape(say("watch.title", "en")),
        plain_legend=escape(say("watch.legend", "en")),
        **words,
    ).encode()


def watch(port: int, poller: str) -> None:
    """Show a server at work until SIGINT or SIGTERM. Raises `OperatorError` if it cannot be started."""
    try:
        listening = open_listening_socket("127.0.0.1", port)
    except OSError as error:
        raise OperatorError(f"cannot listen on port {port}: {error.strerror}") from None
    with listening, tempfile.TemporaryDirectory(prefix="epollo-lab-") as folder:
        (Path(folder) / "dish").write_bytes(b"." * DISH_OCTETS)
        show = Watch(listening, Path(folder), poller)
        try:
            link = format_link(*listening.getsockname()[:2])
            tell(f"watch it at {link}?key={show.key}")
            tell("stop it with Ctrl-C")
            show.run()
        finally:
            show.close()
