"""Whatever octets come, however split: an answer or a close, recalled or not, never an exception."""

import random
import tempfile
import zlib
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from connections.in_process import FolderSite, InProcess
from epollo.http.message import Later, Request, Response
from epollo.http.status import REASONS
from epollo.protocols.http1 import Limits
from loop.hand_clock import HandClock
from properties.answers import read_answers

SECRET = b"secret\n"
TOKENS = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HEAD /big.txt HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /large.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1,9-\r\n\r\n", b"POST / HTTP/1.1\r\n",
    b"GET /folder?x HTTP/1.0\r\n", b"OPTIONS * HTTP/1.1\r\n", b"Host: a\r\n", b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Connection: keep-alive\r\n",
    b"Expect: 100-continue\r\n", b"If-None-Match: *\r\n", b"Accept-Encoding: gzip\r\n", b"Cookie: 1\r\n",
    b"Authorization: x\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n",
    b"\r\n\r\n", b"\r\n", b"\r", b"\n", b"\x00", b" ",
    b"%2e%2e/", b"../", b"/.secret", b"HTTP/2.0", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)  # fmt: skip
# Small enough for a fuzzer to come up to them.
LIMITS = Limits(request_line_octets=512, head_octets=2048, fields=20, content_octets=256)
_OCTET_BY_OCTET_MAX = 150


class Ground(NamedTuple):
    """One site, with recall and without, in one and the same second."""

    with_recall: InProcess
    without_recall: InProcess
    methods: list[str]


@cache
def lay_ground() -> Ground:
    """Make the site; it ends with the folder for temporary files."""
    top = Path(tempfile.mkdtemp(prefix="protocol"))
    root = top / "site"
    (root / "folder").mkdir(parents=True)
    (root / "index.html").write_bytes(b"index\n")
    (root / "folder" / "index.html").write_bytes(b"folder\n")
    (root / "big.txt").write_bytes(b"big\n" * 4_200)
    (root / "large.bin").write_bytes(bytes(20_000))
    (root / ".secret").write_bytes(SECRET)
    (top / "outside.txt").write_bytes(SECRET)
    clock = HandClock()
    respond = FolderSite(root, clock, kept_octets_limit=18_000).respond
    methods: list[str] = []

    def respond_and_note(request: Request) -> Response | Later:
        methods.append(request.method.decode())
        return respond(request)

    return Ground(
        InProcess(respond, clock=clock, limits=LIMITS),
        InProcess(respond_and_note, clock=clock, limits=LIMITS, has_recall=False),
        methods,
    )


def check(octets: bytes) -> None:
    """Send the octets as one peer, in several ways, and hold the outcomes against each other."""
    ground = lay_ground()
    ground.methods.clear()
    outcome = ground.without_recall.exchange([octets])
    # A client reads no content behind an answer to HEAD, of which also a refusal has none.
    methods = tuple("HEAD" if method == "HEAD" else "GET" for method in ground.methods)

    # The same octets are cut in the same places whenever they are tried.
    chance = random.Random(zlib.crc32(octets))
    cuts = sorted(chance.randrange(len(octets) + 1) for _ in range(chance.randrange(1, 5)))
    places = [0, *cuts, len(octets)]
    parts = [octets[begin:end] for begin, end in pairwise(places) if begin < end]
    assert ground.with_recall.exchange(parts) == outcome, "another outcome when split"
    assert ground.with_recall.exchange([octets]) == outcome, "another outcome when recalled"
    if len(octets) <= _OCTET_BY_OCTET_MAX:
        singly = [octets[place : place + 1] for place in range(len(octets))]
        assert ground.without_recall.exchange(singly) == outcome, "another outcome octet by octet"

    received, is_closed = outcome
    assert SECRET not in received
    # Without the memory that spares other tests the reading of equal answers.
    is_head_refused = b"HEAD " in octets and received.endswith(b"\r\n\r\n")
    answers = read_answers.__wrapped__(
        received, (*methods, *(("HEAD",) if is_head_refused else ()))
    )
    assert len(answers) >= len(methods), "a request without an answer"
    assert len(answers) <= len(methods) + 1, "an answer without a request"
    assert all(answer.status in REASONS for answer in answers)
    assert (bool(answers) and answers[-1].is_last) == is_closed
