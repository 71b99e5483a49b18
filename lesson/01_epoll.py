"""Step 1: let the kernel name the sockets that are ready.

What step 0 got wrong: with 1,000 silent connections it makes 1,000 system calls to find one request,
and it takes a whole processor while no client asks for anything.

Now each socket is registered with epoll(7) once. epoll_wait(2) sleeps until a socket is ready and
returns its descriptor; a dictionary leads from the descriptor to the socket.

What it costs: one more system call when a connection begins, and Linux only.
"""

import contextlib
import select
import socket
import sys


class Server:
    def __init__(self, port: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.epoll = select.epoll()
        self.epoll.register(self.listener.fileno(), select.EPOLLIN)
        self.clients: dict[int, socket.socket] = {}
        print(f"http://127.0.0.1:{self.listener.getsockname()[1]}/", flush=True)

    def serve(self) -> None:
        while True:
            for descriptor, _ in self.epoll.poll():
                if descriptor == self.listener.fileno():
                    self.accept()
                else:
                    self.receive(self.clients[descriptor])

    def accept(self) -> None:
        client, _ = self.listener.accept()
        self.epoll.register(client.fileno(), select.EPOLLIN)
        self.clients[client.fileno()] = client

    def receive(self, client: socket.socket) -> None:
        request = client.recv(65536)
        if request:
            client.sendall(respond(request))
        else:
            del self.clients[client.fileno()]
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
