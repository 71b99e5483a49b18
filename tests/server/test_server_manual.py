"""What the manual shows is true: each example is typed."""

import contextlib
import datetime
import gzip
import json
import os
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import textwrap
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import copies
from certificates import make_certificate
from conftest import COMMAND, Serve, Server
from server.workers import await_line, await_true

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("access.md", "listings.md", "hosts.md", "tls.md", "check.md", "guide.md")
PASSWORD = "an open secret"
CREDENTIALS = "Basic YW5uOmFuIG9wZW4gc2VjcmV0"

_PROGRAMS = {"epollo", "htpasswd", "curl", "wget", "lftp", "rclone", "httpdirfs", "pip"}
_FENCED = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(?:^(?: {4}.*)?\n)+", re.MULTILINE)


class Example(NamedTuple):
    """A command of a page, without the comment behind it, or a block that is no command."""

    page: str
    text: str

    @property
    def words(self) -> list[str]:
        """Return the words after the name of the program."""
        return shlex.split(self.text)[1:]


def list_examples() -> Iterator[Example]:
    """Return all that the pages show as code: commands line by line, other things as they stand."""
    for page in PAGES:
        content = (DOCS / page).read_text()
        yield from (Example(page, text.strip()) for text in _FENCED.findall(content))
        for block in _CODE.findall(_FENCED.sub("", content)):
            text = textwrap.dedent(block).strip()
            for paragraph in filter(None, text.split("\n\n")):
                program = paragraph.split(maxsplit=1)[0]
                if program in _PROGRAMS and not paragraph.startswith(("epollo serves", "epollo:")):
                    lines = re.sub(r"\\\n\s*", "", paragraph).splitlines()
                    yield from (Example(page, re.sub(r"\s{2,}#.*", "", line)) for line in lines)
                else:
                    yield Example(page, paragraph)


class Ground:
    """The places that examples name, made for a test, and servers that are started by examples."""

    def __init__(self, folder: Path, serve: Serve) -> None:
        self.folder = folder
        self._serve = serve
        self.site = folder / "site"
        self.share = folder / "share"
        for name in ("", "private", "drafts", "photos"):
            (self.site / name).mkdir(parents=True)
        (self.site / "index.html").write_text("index")
        (self.site / "private.html").write_text("private")
        (self.site / "private" / "a.txt").write_text("private")
        (self.share / "photos").mkdir(parents=True)
        (self.share / "read me.txt").write_text("eleven more")
        self.places = {"SITE": str(self.site), "~/Downloads": str(self.share)}
        self.server: Server | None = None

    def serve(self, text: str, *more: str) -> Server:
        """Start what the example says, on a free port of loopback."""
        words = [self.places.get(word, word) for word in shlex.split(text)[1:]]
        for option in ("--host", "--port"):
            if option in words:
                place = words.index(option)
                del words[place : place + 2]
        if words[0].startswith("--"):
            # An example without a folder serves where it is typed, or what its settings say.
            words.insert(0, "0" if "--config" in words else str(self.site))
        self.server = self._serve(Path(words[0]), *words[1:], *more)
        return self.server

    def ask(self, target: str = "/", **fields: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, fields and content; underscores in names are hyphens."""
        assert self.server is not None
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        request = urllib.request.Request(self.server.url + target, headers=named)
        try:
            answer = urllib.request.urlopen(request, timeout=10)
        except urllib.error.HTTPError as refused:
            answer = refused
        with answer:
            lowered = {name.lower(): value for name, value in answer.headers.items()}
            return answer.status, lowered, answer.read()


@pytest.fixture
def ground(tmp_path: Path, serve: Serve) -> Ground:
    return Ground(tmp_path, serve)


Trial = Callable[[Ground, str], None]
TRIALS: dict[str, Trial] = {}


def tries(*texts: str) -> Callable[[Trial], Trial]:
    """Register what tries an example, by its text, or by how it begins where that ends in ``...``."""

    def register(trial: Trial) -> Trial:
        for text in texts:
            assert text not in TRIALS
            TRIALS[text] = trial
        return trial

    return register


def find_trial(text: str) -> Trial | None:
    """Return what tries an example, None where nothing does."""
    for begin, trial in TRIALS.items():
        if text == begin or (begin.endswith("...") and text.startswith(begin[:-3])):
            return trial
    return None


# Access


def write_passwords(ground: Ground) -> None:
    """Type the first example of the page, which asks for a password: here it comes from a pipe."""
    if not shutil.which("htpasswd"):
        pytest.skip("htpasswd is missing")
    path = ground.folder / "epollo.htpasswd"
    ground.places["/etc/epollo.htpasswd"] = str(path)
    words = ["htpasswd", "-i", "-B", "-c", str(path), "ann"]
    subprocess.run(words, input=PASSWORD.encode(), check=True, capture_output=True)


@tries(
    "htpasswd -B -c /etc/epollo.htpasswd ann",
    "epollo SITE --auth /etc/epollo.htpasswd",
)
def try_password(ground: Ground, text: str) -> None:
    write_passwords(ground)
    ground.serve("epollo SITE --auth /etc/epollo.htpasswd")
    for target in ("/", "/private.html", "/nothing"):
        assert ground.ask(target)[0] == 401
    status, fields, _ = ground.ask(Authorization=CREDENTIALS)
    assert (status, fields["cache-control"]) == (200, "private, no-cache")


@tries("epollo SITE --auth /etc/epollo.htpasswd --auth-paths /private,/drafts")
def try_paths(ground: Ground, text: str) -> None:
    write_passwords(ground)
    ground.serve(text)
    assert ground.ask()[0] == 200
    for target in ("/private", "/private.html", "/private/a.txt", "/drafts/", "/Private/a.txt"):
        assert ground.ask(target)[0] == 401
    assert ground.ask("/private/a.txt", Authorization=CREDENTIALS)[2] == b"private"


@tries("epollo SITE --cors any")
def try_any_origin(ground: Ground, text: str) -> None:
    ground.serve(text)
    for target, expected in (("/", 200), ("/nothing", 404)):
        status, fields, _ = ground.ask(target, Origin="https://a.example")
        assert (status, fields["access-control-allow-origin"]) == (expected, "*")
        exposed = fields["access-control-expose-headers"].lower().replace(" ", "").split(",")
        assert {"etag", "content-range", "content-length"} <= set(exposed)
        assert fields["cross-origin-resource-policy"] == "cross-origin"
        assert "origin" not in fields.get("vary", "").lower()


@tries("epollo SITE --cors https://example.com,http://localhost:5173")
def try_two_origins(ground: Ground, text: str) -> None:
    ground.serve(text)
    for origin, allowed in {
        "https://example.com": "https://example.com",
        "http://localhost:5173": "http://localhost:5173",
        "https://other.example": None,
    }.items():
        _, fields, _ = ground.ask(Origin=origin)
        assert fields.get("access-control-allow-origin") == allowed
        assert "origin" in fields["vary"].lower()


@tries("epollo SITE --isolate")
def try_isolation(ground: Ground, text: str) -> None:
    ground.serve(text)
    _, fields, _ = ground.ask()
    assert fields["cross-origin-opener-policy"] == "same-origin"
    assert fields["cross-origin-embedder-policy"] == "require-corp"


# Listings


@tries(
    "epollo ~/Downloads",
    "epollo SITE",
    "epollo SITE --listing on",
    "epollo ~/Downloads --listing off",
)
def try_listing(ground: Ground, text: str) -> None:
    is_listed = text in {"epollo ~/Downloads", "epollo SITE --listing on"}
    ground.serve(text)
    status, _, content = ground.ask("/photos/")
    assert status == (200 if is_listed else 404)
    status, _, content = ground.ask()
    if "SITE" in text:
        assert (status, content) == (200, b"index")
    else:
        assert status == (200 if is_listed else 404)
        assert (b"read%20me.txt" in content) is is_listed


@tries("curl -H 'Accept: application/json' http://127.0.0.1:7890/", '{"path":"/","sort":...')
def try_json(ground: Ground, text: str) -> None:
    """The object that the page shows is what the command beside it prints of the same folder."""
    curl, shown = (
        example.text
        for example in list_examples()
        if find_trial(example.text) is try_json
    )  # fmt: skip
    expected = json.loads(shown)
    (ground.share / "read me.txt").write_text("x" * expected["size"])
    for entry in expected["entries"]:
        moment = datetime.datetime.fromisoformat(entry["modified"]).timestamp()
        os.utime(ground.share / entry["name"], (moment, moment))
    server = ground.serve("epollo ~/Downloads")
    words = shlex.split(curl.replace("http://127.0.0.1:7890", server.url))
    done = subprocess.run([*words, "-s"], capture_output=True, check=True, text=True)
    assert done.stdout.split() == shown.split()


@tries("wget -r ...", "lftp -c ...", "rclone copy ...")
def try_copy(ground: Ground, text: str) -> None:
    program = shlex.split(text)[0]
    if not shutil.which(program):
        pytest.skip(f"{program} is missing")
    server = ground.serve("epollo ~/Downloads")
    here = ground.folder / "here"
    here.mkdir()
    words = [word.replace("http://host:7890", server.url) for word in shlex.split(text)]
    subprocess.run(
        words, cwd=here, check=True, capture_output=True, timeout=60,
        env={**os.environ, "HOME": str(ground.folder)},
    )  # fmt: skip
    (copied,) = here.rglob("read me.txt")
    assert copied.read_text() == "eleven more"


# Hosts


@tries("port = 80\n...", "[[site]]\nhosts = ...", "[[site]]\ndefault = ...", "epollo --config ...")
def try_hosts(ground: Ground, text: str) -> None:
    """The tables of the page, together, are a file that is served as the page says."""
    parts = [
        example.text
        for example in list_examples()
        if example.page == "hosts.md" and not example.text.startswith("epollo ")
    ]
    settings = "\n\n".join(parts)
    for name in ("example", "shared", "other"):
        folder = ground.folder / name
        folder.mkdir()
        (folder / "page.html").write_text(name)
        assert f'"/srv/{name}"' in settings
        settings = settings.replace(f"/srv/{name}", str(folder))
    path = ground.folder / "epollo.toml"
    path.write_text(settings)
    ground.places["/etc/epollo.toml"] = str(path)
    ground.serve("epollo --config /etc/epollo.toml")
    for host, name in {
        "example.org": "example",
        "WWW.example.org.:80": "example",
        "any.example.net": "shared",
        "example.net": "other",
        "elsewhere.example": "other",
    }.items():
        assert ground.ask("/page.html", Host=host)[2] == name.encode()
    assert ground.ask("/", Host="any.example.net")[0] == 200


@tries(
    "epollo --allowed-hosts local",
    "epollo SITE --allowed-hosts local,example.org,*.example.org",
)
def try_allowed_hosts(ground: Ground, text: str) -> None:
    ground.serve(text)
    named = 200 if "example.org" in text else 421
    for host, status in {
        "localhost": 200,
        "127.0.0.1:7890": 200,
        "[::1]": 200,
        "example.org": named,
        "www.example.org": named,
        "rebound.example": 421,
    }.items():
        assert ground.ask(Host=host)[0] == status


# https


def trust(authority: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority))


def ask_secured(server: Server, authority: Path, name: str = "localhost") -> bytes:
    """Return head and content of an answer over TLS to a client that trusts one authority."""
    with (
        server.connect() as plain,
        trust(authority).wrap_socket(plain, server_hostname=name) as peer,
    ):
        peer.sendall(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: peer.recv(4096), b""))


@contextlib.contextmanager
def bound_port() -> Iterator[int]:
    """Give a port that the kernel gives to no other; a server with SO_REUSEADDR may listen there."""
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("", 0))
        yield bound.getsockname()[1]


def find_plain_port(server: Server) -> int:
    (port,) = re.findall(r"at: +http://\S+:(\d+)/", "".join(server.lines))
    return int(port)


def write_certificate(ground: Ground) -> Path:
    made = make_certificate()
    chain, key = ground.folder / "fullchain.pem", ground.folder / "privkey.pem"
    chain.write_bytes(made.certificate)
    key.write_bytes(made.key)
    ground.places |= {"fullchain.pem": str(chain), "privkey.pem": str(key)}
    return chain


@tries(
    "epollo SITE --host 0.0.0.0 --port 443 --tls-cert fullchain.pem --tls-key privkey.pem",
)
def try_certificate(ground: Ground, text: str) -> None:
    chain = write_certificate(ground)
    assert ask_secured(ground.serve(text), chain).endswith(b"\r\n\r\nindex")


@tries(
    "epollo SITE --tls-cert fullchain.pem --tls-key privkey.pem --tls-library rustls",
    "tls:     rustls 0.23.45, which resumes no session; OpenSSL for keys of RSA",
)
def try_rustls(ground: Ground, text: str) -> None:
    """The line that the page shows is among the first ones, but for the version."""
    pytest.importorskip("rtls")
    (command, shown) = (
        example.text for example in list_examples() if find_trial(example.text) is try_rustls
    )
    assert text in {command, shown}
    chain = write_certificate(ground)
    server = ground.serve(command)
    (said,) = (line.strip() for line in server.lines if "tls:" in line)
    assert re.sub(r"[\d.]+", "N", said) == re.sub(r"[\d.]+", "N", shown)
    assert ask_secured(server, chain).endswith(b"\r\n\r\nindex")


@tries("epollo SITE --tls-self-signed", "epollo serves /home/you/site\n...")
def try_self_signed(ground: Ground, text: str) -> None:
    """The first lines are those that the page shows, and the file that they name is to be trusted."""
    (shown,) = (
        example.text for example in list_examples() if example.text.startswith("epollo serves")
    )
    state = ground.folder / "state"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATE_DIRECTORY", str(state))
        server = ground.serve("epollo SITE --tls-self-signed")
    (authority,) = state.rglob("authority.pem")
    said = "".join(server.lines)
    for place, name in {
        str(ground.site): "/home/you/site",
        f":{server.port}/": ":7890/",
        str(authority): "/home/you/.local/state/epollo/authority.pem",
    }.items():
        assert place in said
        said = said.replace(place, name)
    lines = [line.strip() for line in said.splitlines()]
    assert [line for line in shown.splitlines() if line.strip() not in lines] == []
    assert ask_secured(server, authority).endswith(b"\r\n\r\nindex")


@tries(
    "epollo SITE --host 0.0.0.0 --port 80 --tls-port 443 "
    "--tls-cert fullchain.pem --tls-key privkey.pem --hsts 365d"
)
def try_http_beside_it(ground: Ground, text: str) -> None:
    chain = write_certificate(ground)
    with bound_port() as secured:
        server = ground.serve(text.replace("--tls-port 443", f"--tls-port {secured}"))
    plain = find_plain_port(server)
    server.port = secured
    assert b"Strict-Transport-Security: max-age=31536000" in ask_secured(server, chain)
    server.port = plain
    request = b"GET /page?x HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = server.exchange(request)
    assert answer.startswith(b"HTTP/1.1 308 "), answer
    assert f"Location: https://localhost:{secured}/page?x\r\n".encode() in answer
    assert b"Strict-Transport-Security" not in answer


@tries("epollo /srv/site --host 0.0.0.0 --port 80 --tls-port 443 --workers auto --acme ...")
def try_authority(ground: Ground, text: str) -> None:
    """Until the authority, which is not there, gives a certificate, the site is on plain http."""
    ground.places["/srv/site"] = str(ground.site)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATE_DIRECTORY", str(ground.folder / "state"))
        with bound_port() as secured:
            text = text.replace("--tls-port 443", f"--tls-port {secured}")
            server = ground.serve(text, "--acme-directory", "https://127.0.0.1:1/directory")
    server.port = find_plain_port(server)
    assert ground.ask()[2] == b"index"


@tries("tls-cert = ...")
def try_several_certificates(ground: Ground, text: str) -> None:
    path = ground.folder / "several.toml"
    path.write_text(text.replace("/etc/epollo", str(ground.folder)))
    for name in ("example.org", "example.net"):
        made = make_certificate(name)
        (ground.folder / f"{name}.pem").write_bytes(made.certificate)
        (ground.folder / f"{name}.key").write_bytes(made.key)
    ground.places["several.toml"] = str(path)
    server = ground.serve("epollo SITE --config several.toml")
    for name in ("example.org", "example.net"):
        chain = ground.folder / f"{name}.pem"
        assert ask_secured(server, chain, name).endswith(b"\r\n\r\nindex")


def make_client(ground: Ground) -> None:
    """Type what makes an authority and the certificate of a client."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is missing")
    (block,) = (one.text for one in list_examples() if one.text.startswith("openssl req"))
    for line in re.sub(r"\\\n\s*", "", block).splitlines():
        if line.startswith("openssl "):
            subprocess.run(shlex.split(line), check=True, capture_output=True, timeout=60)
    ground.places["staff.pem"] = str(ground.folder / "staff.pem")


def ask_as_client(server: Server, authority: Path) -> None:
    """Ask with the certificate, and without it."""
    context = trust(authority)
    context.load_cert_chain("alice.pem", "alice.key")
    with (
        server.connect() as plain,
        context.wrap_socket(plain, server_hostname="localhost") as peer,
    ):
        peer.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b"".join(iter(lambda: peer.recv(4096), b"")).endswith(b"\r\n\r\nindex")
    with pytest.raises(OSError, match=r"(?i)certificate|reset|closed|EOF"):
        ask_secured(server, authority)


@tries("openssl req ...")
def try_client_certificates(ground: Ground, text: str) -> None:
    make_client(ground)
    (command,) = re.findall(r"^epollo .*$", text, re.MULTILINE)
    state = ground.folder / "state"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STATE_DIRECTORY", str(state))
        server = ground.serve(command)
    (authority,) = state.rglob("authority.pem")
    ask_as_client(server, authority)


@tries("epollo SITE --tls-cert fullchain.pem --tls-key privkey.pem --tls-client-ca staff.pem")
def try_clients_of_an_authority(ground: Ground, text: str) -> None:
    chain = write_certificate(ground)
    make_client(ground)
    ask_as_client(ground.serve(text), chain)


# Examined without a server


def type_command(ground: Ground, text: str) -> subprocess.CompletedProcess[str]:
    """Run what the example says, without a server."""
    words = [ground.places.get(word, word) for word in shlex.split(text)[1:]]
    return copies.run([*COMMAND, *words])


@tries("epollo why /about -d SITE", "GET         http://localhost/about\n...")
def try_why(ground: Ground, text: str) -> None:
    """The lines that the page shows are those of the command beside it, but for sizes in codings."""
    (shown,) = (one.text for one in list_examples() if one.text.startswith("GET  "))
    (ground.site / "about.html").write_text("about " * 200)
    (ground.site / "_redirects").write_text("# of the page\n/about /other\n")
    (ground.site / "_headers").write_text("/*\n  X-A: b\n")
    done = type_command(ground, "epollo why /about -d SITE")
    assert (done.returncode, done.stderr) == (0, "")
    sizes = re.compile(r"(?<=br )[0-9,]+|(?<=gzip )[0-9,]+|(?<=zstd )[0-9,]+")
    said = sizes.sub("N", done.stdout.replace(str(ground.site), "SITE"))
    for part in sizes.sub("N", shown).split("...\n"):
        assert part.strip() in said


@tries("epollo why https://site.example/old?a=b -d SITE --json")
def try_why_as_json(ground: Ground, text: str) -> None:
    done = type_command(ground, text)
    assert done.returncode == 1
    described = json.loads(done.stdout)
    assert (described["url"], described["status"]) == ("https://site.example/old?a=b", 404)
    rows = re.findall(r"^\| (`[^|]*) \|", (DOCS / "check.md").read_text(), re.MULTILINE)
    assert sorted(described) == sorted(re.findall(r"`(\w+)`", " ".join(rows)))


@tries("epollo why http://two.example/ --config sites.toml")
def try_why_of_a_host(ground: Ground, text: str) -> None:
    for name in ("one", "two"):
        (ground.folder / name).mkdir()
        (ground.folder / name / "index.html").write_text(name)
    tables = "".join(
        f"[[site]]\nhosts = ['{name}.example']\ndirectory = '{ground.folder / name}'\n"
        for name in ("one", "two")
    )
    (ground.folder / "sites.toml").write_text(tables)
    done = type_command(ground, text)
    assert done.returncode == 0
    assert f"site        {ground.folder / 'two'}\n" in done.stdout


@tries("epollo why /chunk.js --header 'Sec-Fetch-Mode: no-cors' --spa SITE")
def try_why_with_a_header(ground: Ground, text: str) -> None:
    done = type_command(ground, text)
    assert (done.returncode, "404 Not Found" in done.stdout) == (1, True)
    done = type_command(ground, text.replace("--header 'Sec-Fetch-Mode: no-cors' ", ""))
    assert (done.returncode, "200 OK" in done.stdout) == (0, True)


@tries("epollo check SITE")
def try_check(ground: Ground, text: str) -> None:
    done = type_command(ground, text)
    assert (done.returncode, done.stdout) == (0, "")
    (ground.site / "index.html").write_text("<a href='/nothing'>x</a>")
    done = type_command(ground, text)
    assert (done.returncode, done.stdout.count("\n")) == (1, 1)
    assert done.stdout.startswith(f"{ground.site}/index.html:1: /nothing is 404")


# The guide


@tries("media-type = ...")
def try_media_types(ground: Ground, text: str) -> None:
    (ground.folder / "epollo.toml").write_text(text)
    (ground.site / "a.txt").write_bytes("Übung".encode("latin-1"))
    for name in ("a.foo", "a.bar", "a.unknown"):
        (ground.site / name).write_text("text")
    ground.serve("epollo SITE --config epollo.toml")
    types = {
        "a.foo": "application/x-foo",
        "a.bar": "text/x-bar; charset=utf-8",
        "a.unknown": "text/plain; charset=utf-8",
        "a.txt": "text/plain; charset=iso-8859-1",
    }
    assert {name: ground.ask(f"/{name}")[1]["content-type"] for name in types} == types


@tries("epollo: b.txt.gz does not decode ...")
def try_useless_sidecars(ground: Ground, text: str) -> None:
    (ground.site / "b.txt").write_text("b" * 1000)
    (ground.site / "b.txt.gz").write_bytes(gzip.compress(b"another"))
    (ground.site / "app.js").write_text("app" * 1000)
    # The header of a frame with a window of 128 MiB and nothing behind it (RFC 8878 section 3.1.1).
    (ground.site / "app.js.zst").write_bytes(bytes.fromhex("28b52ffd0088010000"))
    server = ground.serve("epollo SITE")
    for line in text.splitlines():
        name = line.split()[1].rpartition(".")[0]

        def is_told(name: str = name, line: str = line) -> bool:
            # Codings are looked at when they are asked for after the second in which a file changed.
            ground.ask(f"/{name}", Accept_Encoding="gzip, zstd")
            return f"{line}\n" in server.stderr

        assert await_true(is_told)


@tries("epollo: app-DRf8L97S.js has changed...")
def try_false_fingerprint(ground: Ground, text: str) -> None:
    file = ground.site / "app-DRf8L97S.js"
    server = ground.serve("epollo SITE")
    for content, value in {"1": "public, max-age=31536000, immutable", "2": "no-cache"}.items():
        file.write_text(content)
        assert ground.ask(f"/{file.name}")[1]["cache-control"] == value
    await_line(server, f"{text}\n")


@tries("127.0.0.1 - - [...")
def try_access_log(ground: Ground, text: str) -> None:
    log = ground.folder / "access.log"
    server = ground.serve(f"epollo SITE --access-log {log}")
    ground.ask("/", User_Agent="curl/8.5.0")
    server.process.terminate()
    server.process.wait(20)

    def mask(line: str) -> str:
        return re.sub(r" 200 \d+ ", " 200 N ", re.sub(r"\[\d\d/\w{3}/[\d:]+ \+0000\]", "[T]", line))

    assert mask(log.read_text()) == mask(text) + "\n"


@tries("[Service]\n...")
def try_unit(ground: Ground, text: str) -> None:
    (command,) = re.findall(r"^ExecStart=/usr/local/bin/(.*)$", text, re.MULTILINE)
    (ground.folder / "epollo.toml").write_text("")
    ground.places |= {
        "/srv/site": str(ground.site),
        "/etc/epollo.toml": str(ground.folder / "epollo.toml"),
    }
    ground.serve(command)
    assert ground.ask()[2] == b"index"


NOT_TYPED = {
    "python3 dev/make_large_file.py      # example/media/large.bin, 64 MiB, to try it with": (
        "writes into the project"
    ),
    "epollo lab --quick": "measures for half a minute",
    "pip install 'epollo[tls]'": "installs a package",
    "pip install 'epollo[rustls]'": "installs a package",
    "httpdirfs --no-range-check http://host:7890/ /mnt": "mounts a file system",
}
"""Examples that no test may type, by their text, and what they do."""


@pytest.mark.parametrize("example", list(list_examples()), ids=lambda example: example.text[:60])
def test_an_example_of_the_manual_is_true(ground: Ground, example: Example) -> None:
    if example.text in NOT_TYPED:
        pytest.skip(NOT_TYPED[example.text])
    trial = find_trial(example.text)
    assert trial is not None, "an example that is not tried"
    with contextlib.chdir(ground.folder):
        trial(ground, example.text)


def test_no_trial_is_left_over() -> None:
    tried = {find_trial(example.text) for example in list_examples()}
    assert set(TRIALS.values()) <= tried
