"""What a client has sent of a ClientHello."""

from epollo.protocols.tls import ClientHello, HelloReader


class Opening:
    """A ClientHello that comes in parts, or is to be answered in a later batch."""

    __slots__ = ("_reader", "hello", "octets")

    def __init__(self, octets: bytes = b"", hello: ClientHello | None = None) -> None:
        self.octets = octets
        self.hello = hello
        self._reader = HelloReader()

    def receive(self, octets: bytes) -> ClientHello | None:
        """Take more of it; return it when it is whole. Raises `MalformedHelloError`."""
        self.octets += octets
        return self._reader.receive(octets)
