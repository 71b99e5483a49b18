"""Where a worker accepts: the stages that arrivals pass, and the listening sockets."""

import socket
from collections.abc import Callable, Sequence
from functools import partial
from types import MethodType

from epollo.annotations import TYPE_CHECKING, Final
from epollo.connections import http1_stage, refusing
from epollo.connections.door import Door, Stage
from epollo.connections.http1_stage import LastAnswers
from epollo.connections.listener import Listener
from epollo.connections.service import Service
from epollo.errors import DescriptorLimitError, ExhaustedError
from epollo.loop.timers import Timer
from epollo.settings import Settings
from epollo.transports import PLAIN
from epollo.transports.listening import BACKLOG, is_listening
from epollo.worker.tls_ports import speaks_tls

if TYPE_CHECKING:
    # Loaded where the settings ask for them.
    from epollo.connections.handshakes import Handshakes
    from epollo.worker.proxies import TrustedProxies

_RETRY_SECONDS: Final = 1.0


class Listeners:
    """The listening sockets of a worker.

    ``proxies`` are those in front, if any. ``make_handshakes`` makes the stage of TLS
    before another stage; None if TLS is not spoken.
    """

    def __init__(
        self,
        settings: Settings,
        service: Service,
        proxies: "TrustedProxies | None",
        make_handshakes: "Callable[[Stage], Handshakes] | None",
    ) -> None:
        self._settings = settings
        self._service = service
        self._plain = _Stages(service, proxies)
        self._secure = self._plain
        if make_handshakes is not None:
            self._secure = _Stages(service, proxies, make_handshakes)
        self._listeners: list[Listener] = []
        self._covering: list[Listener] = []
        self._to_cover: list[socket.socket] = []
        self._retry: Timer | None = None

    def listen(self, listening: Sequence[socket.socket]) -> None:
        """Accept from these until `close`."""
        self._listeners = [self._accept_from(one) for one in listening]
        for one in listening:
            if not is_listening(one):
                one.listen(BACKLOG)

    def cover(self, listening: Sequence[socket.socket]) -> None:
        """Accept from these too, and no more from those of last time."""
        for listener in self._covering:
            listener.close()
        self._covering = []
        self._let_go()
        self._to_cover = [*listening]
        self._cover_on()

    def close(self) -> None:
        """Accept no more."""
        self._let_go()
        for listener in [*self._listeners, *self._covering]:
            listener.close()
        self._listeners = self._covering = []

    def _cover_on(self) -> None:
        """Accept from what is to be covered; what cannot be watched now is tried again in a while."""
        try:
            while self._to_cover:
                self._covering.append(self._accept_from(self._to_cover[-1]))
                self._to_cover.pop()
        except (ExhaustedError, DescriptorLimitError) as error:
            self._service.report(f"cannot accept in the place of another worker now: {error}")
            loop = self._service.loop
            self._retry = loop.call_at(loop.clock.now + _RETRY_SECONDS, self._cover_on)

    def _let_go(self) -> None:
        """Close what could not be covered."""
        if self._retry is not None:
            self._retry.close()
            self._retry = None
        while self._to_cover:
            self._to_cover.pop().close()

    def _accept_from(self, one: socket.socket) -> Listener:
        return (self._secure if speaks_tls(self._settings, one) else self._plain).listen(one)


class _Stages:
    """The stages that a listener's arrivals pass, composed once.

    Without ``proxies`` none is in front; without ``make_handshakes`` plain HTTP is spoken.
    """

    def __init__(
        self,
        service: Service,
        proxies: "TrustedProxies | None",
        make_handshakes: "Callable[[Stage], Handshakes] | None" = None,
    ) -> None:
        self._service = service
        # Where nothing stands before the last stage, a listener does a part of it.
        self._gives_last = proxies is None and make_handshakes is None
        last = http1_stage.begin if self._gives_last else http1_stage.serve
        # The interpreter calls a method without a function of C, unlike a `partial`.
        serve: Stage = MethodType(last, service)
        turn_away: Stage = partial(refusing.turn_away, service)
        if make_handshakes is not None:
            stage = make_handshakes(serve)
            serve, turn_away = stage.begin, stage.turn_away
        self._door = Door(service, serve, turn_away)
        preamble = None if proxies is None else proxies.make_stage(service, self._door.admit)
        self._begin: Stage = preamble or self._door.admit
        self._needs_addresses = preamble is not None

    def listen(self, listening: socket.socket) -> Listener:
        """Accept from a socket from now on."""
        return Listener(
            listening,
            self._service,
            self._begin,
            self._door.make_room,
            needs_addresses=self._needs_addresses,
            give_last=LastAnswers(self._service, PLAIN).give if self._gives_last else None,
        )
