"""Step 5: nothing but the folder.

What step 4 got wrong: it opens whatever the path says. "/../../etc/passwd" leaves the folder, and so
does a link that points outside; "/.git/config" is served. A name with %20 in it is never found, a
target that is not UTF-8 ends the server, and a FIFO stops it: open(2) waits for a writer.

Now the path is decoded once, as bytes, and followed to its end, every link and every dot segment.
What then lies outside of the folder, begins with a dot or is no regular file is not found.
What it costs: a system call for each component of the path. And it is not the whole truth: a link
that is switched between the look and the open still wins. epollo opens component by component.
"""

import contextlib
import os
import select
import socket
import sys
from urllib.parse import unquote_to_bytes

socket.setdefaulttimeout(0)  # no socket blocks
END, HEAD_LIMIT = b"\r\n\r\n", 16 * 1024
ROOT, CLIENTS_LIMIT = os.path.realpath(os.getcwdb()), os.sysconf("SC_OPEN_MAX") // 2


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
    target = unquote_to_bytes(head.split()[1])
    content = read_file(target)
    if content is None:
        text = f"There is no {target.decode(errors='replace')}.\n"
        return f"HTTP/1.1 404 Not Found\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content


def read_file(name: bytes) -> bytes | None:
    name = name.replace(b"\0", b"/.0")  # no name has a zero byte
    name += b"index.html" if name.endswith(b"/") else b""
    path = os.path.realpath(ROOT + b"/" + name)
    is_inside = path.startswith(ROOT + b"/") and b"/." not in path[len(ROOT) :]
    if not is_inside or not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        return file.read()


with contextlib.suppress(KeyboardInterrupt):
    Server(int(sys.argv[1]) if len(sys.argv) > 1 else 7890).serve()
