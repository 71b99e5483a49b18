"""Sites that verify their clients each in its own way, by real servers: a name leads to one alone."""

import contextlib
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.x509.oid import NameOID

from certificates import Authority, make_certificate
from conftest import COMMAND, Server, managed_servers, receive_content, receive_head

STAFF, PARTNERS = Authority(), Authority()
ALICE = STAFF.sign((NameOID.COMMON_NAME, "alice"))
EVE = PARTNERS.sign((NameOID.COMMON_NAME, "eve"))
NAMES = ("public.test", "staff.test", "partners.test", "open.test")
SITE = make_certificate(*NAMES, "other.test")
SETTINGS = """
workers = "{workers}"
tls-cert = "{c}/site.pem"
tls-key = "{c}/site.key"
{more}

[[site]]
hosts = "public.test"
directory = "{c}/public.test"
default = true

[[site]]
hosts = "staff.test"
directory = "{c}/staff.test"
tls-client-ca = "{c}/staff.pem"

[[site]]
hosts = ["partners.test"]
directory = "{c}/partners.test"
tls-client-ca = "{c}/partners.pem"
tls-client-auth = "{auth}"

[[site]]
hosts = ["open.test"]
directory = "{c}/open.test"
"""


def write_settings(
    folder: Path, workers: str = "0", auth: str = "optional", more: str = ""
) -> Path:
    SITE.write(folder)
    (folder / "staff.pem").write_bytes(STAFF.certificate)
    (folder / "partners.pem").write_bytes(PARTNERS.certificate)
    for name in NAMES:
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "index.html").write_text(f"<title>{name}</title>\n")
    path = folder / "epollo.toml"
    path.write_text(SETTINGS.format(c=folder, workers=workers, auth=auth, more=more))
    return path


@pytest.fixture(scope="module", params=["0", "2"])
def server(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("sites")
    settings = write_settings(folder, request.param)
    with managed_servers(tmp_path_factory.mktemp("servers")) as serve:
        yield serve(Path("0"), "--config", str(settings))


def ask(peer: ssl.SSLSocket, host: str) -> tuple[int, bytes]:
    """Return status and content of the index of a host, by a connection that persists."""
    peer.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    head, content = receive_head(peer)
    return int(head.split()[1]), receive_content(peer, head, content)


def connect(
    server: Server, client: ssl.SSLContext, name: str, session: ssl.SSLSession | None = None
) -> ssl.SSLSocket:
    return client.wrap_socket(server.connect(), server_hostname=name, session=session)


def test_a_name_leads_to_its_site_and_to_no_other(server: Server, tmp_path: Path) -> None:
    """Also where the answer is recalled for clients that have the right to it."""
    whose = {"public.test": None, "open.test": None, "staff.test": ALICE, "partners.test": EVE}
    alike = {"public.test", "open.test"}
    for _ in range(2):
        for name, made in whose.items():
            with connect(server, SITE.trust_as(made, tmp_path), name) as peer:
                for host in NAMES * 3:
                    status, content = ask(peer, host)
                    if host == name or {host, name} <= alike:
                        assert (status, content) == (200, f"<title>{host}</title>\n".encode())
                    else:
                        assert status == 421
                        assert b"<title>" + host.encode() not in content


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_without_a_certificate_is_refused_where_one_is_required(
    server: Server, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    for made, name, is_served in (
        (None, "staff.test", False),
        (EVE, "staff.test", False),
        (ALICE, "staff.test", True),
        (None, "partners.test", True),
        (ALICE, "partners.test", False),
        (ALICE, "public.test", True),
    ):
        client = SITE.trust_as(made, tmp_path)
        client.maximum_version = version
        try:
            with connect(server, client, name) as peer:
                answer = ask(peer, name)
        except (ssl.SSLError, ConnectionError):
            assert not is_served, name
        else:
            assert is_served, name
            assert answer[0] == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_ticket_of_one_site_is_worth_nothing_at_another(
    server: Server, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    """A session that is resumed shows no certificate: it has the one of its first handshake."""
    client = SITE.trust_as(None, tmp_path)
    client.maximum_version = version
    with connect(server, client, "public.test") as peer:
        ask(peer, "public.test")
        session = peer.session
    for _ in range(4):
        with connect(server, client, "public.test", session) as peer:
            assert ask(peer, "public.test")[0] == 200
    with (
        pytest.raises((ssl.SSLError, ConnectionError)),
        connect(server, client, "staff.test", session) as peer,
    ):
        ask(peer, "staff.test")
    with connect(server, client, "partners.test", session) as peer:
        assert not peer.session_reused
        assert ask(peer, "partners.test")[0] == 200


@pytest.mark.parametrize("name", [None, "other.test", "127.0.0.1"])
def test_a_name_of_no_site_is_that_of_the_default(
    server: Server, tmp_path: Path, name: str | None
) -> None:
    client = SITE.trust_as(None, tmp_path)
    client.check_hostname = False
    with client.wrap_socket(server.connect(), server_hostname=name) as peer:
        assert ask(peer, "other.test") == (200, b"<title>public.test</title>\n")
        assert ask(peer, "staff.test")[0] == 421


AUTHORITY_LINE = 'tls-client-ca = "{c}/staff.pem"'


@pytest.mark.parametrize(
    ("former", "new", "mistake"),
    [
        (
            'tls-client-auth = "optional"',
            'tls-client-auth = "perhaps"',
            ": tls-client-auth: 'perhaps' is not one of require, optional",
        ),
        (AUTHORITY_LINE, 'tls-client-ca = "{c}/none"', ": tls-client-ca: cannot read {c}/none"),
        (
            AUTHORITY_LINE,
            'tls-client-auth = "optional"',
            ": tls-client-auth: --tls-client-auth needs a --tls-client-ca",
        ),
        (
            AUTHORITY_LINE,
            'tls-client-ca = "{c}/site.key"',
            ": tls-client-ca: cannot verify clients by {c}/site.key: it has no certificate as PEM",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(
    tmp_path: Path, former: str, new: str, mistake: str
) -> None:
    settings = write_settings(tmp_path)
    former, new, mistake = (one.replace("{c}", str(tmp_path)) for one in (former, new, mistake))
    before, _, after = settings.read_text().partition(former)
    assert after
    settings.write_text(before + new + after)
    done = subprocess.run(
        [*COMMAND, "--config", str(settings), "--port", "0"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    line = before.count("\n") + 1
    assert f"epollo: {settings}:{line}{mistake}" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_change_of_authorities_is_in_use_at_the_next_handshake(tmp_path: Path) -> None:
    settings = write_settings(tmp_path)
    with managed_servers(tmp_path) as serve:
        server = serve(Path("0"), "--config", str(settings))
        eve = SITE.trust_as(EVE, tmp_path)
        (tmp_path / "staff.pem").write_bytes(PARTNERS.certificate)
        end = time.monotonic() + 30
        while True:
            assert time.monotonic() < end, server.stderr
            with contextlib.suppress(ssl.SSLError, ConnectionError):
                with connect(server, eve, "staff.test") as peer:
                    assert ask(peer, "staff.test")[0] == 200
                    # The same authorities, but another site.
                    assert ask(peer, "partners.test")[0] == 421
                break
