"""Step 6: HTTP that clients believe.

What step 5 got wrong: its 404 counts letters where Content-Length counts bytes: after one for "/cafés"
the client reads the next answer a byte too early. HEAD gets content. A client that says HTTP/1.0 or
"Connection: close" waits for an end that never comes. What a POST brings with it is read as the next
request. An empty head ends the server, a query is taken for a part of the name, and no answer has a
type or a date.

Now a head is a request line and fields, or the answer is 400. The last answer of a connection says
so, and shutdown(2) follows it. What still comes is read and dropped: after close(2) instead, unread
bytes would make the kernel reset the connection, and the client could lose the answer.
What it costs: a regular expression for each head, and connections that linger.
"""

import contextlib
import mimetypes
import os
import re
import select
import socket
import sys
import time
from urllib.parse import unquote_to_bytes

socket.setdefaulttimeout(0)  # no socket blocks
END, HEAD_LIMIT = b"\r\n\r\n", 16 * 1024
ROOT, CLIENTS_LIMIT = os.path.realpath(os.getcwdb()), os.sysconf("SC_OPEN_MAX") // 2
HEAD = re.compile(rb"([A-Z]+) (/\S*) HTTP/1\.(0|1(?=(?is:.*\nhost:)))((?:\r\n[^\s:]+:[^\r\n\0]*)*)")
LAST = re.compile(rb"(?i)\r\n(connection:[^\r]*close|content-length:|transfer-encoding:)")
STATUSES = {b"GET": "200 OK", b"HEAD": "200 OK", b"": "400 Bad Request"}


class Client:
    def __init__(self, connection: socket.socket) -> None:
        self.socket, self.events, self.is_kept = connection, select.EPOLLIN, True
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
                client.inbox += received if client.is_kept else b""
            if END in client.inbox and not client.outbox:
                head, _, rest = client.inbox.partition(END)
                answer, client.is_kept = respond(head)
                client.outbox += answer
                client.inbox = rest if client.is_kept else b""
            if client.outbox:
                del client.outbox[: client.socket.send(client.outbox)]
            if not client.is_kept and not client.outbox:
                client.socket.shutdown(socket.SHUT_WR)
        is_busy = client.outbox or END in client.inbox
        events = select.EPOLLOUT if is_busy else select.EPOLLIN
        if events != client.events:
            client.events = events
            self.epoll.modify(descriptor, events)

    def close(self, descriptor: int) -> None:
        self.epoll.unregister(descriptor)
        self.clients.pop(descriptor).socket.close()


def respond(head: bytes) -> tuple[bytes, bool]:
    found = HEAD.fullmatch(head)
    method, target, minor, fields = found.groups() if found else (b"", b"/", b"0", b"")
    is_kept = minor == b"1" and not LAST.search(fields)
    status = STATUSES.get(method, "405 Method Not Allowed")
    kind, content = read_file(target)
    status = "404 Not Found" if status == "200 OK" and not kind else status
    if status != "200 OK":
        kind, content = "text/plain", status.encode()
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
    answer = f"HTTP/1.1 {status}\r\nDate: {date}\r\nAllow: GET, HEAD\r\nContent-Type: {kind}\r\n"
    keeping = "keep-alive" if is_kept else "close"
    answer += f"Content-Length: {len(content)}\r\nConnection: {keeping}\r\n\r\n"
    has_content = method != b"HEAD"
    return answer.encode() + content * has_content, is_kept


def read_file(target: bytes) -> tuple[str, bytes]:
    name = unquote_to_bytes(target.partition(b"?")[0]).replace(b"\0", b"/.0")
    name += b"index.html" if name.endswith(b"/") else b""
    path = os.path.realpath(ROOT + b"/" + name)
    is_inside = path.startswith(ROOT + b"/") and b"/." not in path[len(ROOT) :]
    if not is_inside or not os.path.isfile(path):
        return "", b""
    kind = mimetypes.guess_type(os.fsdecode(path))[0] or "application/octet-stream"
    with open(path, "rb") as file:
        return kind, file.read()


with contextlib.suppress(KeyboardInterrupt):
    Server(int(sys.argv[1]) if len(sys.argv) > 1 else 7890).serve()
