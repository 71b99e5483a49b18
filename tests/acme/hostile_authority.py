"""An authority that answers what a test wants, over TLS: also what no server of HTTP would say."""

import base64
import contextlib
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

from certificates import Made, make_certificate
from epollo.acme.client import Client
from epollo.acme.credentials import make_key

Answer = Iterable[bytes]
"""What is sent, piece after piece."""


class HostileAuthority:
    """Answers each request on a connection of its own by what ``answers`` has for its path.

    A path without an entry is answered as a good authority would, as far as a test needs it.
    """

    def __init__(
        self,
        folder: Path,
        answers: dict[str, Answer | Callable[[], Answer]],
        made: Made | None = None,
    ) -> None:
        made = made or make_certificate("localhost")
        made.write(folder, "authority")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "authority.pem", folder / "authority.key")
        self.trust = ssl.create_default_context(cadata=made.certificate.decode())
        self.answers = answers
        self.asked: list[str] = []
        self.orders: list[dict[str, object]] = []
        """What came to newOrder, without its signature."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self._listener.getsockname()[1]}"
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self.answers = {**self._list_good(), **answers}

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        with contextlib.suppress(OSError), socket.create_connection(self._listener.getsockname()):
            pass
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def make_client(self, waits: list[float] | None = None) -> Client:
        """Return a client of this authority that waits for nothing, and notes how long it would."""
        noted = waits if waits is not None else []
        return Client(f"{self.url}/dir", make_key(), self.trust, noted.append)

    def find_answer(self, path: str) -> Answer | Callable[[], Answer]:
        """Return what a request for a path is answered with."""
        return self.answers.get(path, answer_json({}, status=404))

    def _list_good(self) -> dict[str, Answer | Callable[[], Answer]]:
        url = self.url
        challenge = {"type": "http-01", "url": f"{url}/challenge", "token": "t"}
        identifier = {"type": "dns", "value": "a.test"}
        order = {"authorizations": [f"{url}/authorization"], "finalize": f"{url}/finalize"}
        return {
            "/dir": answer_json(
                {name: f"{url}/{name}" for name in ("newNonce", "newAccount", "newOrder")}
            ),
            "/newNonce": answer(b"", Replay_Nonce="n"),
            "/newAccount": answer_json({}, Location=f"{url}/account"),
            "/newOrder": answer_json({"status": "pending", **order}, Location=f"{url}/order"),
            "/authorization": answer_json(
                {"status": "pending", "identifier": identifier, "challenges": [challenge]}
            ),
            "/challenge": answer_json({}),
            "/order": answer_json(
                {"status": "valid", "certificate": f"{url}/certificate", **order}
            ),
            "/finalize": answer_json({}),
            "/certificate": answer(
                b"a certificate", Content_Type="application/pem-certificate-chain"
            ),
        }

    def _accept(self) -> None:
        while True:
            peer, _ = self._listener.accept()
            if self._is_over.is_set():
                peer.close()
                return
            thread = threading.Thread(target=self._serve, args=(peer,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(10)
        try:
            peer = self._context.wrap_socket(plain, server_side=True)
        except OSError:
            plain.close()
            return
        with peer, contextlib.suppress(OSError):
            request = b""
            # With octets unread the connection would be reset.
            while find_missing(request):
                part = peer.recv(65536)
                if not part:
                    return
                request += part
            path = request.split()[1].decode()
            self.asked.append(path)
            if path == "/newOrder":
                self.orders.append(read_payload(request))
            found = self.find_answer(path)
            for piece in found() if callable(found) else found:
                if self._is_over.wait(0):
                    return
                peer.sendall(piece)


def find_missing(request: bytes) -> int:
    """Return how much is missing of a request, at least."""
    head, end, content = request.partition(b"\r\n\r\n")
    found = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    return (int(found[1]) if found else 0) - len(content) if end else 1


def read_payload(request: bytes) -> dict[str, object]:
    """Return what a signed request says (RFC 8555 section 6.2)."""
    payload = json.loads(request.partition(b"\r\n\r\n")[2])["payload"]
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return found


def answer(content: bytes, status: int = 200, **fields: str) -> list[bytes]:
    """Return an answer; in the names of fields ``_`` stands for ``-``."""
    fields = {"Replay_Nonce": "n", **fields, "Content_Length": str(len(content))}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return [f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode(), content]


def answer_json(document: object, status: int = 200, **fields: str) -> list[bytes]:
    return answer(json.dumps(document).encode(), status, Content_Type="application/json", **fields)
