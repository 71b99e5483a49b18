"""What stands before the sites of a worker: the verification of clients by their certificates."""

from pathlib import Path

from epollo.connections.contract import Responder
from epollo.http.message import PERMANENT, Later, Request, Response
from epollo.http.target import parse_target
from epollo.settings import Settings
from epollo.worker.sites import verify_clients


def respond(_: Request) -> Response | Later:
    return Response(200, basis=PERMANENT)


def ask(responder: Responder, scheme: bytes, scope: bytes) -> int:
    target = parse_target(b"/")
    assert target is not None
    request = Request(b"GET", target, {b"host": b"a.example"})
    request.scheme, request.scope = scheme, scope
    response = responder(request)
    assert isinstance(response, Response)
    return response.status


def make_sites(*authorities: tuple[str, str]) -> Settings:
    return Settings(
        root=Path("/srv"),
        sites=tuple(
            {
                "hosts": (f"{number}.example",),
                "default": False,
                "tls_client_ca": path,
                "tls_client_auth": kind,
            }
            for number, (path, kind) in enumerate(authorities)
        ),
    )


def test_without_authorities_nothing_stands_before_a_site() -> None:
    assert verify_clients(Settings(root=Path("/srv")), [respond]) == [respond]
    assert verify_clients(make_sites(("", ""), ("", "")), [respond, respond]) == [respond, respond]


def test_a_client_that_was_verified_for_one_site_gets_nothing_of_another() -> None:
    settings = make_sites(("/ca.pem", "require"), ("", ""))
    verified, plain = verify_clients(settings, [respond, respond])
    scopes = (b"https", b"https 1")
    found = [[ask(one, b"https", scope) for scope in scopes] for one in (verified, plain)]
    assert sorted(found) == [[200, 421], [421, 200]]
    assert ask(verified, b"http", b"http") == 503
    assert ask(plain, b"http", b"http") == 200
