"""Whatever a target says, nothing outside of the root is opened, and no other host is named."""

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from connections.in_process import FolderSite
from epollo.http.message import Request, Response
from epollo.http.target import TargetForm, decode_path, encode_path, parse_target
from epollo.site.resolve import Kind, walk
from loop.hand_clock import HandClock

SECRET = b"secret\n"
TOKENS = (
    b"/", b"//", b"..", b"../", b"/..", b".", b"%2e", b"%2E%2e", b"%2f", b"%5c", b"\\", b"%00", b"%25",
    b"%c0%ae", b"http://a", b"https://[::1]:1", b"?", b"#", b"up", b"out", b"home", b"loop", b"deep",
    b"folder", b"index.html", b"page.txt", b".hidden", b".well-known", b"outside.txt", b"here",
)  # fmt: skip


class Ground(NamedTuple):
    """A root with links of all kinds, and what lies outside of it."""

    root: int
    root_path: bytes
    site: FolderSite


@cache
def lay_ground() -> Ground:
    """Make the folders; they end with the folder for temporary files."""
    top = Path(tempfile.mkdtemp(prefix="resolution")).resolve()
    root = top / "site"
    for name in ("folder/deep", ".hidden", ".well-known", "folder/.hidden"):
        (root / name).mkdir(parents=True)
        (root / name / "page.txt").write_bytes(b"page\n")
        (root / name / "index.html").write_bytes(b"index\n")
    (root / "index.html").write_bytes(b"index\n")
    (root / ".hidden" / "page.txt").write_bytes(SECRET)
    (top / "outside.txt").write_bytes(SECRET)
    (top / "sitelike").mkdir()
    (top / "sitelike" / "page.txt").write_bytes(SECRET)
    for name, target in {
        "up": "..",
        "out": "../outside.txt",
        "root": "/",
        "home": str(root),
        "near": str(top / "sitelike"),
        "loop": "loop",
        "folder/up": "../..",
        "folder/here": ".",
        "folder/deep/back": "../../folder/../index.html",
        "folder/deep/out": "../../../outside.txt",
    }.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "fifo")
    descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY)
    return Ground(descriptor, os.fsencode(root), FolderSite(root, HandClock()))


def check(octets: bytes) -> None:
    """Take the octets for a target, for a path, and for names that were not looked at."""
    target = parse_target(octets)
    if target is not None:
        if target.form in {TargetForm.ORIGIN, TargetForm.ABSOLUTE}:
            assert target.path.startswith(b"/")
            _check_path(target.path)
        _check_response(octets)
    _check_path(octets)
    # The walk does not lean on what came before it.
    _check_walk(tuple(octets.split(b"/")))


def _check_path(path: bytes) -> None:
    names = decode_path(path)
    if names is None:
        return
    assert names
    assert not {b".", b".."}.intersection(names)
    assert all(names[:-1])
    assert not any(b"/" in name or b"\0" in name for name in names)
    encoded = encode_path(names)
    assert encoded.startswith(b"/")
    assert not encoded.startswith(b"//")
    assert all(0x20 < octet < 0x7F for octet in encoded)
    assert not set(b"\\\"'<>?#").intersection(encoded)
    assert decode_path(encoded) == names
    _check_walk(names)


def _check_walk(names: tuple[bytes, ...]) -> None:
    ground = lay_ground()
    descriptors_before = _next_descriptor()
    found = walk(ground.root, ground.root_path, names, lambda _: 0)
    if found.descriptor < 0:
        assert found.kind not in {Kind.FILE, Kind.FOLDER}
    else:
        try:
            path = os.readlink(os.fsencode(f"/proc/self/fd/{found.descriptor}"))
            assert path == ground.root_path or path.startswith(ground.root_path + b"/"), path
            if found.kind is Kind.FILE:
                assert os.read(found.descriptor, 100)
        finally:
            os.close(found.descriptor)
    assert _next_descriptor() == descriptors_before, "a descriptor was left open"


def _next_descriptor() -> int:
    """Return the lowest descriptor that is free (open(2))."""
    descriptor = os.dup(0)
    os.close(descriptor)
    return descriptor


def _check_response(octets: bytes) -> None:
    target = parse_target(octets)
    assert target is not None
    response = lay_ground().site.respond(Request(b"GET", target, {}))
    assert isinstance(response, Response)
    content = b"".join(part for part in response.content if isinstance(part, bytes))
    assert SECRET not in content
    for name, value in response.fields:
        assert not {0, 0x0A, 0x0D}.intersection(value)
        if name == b"Location":
            assert response.status == 301
            assert value.startswith(b"/")
            assert value[1:2] not in {b"/", b"\\"}, "leads to another host"
            assert all(0x20 < octet < 0x7F for octet in value)
