"""Recalled or not, a site gives the same answers, octet for octet, under any policy.

Two servers stand on one folder and one password file, made of the parts of a worker, one with recall and
one without; the site of the latter is shown each value of Accept, whatever a reduced head leaves of it.
Policies, requests and changes of files are drawn at random; the fields that answers may depend on come in
all combinations, on connections of both schemes. Rules are read in slices.
"""

import base64
import contextlib
import hashlib
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connections.in_process import InProcess, Peer
from epollo.budget import Budget
from epollo.http.message import Later, Request, Response
from epollo.http.relevance import WHOLE_ACCEPT
from epollo.loop import Wakeup
from epollo.quantities import MEBIBYTE
from epollo.settings import Settings, select_sites
from epollo.site import catalogue as catalogue_module
from epollo.site import rulebook as rulebook_module
from epollo.site.listing import page
from epollo.site.respond import Site
from epollo.site.rules.reading import Readings
from epollo.transports.contract import PLAIN, Kind
from epollo.worker.access import Access
from epollo.worker.compose import open_catalogue, open_rulebook
from loop.hand_clock import START_SECOND, HandClock

SECURE = Kind(b"https", sends_files=False, scope=b"https")
ORIGINS = "https://a.example,https://b.example"

# The contents that each file may have; None for none.
FILES: dict[str, tuple[str | None, ...]] = {
    "index.html": ("<!doctype html>index", "<!doctype html>another index", None),
    "page.html": ("page", None),
    "app.js": ("let a = 1;", "let a = 2;"),
    "404.html": (None, "not found"),
    "private/secret.txt": ("secret", "another secret"),
    "folder/index.html": ("folder", None),
    "folder/other.html": ("other", None),
    "folder/third.html": ("third",),
    "_headers": (
        None,
        "/*\n  X-All: 1\n/page\n  Access-Control-Allow-Origin: https://c.example\n  Vary: Cookie\n",
        "/private/*\n  Cache-Control: public, max-age=9\nhttps://b.example/*\n  X-Host: b\n",
    ),
    "_redirects": (
        None,
        "/old /page 301\n/open /private/secret.txt 200\n",
        "/old /app.js 200\n/page /folder/ 302!\n/q k=:v /:v 301\n",
        "".join(f"/old/{n} /page/{n}\n" for n in range(100)) + "/old /page.html\n/none/* 200\n",
    ),
    "../passwords": ("ann:open bob:shut", "ann:shut", None),
}
TARGETS = (
    *("/", "/page", "/page.html", "/app.js", "/folder", "/folder/", "/none", "/none.js", "/old"),
    *(
        "/open",
        "/private",
        "/private/",
        "/private/secret.txt",
        "/%70rivate/secret.txt",
        "/q?k=app.js",
    ),
    *("/../x", "/_headers", "/private/../page"),
)


def encode_credentials(credentials: str) -> str:
    return f"Authorization: Basic {base64.b64encode(credentials.encode()).decode()}"


FIELDS: tuple[tuple[str, ...], ...] = (
    ("Origin: https://a.example", "Origin: https://b.example", "Origin: https://c.example"),
    ("Accept: text/html", "Accept: */*", "Accept: application/json", "Accept: text/html;q=0, a/b"),
    ("Cookie: a", "Cookie: b"),
    (*map(encode_credentials, ("ann:open", "ann:shut", "bob:shut")), "Authorization: Basic x"),
    ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Mode: cors"),
    ("Sec-Fetch-Dest: document", "Sec-Fetch-Dest: script"),
    ("Accept-Encoding: gzip", "Accept-Encoding: identity;q=0"),
    ("Range: bytes=0-2", 'If-None-Match: "x"', "If-None-Match: *"),
    ("Access-Control-Request-Method: GET",),
    ("Access-Control-Request-Headers: range",),
)


class Ask(NamedTuple):
    """One of the requests that were drawn, on a connection of this kind."""

    kind: Kind
    number: int


class Write(NamedTuple):
    """One of the files has one of its contents from now on."""

    name: str
    number: int


Step = Ask | Write | int
"""What is done on both sides; a number turns the clocks by as many seconds."""

policies = st.builds(
    Settings,
    auth=st.sampled_from(("", "passwords", "passwords")),
    auth_paths=st.sampled_from(("/", "/private", "/private,/folder")),
    cors=st.sampled_from(("", "any", "https://a.example", ORIGINS, ORIGINS)),
    isolate=st.booleans(),
    spa=st.booleans(),
    clean_urls=st.booleans(),
    listing=st.sampled_from(("off", "on", "auto")),
)
field_lines = st.tuples(*(st.sampled_from(("", "", *lines)) for lines in FIELDS)).map(list)


def make_request(method: str, target: str, host: str, lines: list[str], last: str) -> bytes:
    all_lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *filter(None, [*lines, last])]
    return "".join(f"{line}\r\n" for line in all_lines).encode() + b"\r\n"


all_requests = st.builds(
    make_request,
    st.sampled_from(("GET", "GET", "GET", "HEAD", "OPTIONS", "POST")),
    st.sampled_from(TARGETS),
    st.sampled_from(("a.example", "b.example")),
    field_lines,
    st.sampled_from(("", "", "Connection: close")),
)
questions = st.builds(Ask, st.sampled_from((PLAIN, SECURE)), st.integers(0, 3))
writes = st.sampled_from(sorted(FILES)).flatmap(
    lambda name: st.builds(Write, st.just(name), st.integers(0, len(FILES[name]) - 1))
)
all_steps = st.lists(st.one_of(questions, questions, questions, writes, st.just(1)), max_size=25)


class Ground:
    """The folder of both sides, and the password file beside it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.root.mkdir()
        for name in FILES:
            (self.root / name).parent.mkdir(exist_ok=True)
            self.write(name, 0)

    def write(self, name: str, number: int) -> None:
        path, content = self.root / name, FILES[name][number]
        if content is None:
            path.unlink(missing_ok=True)
            return
        if name == "../passwords":
            content = "".join(f"{_hash(*pair.split(':'))}\n" for pair in content.split())
        path.write_text(content)
        # Before the time that the clocks show, and never the same.
        os.utime(path, (START_SECOND - 1000 + number, START_SECOND - 1000 + number))


def _hash(user: str, password: str) -> str:
    digest = hashlib.sha1(password.encode()).digest()
    return f"{user}:{{SHA}}{base64.b64encode(digest).decode()}"


class Side:
    """One of two servers: the parts of a worker, and a connection of each kind."""

    def __init__(
        self, policy: Settings, ground: Ground, stack: contextlib.ExitStack, *, has_recall: bool
    ) -> None:
        self.clock = HandClock()
        self.reports: list[str] = []
        self.count = 0
        self.way = stack.enter_context(
            InProcess(self.respond, clock=self.clock, has_recall=has_recall)
        )
        loop, service = self.way.loop, self.way.service
        wakeup = Wakeup(loop)
        stack.callback(wakeup.close)
        auth = str(ground.root.parent / policy.auth) if policy.auth else ""
        (site_settings,) = sites = select_sites(policy.replace(root=ground.root, auth=auth))
        access = Access(sites, loop, wakeup.call, self.reports.append, None)
        stack.callback(access.close)
        catalogue = open_catalogue(
            site_settings, Budget(16 * MEBIBYTE), loop, self.reports.append, lambda *_: None
        )
        stack.callback(catalogue.close)
        rulebook = open_rulebook(site_settings, catalogue, loop, self.reports.append)
        rulebook.readings = Readings(loop.call_again)
        self.site = Site(catalogue, self.clock, None, rulebook, listing=site_settings.listing)
        self.answer = rulebook.when_read(access.protect(0, self.site))
        relevant = access.relevant_fields
        if not has_recall:
            relevant |= {WHOLE_ACCEPT}
        catalogue.deferred_release.on_doubt = service.doubt
        service.rely_on(rulebook.policy.relevant_fields | relevant)
        rulebook.on_change.append(lambda rules: service.rely_on(rules.relevant_fields | relevant))
        loop.on_second.append(rulebook.follow)
        watch = catalogue.watch
        assert watch is not None

        def look_for_changes() -> None:
            watch.on_ready(0)
            access.look_for_changes()

        service.look_for_changes = look_for_changes
        # Peers may send between the report of a batch and their turn.
        service.is_report_instant = False
        self._peers: dict[Kind, Peer] = {}

    def respond(self, request: Request) -> Response | Later:
        self.count += 1
        return self.answer(request)

    def ask(self, kind: Kind, request: bytes) -> tuple[bytes, bool]:
        """Return the answer without its date, and whether it was the last."""
        peer = self._peers.get(kind)
        if peer is None or peer.is_closed:
            peer = self._peers[kind] = self.way.connect(kind=kind)
        begin = len(peer.received)
        peer.send(request)
        for _ in range(1000):
            self.way.settle(peer)
            if len(peer.received) > begin or peer.is_closed:
                break
            # A password is compared, or a folder listed, in a thread.
            self.way.loop.run_batch(0.01)
        self.way.settle(peer)
        assert len(peer.received) > begin
        return bytes(peer.received[begin:]), peer.is_closed


def make_get(target: str, *lines: str) -> bytes:
    return make_request("GET", target, "a.example", list(lines), "")


CROSS_ORIGIN = [make_get("/page", f"Origin: https://{name}.example") for name in "abc"]
SECRET = [
    make_get("/private/secret.txt", *map(encode_credentials, credentials))
    for credentials in ((), ("ann:open",), ("ann:shut",), ("bob:shut",))
]
IN_TURN: list[Step] = [Ask(kind, number) for number in (0, 1, 2, 3) for kind in (PLAIN, SECURE)]


@settings(max_examples=40)
@given(policies, st.lists(all_requests, min_size=1, max_size=4), all_steps)
@example(
    Settings(auth="passwords", cors=ORIGINS),
    SECRET,
    [*IN_TURN, *IN_TURN, Write("../passwords", 1), *IN_TURN, Write("../passwords", 2), *IN_TURN],
)
@example(Settings(cors=ORIGINS), CROSS_ORIGIN, [*IN_TURN, *IN_TURN, Write("_headers", 1), *IN_TURN])
@example(
    Settings(auth="passwords", auth_paths="/private"),
    [make_get("/open"), make_get("/open", encode_credentials("ann:open"))],
    [*IN_TURN, Write("_redirects", 1), *IN_TURN, *IN_TURN, Write("_redirects", 0), *IN_TURN],
)
@example(
    Settings(spa=True),
    [make_get("/none", "Accept: text/html"), make_get("/none"), make_get("/none", "Accept: a/b")],
    [*IN_TURN, *IN_TURN, Write("index.html", 1), *IN_TURN],
)
@example(
    Settings(listing="on"),
    [make_get("/folder/", *accept) for accept in ((), ("Accept: text/html",), ("Accept: */*",))],
    [Write("folder/index.html", 1), *IN_TURN, *IN_TURN, Write("_headers", 1), *IN_TURN],
)
@example(
    Settings(spa=True, listing="off"),
    [make_get("/old"), make_get("/old/7"), make_get("/none/x", "Accept: text/html")],
    [*IN_TURN, Write("_redirects", 3), *IN_TURN, *IN_TURN, Write("_redirects", 1), *IN_TURN],
)
def test_answers_with_and_without_recall(
    policy: Settings, requests: list[bytes], steps: list[Step]
) -> None:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        # A folder of two files has two pages, and no rules are read at once.
        patch.setattr(page, "PAGE_ENTRIES", 1)
        patch.setattr(rulebook_module, "_AT_ONCE_SECONDS", 0.0)
        for module in (rulebook_module, catalogue_module):
            # Other rules release the answers of the former ones, or leave each to be looked at.
            patch.setattr(module, "RELEASED_AT_ONCE_LIMIT", len(requests) % 2 * 4096)
        ground = Ground(Path(folder))
        sides = [Side(policy, ground, stack, has_recall=has) for has in (True, False)]
        for step in steps:
            if isinstance(step, Ask):
                request = requests[step.number % len(requests)]
                recalled, made = [side.ask(step.kind, request) for side in sides]
                assert recalled == made, request
            elif isinstance(step, Write):
                ground.write(*step)
            else:
                for side in sides:
                    side.clock.turn(step)
                    side.way.loop.run_batch(0)
        recalling, making = sides
        assert not any("fault" in line for side in sides for line in side.reports)
        assert not recalling.way.reports
        assert not making.way.reports
        assert recalling.reports == making.reports


@pytest.mark.parametrize(
    ("policy", "requests", "statuses"),
    [
        (Settings(auth="passwords", cors=ORIGINS), SECRET, [401, 200, 401, 200]),
        (Settings(cors=ORIGINS, isolate=True), CROSS_ORIGIN, [200, 200, 200]),
    ],
)
def test_what_is_known_is_not_made_again(
    policy: Settings, requests: list[bytes], statuses: list[int]
) -> None:
    """So that the property above is one of recall: each answer is made once for each scheme."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        side = Side(policy, Ground(Path(folder)), stack, has_recall=True)
        for kind in (PLAIN, SECURE, PLAIN, SECURE):
            found = [side.ask(kind, request)[0] for request in requests]
            assert [int(answer.split()[1]) for answer in found] == statuses
        # A password that was compared has its answer made after it.
        assert side.count <= 2 * len(requests)
