"""Step 3: a request is what ends with an empty line, not what one recv returns.

What step 2 got wrong: TCP carries bytes, not messages. A request that comes in two packets is two
wrong requests (the answer is 404, or the server ends because a piece has no target). Two requests in
one packet get one answer, and the answer to the second never comes.

Now bytes gather in the client's inbox until CR LF CR LF. Each whole request there is answered, one
in a turn, and the next one only when nothing is owed. An inbox of 16 KiB without an end closes the
connection, for whatever a client can make grow needs a bound.
What it costs: a search for the end of the head at each piece, and up to 16 KiB for each client.
"""

import contextlib
import select
import socket
import sys

socket.setdefaulttimeout(0)  # no socket blocks
END, HEAD_LIMIT = b"\r\n\r\n", 16 * 1024


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
                received = client.socket.recv(HEAD_LIMIT - len(client.inbox))
                if not received:  # the end, or no room for more
                    self.close(descriptor)
                    return
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
