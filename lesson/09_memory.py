"""Step 9: the site in memory, and true.

What step 8 got wrong: it asks the kernel anew for each request. Now files are read once. The kernel notes
a change in the folder (inotify(7)) before the write returns: the notes are read before each answer, and
one ends all that was kept. What it costs: a system call a request, memory for 1,000 files of 64 KiB.
"""

import contextlib
import ctypes
import functools
import mimetypes
import os
import re
import select
import socket
import sys
import time
from collections import OrderedDict
from urllib.parse import unquote_to_bytes

socket.setdefaulttimeout(0)  # no socket blocks
END, HEAD_LIMIT, PIECE, KEPT_LIMIT = b"\r\n\r\n", 16 * 1024, 256 * 1024, 64 * 1024
ROOT, CLIENTS_LIMIT = os.path.realpath(os.getcwdb()), os.sysconf("SC_OPEN_MAX") // 2
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 10
HEAD = re.compile(rb"([A-Z]+) (/\S*) HTTP/1\.(0|1(?=(?is:.*\nhost:)))((?:\r\n[^\s:]+:[^\r\n\0]*)*)")
LAST = re.compile(rb"(?i)\r\n(connection:[^\r]*close|content-length:|transfer-encoding:)")
STATUSES = {b"GET": "200 OK", b"HEAD": "200 OK", b"": "400 Bad Request"}
LIBC, CHANGES = ctypes.CDLL(None), 0xFCE  # inotify(7): IN_MODIFY to IN_MOVE_SELF


class Client:
    def __init__(self, connection: socket.socket) -> None:
        self.socket, self.events, self.is_kept = connection, select.EPOLLIN, True
        self.inbox, self.outbox, self.file, self.left = b"", bytearray(), None, 0
        self.deadline = time.monotonic() + SECONDS


class Server:
    def __init__(self, port: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # for all accepted
        self.epoll = select.epoll()
        self.epoll.register(self.listener.fileno(), select.EPOLLIN)
        self.clients: OrderedDict[int, Client] = OrderedDict()
        self.inotify = LIBC.inotify_init1(os.O_NONBLOCK)
        self.watch()
        print(f"http://127.0.0.1:{self.listener.getsockname()[1]}/", flush=True)

    def serve(self) -> None:
        while True:
            first = next(iter(self.clients), None)
            left = max(0, self.clients[first].deadline - time.monotonic()) if first else None
            if first and not left:
                self.close(first)
            batch = dict(self.epoll.poll(left))
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
            if END in client.inbox and not client.outbox and not client.file:
                with contextlib.suppress(BlockingIOError):
                    self.watch(os.read(self.inotify, 65536))
                head, _, rest = client.inbox.partition(END)
                answer, client.is_kept, path, client.left = respond(head)
                client.outbox += answer
                client.inbox = rest if client.is_kept else b""
                client.file = open(path, "rb") if path else None
            if client.outbox:
                del client.outbox[: client.socket.send(client.outbox)]
            elif client.file:
                sent = os.sendfile(descriptor, client.file.fileno(), None, min(client.left, PIECE))
                client.left -= sent
                if not (sent and client.left):  # a file that became shorter ends the connection
                    client.file, client.is_kept = None, client.is_kept and not client.left
            else:
                return
            client.deadline = time.monotonic() + SECONDS
            self.clients.move_to_end(descriptor)
            if not (client.is_kept or client.outbox or client.file):
                client.socket.shutdown(socket.SHUT_WR)
        is_busy = client.outbox or client.file or END in client.inbox
        events = select.EPOLLOUT if is_busy else select.EPOLLIN
        if events != client.events:
            client.events = events
            self.epoll.modify(descriptor, events)

    def close(self, descriptor: int) -> None:
        self.epoll.unregister(descriptor)
        self.clients.pop(descriptor).socket.close()

    def watch(self, _changes: bytes = b"") -> None:
        read_file.cache_clear()
        for folder, *_ in os.walk(ROOT):
            LIBC.inotify_add_watch(self.inotify, folder, CHANGES)


def respond(head: bytes) -> tuple[bytes, bool, bytes, int]:
    found = HEAD.fullmatch(head)
    method, target, minor, fields = found.groups() if found else (b"", b"/", b"0", b"")
    is_kept = minor == b"1" and not LAST.search(fields)
    status = STATUSES.get(method, "405 Method Not Allowed")
    kind, size, path, content = read_file(target)
    status = "404 Not Found" if status == "200 OK" and not kind else status
    if status != "200 OK":
        kind, size, path, content = "text/plain", len(status), b"", status.encode()
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())
    answer = f"HTTP/1.1 {status}\r\nDate: {date}\r\nAllow: GET, HEAD\r\nContent-Type: {kind}\r\n"
    keeping = "keep-alive" if is_kept else "close"
    answer += f"Content-Length: {size}\r\nConnection: {keeping}\r\n\r\n"
    has_content = method != b"HEAD"
    return answer.encode() + content * has_content, is_kept, path * has_content, size


@functools.lru_cache(1000)
def read_file(target: bytes) -> tuple[str, int, bytes, bytes]:
    name = unquote_to_bytes(target.partition(b"?")[0]).replace(b"\0", b"/.0")
    name += b"index.html" if name.endswith(b"/") else b""
    path = os.path.realpath(ROOT + b"/" + name)
    is_inside = path.startswith(ROOT + b"/") and b"/." not in path[len(ROOT) :]
    if not is_inside or not os.path.isfile(path):
        return "", 0, b"", b""
    kind = mimetypes.guess_type(os.fsdecode(path))[0] or "application/octet-stream"
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read() if size <= KEPT_LIMIT else b""
    return kind, size, b"" if content else path, content


with contextlib.suppress(KeyboardInterrupt):
    Server(int(sys.argv[1]) if len(sys.argv) > 1 else 7890).serve()
