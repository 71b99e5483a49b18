"""The proxies in front of a worker: which are trusted, and what they tell of clients.

Imported only where the settings ask for one of the ways in which a proxy tells it.
"""

from epollo.connections.door import Stage
from epollo.connections.forwarding import Forwarding
from epollo.connections.networks import parse_networks
from epollo.connections.preamble import Proxies
from epollo.connections.service import Service
from epollo.settings import Settings


class TrustedProxies:
    """What the settings say of proxies. Raises `OperatorError` if they name no networks.

    ``forwarding`` reads a field of requests, None if none is read.
    """

    def __init__(self, settings: Settings) -> None:
        self._networks = parse_networks(settings.proxies)
        self._has_header = settings.has_proxy_protocol
        self.forwarding: Forwarding | None = None
        if settings.forwarded != "off":
            self.forwarding = Forwarding(settings.forwarded, self._networks)

    def make_stage(self, service: Service, then: Stage) -> Stage | None:
        """Return the stage that reads the PROXY header before another; None if there is none."""
        if not self._has_header:
            return None
        # The proxy alone knows the address of a client, and says it once.
        service.keeps_addresses = True
        return Proxies(service, self._networks, then).begin
