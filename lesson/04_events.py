"""Step 4: everything that a descriptor may report, and a number that comes again.

What step 3 got wrong: a client that resets its connection (RST) makes recv or send raise, and the
server ends. When the descriptors are used up (EMFILE) accept raises, and the server ends: some 1,000
silent clients are enough. Shortly before, a file that cannot be opened for want of one is "not found".

Now any error of a socket ends that client alone. (EPOLLERR and EPOLLHUP come unasked; the recv or
send after them says what it is.) Beyond a limit, half of the descriptors, the oldest client makes
room. The kernel gives the number of a closed socket to the next one at once: so a socket is
unregistered before it is closed, and the listener is served last, when no event is left in the batch
that could mean the former owner of a number.
What it costs: a system call for each client that ends; the oldest client may have been at work.
"""

import contextlib
import os
import select
import socket
import sys

socket.setdefaulttimeout(0)  # no socket blocks
END, HEAD_LIMIT = b"\r\n\r\n", 16 * 1024
CLIENTS_LIMIT = os.sysconf("SC_OPEN_MAX") // 2


class Client:
    def __init__(self, connection: socket.socket) -> None:
        self.socket, self.events = connection, select.EPOLLIN
        self.inbox, self.outbox = b"", bytearray()


class Server:
    def __init__(self, port: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.epoll = select.epoll()
        self.epoll.register(self.listener.fileno(), select.EPOLLIN)
        self.clients: dict[int, Client] = {}
        print(f"http://127.0.0.1:{self.listener.getsockname()[1]}/", flush=True)

    def serve(self) -> None:
        while True:
            batch = dict(self.epoll.poll())
            is_new = batch.pop(self.listener.fileno(), 0)
            for descriptor, events in batch.items():
                try:
                    self.turn(descriptor, self.clients[descriptor], events)
                except OSError:
                    self.close(descriptor)
            if is_new:
                self.accept()

    def accept(self) -> None:
        if len(self.clients) >= CLIENTS_LIMIT:
            self.close(next(iter(self.clients)))
        with contextlib.suppress(OSError):
            connection, _ = self.listener.accept()
            self.epoll.register(connection.fileno(), select.EPOLLIN)
            self.clients[connection.fileno()] = Client(connection)

    def turn(self, descriptor: int, client: Client, events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            if events & select.EPOLLIN:
                received = client.socket.recv(HEAD_LIMIT - len(client.inbox))
                if not received:  # the end, or no room for more
                    raise ConnectionAbortedError
                client.inbox += received
            if END in client.inbox and not client.outbox:
                head, _, client.inbox = client.inbox.partition(END)
                client.outbox += respond(head)
            if client.outbox:
                del client.outbox[: client.socket.send(client.outbox)]
        is_busy = client.outbox or END in client.inbox
        events = select.EPOLLOUT if is_busy else select.EPOLLIN
        if events != client.events:
            client.events = events
            self.epoll.modify(descriptor, events)

    def close(self, descriptor: int) -> None:
        self.epoll.unregister(descriptor)
        self.clients.pop(descriptor).socket.close()


def respond(head: bytes) -> bytes:
    target = head.split()[1].decode()
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
