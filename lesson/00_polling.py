"""Step 0: ask every socket in turn.

The listener and the accepted sockets do not block: recv(2) returns at once, with bytes or with EAGAIN
("nothing yet"). The server keeps the accepted sockets in a list and tries each one, without end. It
serves the current folder:

    python lesson/00_polling.py [PORT]
"""

import contextlib
import socket
import sys


class Server:
    def __init__(self, port: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.listener.setblocking(False)
        self.clients: list[socket.socket] = []
        print(f"http://127.0.0.1:{self.listener.getsockname()[1]}/", flush=True)

    def serve(self) -> None:
        while True:
            self.accept()
            for client in list(self.clients):
                self.receive(client)

    def accept(self) -> None:
        try:
            client, _ = self.listener.accept()
        except BlockingIOError:
            return
        client.setblocking(False)
        self.clients.append(client)

    def receive(self, client: socket.socket) -> None:
        try:
            request = client.recv(65536)
        except BlockingIOError:
            return
        if request:
            client.send(respond(request))
        else:
            self.clients.remove(client)
            client.close()


def respond(request: bytes) -> bytes:
    target = request.split()[1].decode()
    if target.endswith("/"):
        target += "index.html"
    try:
        with open("." + target, "rb") as file:
            content = file.read()
    except OSError:
        text = f"There is no {target}.\n"
        return f"HTTP/1.1 404 Not Found\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content


with contextlib.suppress(KeyboardInterrupt):
    Server(int(sys.argv[1]) if len(sys.argv) > 1 else 7890).serve()
