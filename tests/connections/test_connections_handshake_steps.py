"""What a connection over TLS with one answer costs: the steps of the interpreter, outside the library."""

import contextlib
import socket
import ssl
from functools import partial

from certificates import make_certificate
from connections.in_process import GET, InProcess, UnhurriedClock
from epollo.connections import http1_stage
from epollo.connections.door import Door
from epollo.connections.flights import Flights
from epollo.connections.handshakes import Handshakes
from epollo.connections.session_terms import SessionOffer
from epollo.http.message import PERMANENT, Request, Response
from epollo.transports.certificates import Certificates
from epollo.transports.pairs import Pair
from properties.cost import count_steps

STEPS_LIMIT = 2_400
"""Of four batches. Each step finds the caches cold, since the library has used them: 60 nanoseconds."""
MADE = make_certificate("a.test")
CLIENT = ssl.create_default_context(cadata=MADE.certificate.decode())
TIMES = 4


def answer(_: Request) -> Response:
    return Response(200, ((b"Content-Length", b"2"),), (b"ok",), basis=PERMANENT)


class Client:
    """A client with a socket, that lets the loop turn once for each of its moves."""

    def __init__(self, inside: InProcess, listening: socket.socket) -> None:
        self.inside = inside
        self.steps = 0
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = CLIENT.wrap_bio(self._incoming, self._outgoing, server_hostname="a.test")
        with socket.create_connection(listening.getsockname(), 10) as self._socket:
            for _ in range(2):
                with contextlib.suppress(ssl.SSLWantReadError):
                    self._session.do_handshake()
                self._send()
            self._session.write(GET)
            self._send()
            assert self._session.read(65536).endswith(b"ok")
        self._turn()

    def _send(self) -> None:
        self._socket.sendall(self._outgoing.read())
        self._turn()
        self._incoming.write(self._socket.recv(65536))

    def _turn(self) -> None:
        self.steps += count_steps(partial(self.inside.loop.run_batch, 10))


def test_a_connection_over_tls_takes_few_steps(listening: socket.socket) -> None:
    with InProcess(answer, poller_name="epoll", clock=UnhurriedClock()) as inside:
        flights = Flights(lambda call: call())
        offer = SessionOffer([Certificates([Pair(MADE.certificate, MADE.key, "a.pem")])])
        stage = Handshakes(
            inside.service, offer, flights, partial(http1_stage.serve, inside.service)
        )
        door = Door(inside.service, stage.begin, stage.turn_away)
        inside.listen(listening, door.admit)
        # The first ones are read, compiled and kept.
        for _ in range(8):
            Client(inside, listening)
        steps = [Client(inside, listening).steps for _ in range(TIMES)]
        assert not inside.service.peers
        flights.close()
    assert min(steps) < STEPS_LIMIT
