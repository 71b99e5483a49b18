"""What browsers read of codings: large files, sidecar files, compressed SVG, charsets."""

import gzip
import random
import re
import shutil
import subprocess
from pathlib import Path

import brotli
import httpx
import pytest

from chromium import Chromium
from conftest import Serve, Server, await_coding
from epollo.site.zstd import CompressionParameter, ZstdCompressor

MEBIBYTE = 1024 * 1024
CODINGS = ("gzip", "br", "zstd")
SUFFIXES = {"gzip": ".gz", "br": ".br", "zstd": ".zst"}
NUMBER = "globalThis.number = 42;\n"


def make_script(octets: int, seed: int = 1) -> bytes:
    """Return a script that sets ``number``, after ``octets`` octets of comments."""
    chance = random.Random(seed)
    words = [chance.randbytes(chance.randrange(1, 7)).hex() for _ in range(2000)]
    lines = []
    length = 0
    while length < octets:
        line = "// " + " ".join(chance.choices(words, k=200)) + "\n"
        lines.append(line)
        length += len(line)
    return "".join((*lines, NUMBER)).encode()


def make_module(octets: int) -> bytes:
    """Return a WebAssembly module that exports a function ``f``, which returns 42, and has data."""

    def number(value: int) -> bytes:
        # LEB128, as the binary format has numbers.
        out = bytearray()
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        return bytes((*out, value))

    def section(kind: int, content: bytes) -> bytes:
        return bytes((kind,)) + number(len(content)) + content

    name = b"\x04data"
    custom = section(0, name + bytes(random.Random(1).choices(range(16), k=octets)))
    types = section(1, b"\x01\x60\x00\x01\x7f")
    functions = section(3, b"\x01\x00")
    exports = section(7, b"\x01\x01f\x00\x00")
    code = section(10, b"\x01\x04\x00\x41\x2a\x0b")
    return b"\0asm\1\0\0\0" + types + functions + exports + code + custom


def write_page(site: Path, body: str) -> None:
    head = "<!doctype html><meta charset=utf-8><title>page</title><link rel=icon href='data:,'>"
    (site / "index.html").write_text(head + body)


def transferred(name: str) -> str:
    """Return the question how many octets of content came for a name."""
    return f"performance.getEntriesByName(new URL('{name}', location).href)[0].encodedBodySize"


@pytest.fixture(scope="module")
def large(serve_module: Serve, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server of large files, which have been coded."""
    root = tmp_path_factory.mktemp("large")
    (root / "app.js").write_bytes(make_script(4 * MEBIBYTE))
    (root / "app.wasm").write_bytes(make_module(2 * MEBIBYTE))
    write_page(root, "<script src=app.js></script>")
    server = serve_module(root, "--quiet")
    for name in ("app.js", "app.wasm"):
        await_coding(server, f"/{name}", *CODINGS)
    return server


def test_large_files_come_coded(large: Server, chromium: Chromium) -> None:
    page = chromium.load(
        large.url + "/",
        questions={
            "number": "globalThis.number",
            "wasm": "WebAssembly.instantiateStreaming(fetch('app.wasm'))"
            ".then(made => made.instance.exports.f())",
            "script octets": transferred("app.js"),
            "module octets": transferred("app.wasm"),
        },
    )
    assert page.faults == []
    assert page.answers["number"] == 42
    assert page.answers["wasm"] == 42
    assert page.answers["script octets"] < (large.root / "app.js").stat().st_size / 2
    assert page.answers["module octets"] < (large.root / "app.wasm").stat().st_size * 0.6


@pytest.mark.parametrize("coding", CODINGS)
def test_curl_reads_large_codings(large: Server, tmp_path: Path, coding: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    script = (large.root / "app.js").read_bytes()
    told = subprocess.run(["curl", "--version"], capture_output=True, check=True).stdout
    if {"gzip": b"libz", "br": b"brotli", "zstd": b"zstd"}[coding] not in told:
        pytest.skip(f"this curl does not read {coding}")
    whole, part = tmp_path / "whole", tmp_path / "part"
    url = f"{large.url}/app.js"
    command = ("curl", "-q", "--silent", "--fail", "--noproxy", "*")
    accept = ("--header", f"Accept-Encoding: {coding}")
    subprocess.run([*command, "--compressed", *accept, "--output", whole, url], check=True)
    assert whole.read_bytes() == script
    # What was interrupted continues, of the coding as it is of a file.
    subprocess.run([*command, *accept, "--output", whole, url], check=True)
    coded = whole.read_bytes()
    part.write_bytes(coded[:1000])
    subprocess.run([*command, *accept, "--continue-at", "-", "--output", part, url], check=True)
    assert part.read_bytes() == coded
    assert len(coded) < len(script) / 2


def zstd_frame(content: bytes, window_log: int) -> bytes:
    stream = ZstdCompressor(options={CompressionParameter.window_log: window_log})
    return stream.compress(content) + stream.flush()


def brotli_stream(content: bytes) -> bytes:
    """Return a stream that is made in no time: as small as can be, it takes seconds."""
    coded: bytes = brotli.compress(content, quality=5)
    return coded


SIDECARS = {
    "window.js.zst": lambda script: zstd_frame(script, 27),
    "dictionary.js.zst": lambda script: (
        b"\x28\xb5\x2f\xfd\x01\x58\x07" + zstd_frame(script, 20)[6:]
    ),
    "frames.js.zst": lambda script: zstd_frame(script[:100], 20) + zstd_frame(script[100:], 20),
    "good.js.zst": lambda script: zstd_frame(script, 23),
    "members.js.gz": lambda script: gzip.compress(script[:100]) + gzip.compress(script[100:]),
    "tail.js.gz": lambda script: gzip.compress(script) + b"tail",
    "good.js.gz": gzip.compress,
    "streams.js.br": lambda script: brotli_stream(script[:100]) + brotli_stream(script[100:]),
    "good.js.br": brotli_stream,
}


@pytest.mark.parametrize("octets", [20_000, MEBIBYTE + 1])
def test_every_sidecar_that_is_used_can_be_read(
    serve: Serve, site: Path, chromium: Chromium, octets: int
) -> None:
    script = make_script(octets)
    for name, make in SIDECARS.items():
        (site / name).with_suffix("").write_bytes(script)
        (site / name).write_bytes(make(script))
    write_page(site, "")
    server = serve(site, "--quiet")
    names = {name.rpartition(".")[0] for name in SIDECARS}
    codings = {suffix: coding for coding, suffix in SUFFIXES.items()}
    for name in SIDECARS:
        target, _, suffix = name.rpartition(".")
        await_coding(server, f"/{target}", codings[f".{suffix}"])
    page = chromium.load(
        server.url + "/",
        questions={
            name: f"fetch('{name}').then(answer => answer.text()).then(text => text.length)"
            for name in names
        },
    )
    assert page.faults == []
    assert page.answers == dict.fromkeys(names, len(script))
    refused = {line.split()[1] for line in server.stderr.splitlines() if "not used" in line}
    assert refused == {name for name in SIDECARS if not name.startswith("good")}


def test_svgz_is_shown(serve: Serve, site: Path, chromium: Chromium) -> None:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="70" height="50"/>'
    (site / "small.svgz").write_bytes(gzip.compress(svg))
    filler = b"<!--" + random.Random(1).randbytes(MEBIBYTE).hex().encode() + b"-->"
    (site / "large.svgz").write_bytes(gzip.compress(svg + filler * 2))
    write_page(site, "<img src=small.svgz><img src=large.svgz>")
    page = chromium.load(
        serve(site, "--quiet").url + "/",
        questions={"sizes": "[...document.images].map(image => image.naturalWidth).join()"},
    )
    assert page.faults == []
    assert page.broken_pictures == []
    assert page.answers["sizes"] == "70,70"


@pytest.mark.parametrize(
    ("name", "declaration", "charset"),
    [
        ("korean.html", "<meta charset=euc-kr>", "euc-kr"),
        ("latin.html", "<meta charset=iso-8859-1>", "latin-1"),
        ("japanese.html", "<meta charset=iso-2022-jp>", "iso2022_jp"),
        ("plain.html", "", "utf-8"),
        ("xml.xml", '<?xml version="1.0" encoding="iso-8859-1"?>', "latin-1"),
        ("utf16.html", "", "utf-16"),
    ],
)
def test_text_is_shown_as_it_was_written(
    serve: Serve, site: Path, chromium: Chromium, name: str, declaration: str, charset: str
) -> None:
    text = {"latin-1": "d\xe9j\xe0 vu", "euc-kr": "안녕", "iso2022_jp": "日本語"}.get(
        charset, "caf\xe9 안녕"
    )
    content = f"{declaration}<p>{text}</p>"
    (site / name).write_bytes(content.encode(charset))
    write_page(site, "")
    server = serve(site, "--quiet")
    page = chromium.load(
        f"{server.url}/{name}", questions={"text": "document.querySelector('p').textContent"}
    )
    assert page.answers["text"] == text
    head = server.exchange(f"HEAD /{name} HTTP/1.0\r\n\r\n".encode())
    assert (b"charset=" in head) is (charset == "utf-8")


def test_memory_is_bounded_while_large_files_are_coded(serve: Serve, site: Path) -> None:
    for number in range(2):
        content = random.Random(number).randbytes(4 * MEBIBYTE).hex()
        (site / f"{number}.js").write_text(content)
    server = serve(site, "--quiet", "--cache-size", str(64 * MEBIBYTE))
    before = server.resident_octets()
    for number in range(2):
        await_coding(server, f"/{number}.js", "gzip")
    grown = server.resident_octets() - before
    assert grown < 150 * MEBIBYTE
    with httpx.Client(trust_env=False, headers={"Accept-Encoding": "gzip"}) as client:
        answer = client.get(f"{server.url}/1.js")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.content == (site / "1.js").read_bytes()
    assert re.fullmatch('"[^"]+"', answer.headers["ETag"])
