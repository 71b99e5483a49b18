"""Step 2: never wait for one client.

What step 1 got wrong: its sockets block. A client that asks for a large file and does not read it
holds sendall in the kernel, and every other client waits until it reads. (Step 0 does not wait: its
send takes what fits into the socket's buffer, and the rest of the answer is lost.)

Now no socket blocks. What send does not take stays in the client's outbox. While bytes are owed, the
server waits for EPOLLOUT alone: a client that does not read cannot ask for more either.
What it costs: the rest of an answer in memory for each slow client, and state for each client.
"""

import contextlib
import select
import socket
import sys

socket.setdefaulttimeout(0)  # no socket blocks


class Client:
    def __init__(self, connection: socket.socket) -> None:
        self.socket, self.events = connection, select.EPOLLIN
        self.outbox = bytearray()


class Server:
    def __init__(self, port: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.epoll = select.epoll()
        self.epoll.register(self.listener.fileno(), select.EPOLLIN)
        self.clients: dict[int, Client] = {}
        print(f"http://127.0.0.1:{self.listener.getsockname()[1]}/", flush=True)

    def serve(self) -> None:
        while True:
            for descriptor, events in self.epoll.poll():
                if descriptor == self.listener.fileno():
                    self.accept()
                else:
                    self.turn(descriptor, self.clients[descriptor], events)

    def accept(self) -> None:
        connection, _ = self.listener.accept()
        self.epoll.register(connection.fileno(), select.EPOLLIN)
        self.clients[connection.fileno()] = Client(connection)

    def turn(self, descriptor: int, client: Client, events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            if events & select.EPOLLIN:
                request = client.socket.recv(65536)
                if not request:
                    self.close(descriptor)
                    return
                client.outbox += respond(request)
            if client.outbox:
                del client.outbox[: client.socket.send(client.outbox)]
        events = select.EPOLLOUT if client.outbox else select.EPOLLIN
        if events != client.events:
            client.events = events
            self.epoll.modify(descriptor, events)

    def close(self, descriptor: int) -> None:
        self.clients.pop(descriptor).socket.close()


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
