"""The servers: where each is found, how it is told to serve a folder with one worker, and its life.

Every one gets its access log switched off, time-outs and limits that do not end the benchmark's
connections, and compression on the fly only where the workload asks for it.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from measure import pinned
from workloads import Workload

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Order:
    """What a server is to do: all that a command line or a configuration depends on."""

    site: Path
    scratch: Path
    port: int
    workload: Workload
    answer_octets: int
    variant: str = ""
    python: str = sys.executable
    peers: Path | None = None

    @property
    def is_compressing(self) -> bool:
        """Return whether the server is to compress what it sends."""
        return self.workload.coding == "gzip"


@dataclass(frozen=True)
class Plan:
    """A command line, and the configuration file that it names."""

    command: list[str]
    configuration: str = ""
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Server:
    """A server that can be compared.

    ``find`` returns its version, or None where it is not installed; ``plan`` says how to run it;
    ``variants`` are the configurations to choose the best of.
    """

    name: str
    title: str
    find: Callable[[str, Path | None], str | None]
    plan: Callable[[Order], Plan]
    variants: Callable[[Workload], list[str]] = lambda _: [""]
    most_idle: int = 1_000_000


class ServerFailedError(Exception):
    """A server did not start or did not stay; the text says what it said."""


def first_line(*command: str) -> str | None:
    """Return what the command says first that holds a digit, None where it cannot be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = (done.stdout + done.stderr).splitlines()
    return next((line.strip() for line in lines if re.search(r"\d", line)), None)


def find_program(name: str, flag: str) -> Callable[[str, Path | None], str | None]:
    return lambda _python, _peers: first_line(name, flag)


def peer_program(name: str, peers: Path | None) -> str:
    """Return a program of the peers' virtual environment, or the name for PATH to find."""
    if peers is not None and (peers / "bin" / name).exists():
        return str(peers / "bin" / name)
    return name


def write_configuration(order: Order, name: str, text: str) -> str:
    path = order.scratch / f"{name}-{order.port}.conf"
    path.write_text(text)
    return str(path)


# epollo


def source_environment() -> dict[str, str]:
    return {"PYTHONPATH": str(HERE.parent / "src")}


def find_epollo(python: str, _peers: Path | None) -> str | None:
    return _find_epollo(python, source_environment())


def plan_epollo(order: Order) -> Plan:
    return _plan_epollo(order.python, order, source_environment())


def epollo_before(python: str) -> Server:
    """Return the epollo that this interpreter has installed, to stand beside the one of this tree."""
    return Server(
        "before",
        "epollo before",
        lambda _python, _peers: _find_epollo(python, {}),
        lambda order: _plan_epollo(python, order, {}),
    )


def _find_epollo(python: str, environment: dict[str, str]) -> str | None:
    done = subprocess.run(
        [python, "-m", "epollo", "--version"],
        env=os.environ | environment, capture_output=True, text=True, timeout=20,
        check=False,
    )  # fmt: skip
    return done.stdout.strip() if done.returncode == 0 else None


def _plan_epollo(python: str, order: Order, environment: dict[str, str]) -> Plan:
    command = [python, "-m", "epollo", str(order.site), "--port", str(order.port)]
    command += ["--quiet", "--poller", "epoll", "--idle-timeout", "3600"]
    return Plan(command, environment=environment)


# nginx

NGINX_BROTLI = Path("/usr/lib/nginx/modules/ngx_http_brotli_static_module.so")
"""Where Debian's libnginx-mod-http-brotli-static puts it; nginx has none of its own."""


def nginx_variants(workload: Workload) -> list[str]:
    """Return every sensible combination: tcp_nopush needs sendfile, output_buffers its absence.

    Where each request brings a connection, ``deferred`` (TCP_DEFER_ACCEPT) is tried as well.
    """
    caches = ("", "open_file_cache")
    ways = ("sendfile", "sendfile tcp_nopush", "", "output_buffers=1:128k", "output_buffers=4:256k")
    listens = ("", "deferred") if workload.is_closing else ("",)
    return [" ".join(filter(None, choice)) or "plain" for choice in product(ways, caches, listens)]


def nginx_configuration(order: Order) -> str:
    chosen = order.variant.split()
    buffers = next((word for word in chosen if word.startswith("output_buffers")), "")
    options = [
        f"sendfile {'on' if 'sendfile' in chosen else 'off'};",
        f"tcp_nopush {'on' if 'tcp_nopush' in chosen else 'off'};",
    ]
    if buffers:
        number, size = buffers.partition("=")[2].split(":")
        options.append(f"output_buffers {number} {size};")
    if cached := next((word for word in chosen if word.startswith("open_file_cache")), ""):
        files = cached.partition("=")[2] or "1000"
        options += [f"open_file_cache max={files} inactive=600s;", "open_file_cache_valid 60s;"]
    options += [f"{word} on;" for word in ("gzip_static", "brotli_static") if word in chosen]
    module = f"load_module {NGINX_BROTLI};\n" if "brotli_static" in chosen else ""
    if order.is_compressing:
        options.append("gzip on;")
    deferred = " deferred" if "deferred" in chosen else ""
    scratch = order.scratch
    paths = [
        f"{name}_temp_path {scratch}/nginx-{order.port}-{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    ]
    indented = "\n    ".join([*options, *paths])
    return f"""\
{module}worker_processes 1;
worker_rlimit_nofile 20000;
daemon off;
pid {scratch}/nginx-{order.port}.pid;
error_log stderr crit;
events {{
    worker_connections 16384;
    use epoll;
}}
http {{
    types {{ text/html html; text/css css; image/jpeg jpg; image/png png; }}
    default_type application/octet-stream;
    access_log off;
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
    {indented}
    server {{
        listen {HOST}:{order.port} backlog=4096{deferred};
        root {order.site};
    }}
}}
"""


def plan_nginx(order: Order) -> Plan:
    text = nginx_configuration(order)
    path = write_configuration(order, "nginx", text)
    return Plan(["nginx", "-e", "stderr", "-p", str(order.scratch), "-c", path], text)


# other servers in C and Go


def plan_h2o(order: Order) -> Plan:
    text = f"""\
num-threads: 1
max-connections: 16384
http1-request-timeout: 3600
listen: {{host: {HOST}, port: {order.port}}}
hosts:
  default:
    paths:
      /:
        file.dir: {order.site}
{"compress: [gzip]" if order.is_compressing else ""}
{"user: root" if os.geteuid() == 0 else ""}
"""
    return Plan(["h2o", "-c", write_configuration(order, "h2o", text)], text)


def plan_lighttpd(order: Order) -> Plan:
    compression = """\
server.modules += ("mod_deflate")
deflate.mimetypes = ("text/")
deflate.allowed-encodings = ("gzip")
"""
    text = f"""\
server.document-root = "{order.site}"
server.bind = "{HOST}"
server.port = {order.port}
server.max-fds = 32768
server.max-connections = 16384
server.listen-backlog = 4096
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 3600
server.max-read-idle = 3600
mimetype.assign = (".html" => "text/html", ".css" => "text/css", ".jpg" => "image/jpeg",
    ".png" => "image/png", "" => "application/octet-stream")
{compression if order.is_compressing else ""}
"""
    return Plan(["lighttpd", "-D", "-f", write_configuration(order, "lighttpd", text)], text)


def plan_caddy(order: Order) -> Plan:
    text = f"""\
{{
    admin off
    auto_https off
    persist_config off
    log {{
        output discard
    }}
    servers {{
        protocols h1
        timeouts {{
            idle 1h
        }}
    }}
}}
http://{HOST}:{order.port} {{
    bind {HOST}
    root * {order.site}
    {"encode gzip" if order.is_compressing else ""}
    file_server
}}
"""
    path = write_configuration(order, "caddy", text)
    home = str(order.scratch)
    return Plan(
        [peer_program("caddy", order.peers), "run", "--adapter", "caddyfile", "--config", path],
        text,
        {"GOMAXPROCS": "1", "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home},
    )


# servers for Python


def plan_granian(order: Order) -> Plan:
    command = [
        peer_program("granian", order.peers), "--interface", "asgi",
        "--host", HOST, "--port", str(order.port), "--workers", "1", "--runtime-threads", "1",
        "--backlog", "4096", "--no-log", "--working-dir", str(HERE / "peers"),
        "--static-path-route", "", "--static-path-mount", str(order.site), "granian_app:app",
    ]  # fmt: skip
    return Plan(command)


def plan_uvicorn(order: Order) -> Plan:
    command = [
        peer_program("uvicorn", order.peers), "--app-dir", str(HERE / "peers"),
        "--host", HOST, "--port", str(order.port), "--workers", "1", "--no-access-log",
        "--log-level", "critical", "--backlog", "4096", "--timeout-keep-alive", "3600",
        "starlette_app:app",
    ]  # fmt: skip
    gzip = "1" if order.is_compressing else "0"
    return Plan(command, environment={"BENCH_ROOT": str(order.site), "BENCH_GZIP": gzip})


def plan_http_server(order: Order) -> Plan:
    command = [
        order.python, "-m", "http.server", str(order.port), "--bind", HOST,
        "--directory", str(order.site), "--protocol", "HTTP/1.1",
    ]  # fmt: skip
    return Plan(command)


# the least possible


def find_floor(_python: str, _peers: Path | None) -> str | None:
    compiler = shutil.which("cc")
    return first_line(compiler, "--version") if compiler else None


def plan_floor(order: Order) -> Plan:
    program = order.scratch / "floor"
    if not program.exists():
        subprocess.run(
            ["cc", "-O2", "-o", str(program), str(HERE / "floor.c")], check=True, timeout=60
        )
    way = "close" if order.workload.is_closing else "keep"
    octets = str(order.answer_octets)
    return Plan([str(program), str(order.port), order.workload.status, octets, way])


SERVERS = (
    Server("epollo", "epollo", find_epollo, plan_epollo),
    Server("nginx", "nginx", find_program("nginx", "-v"), plan_nginx, nginx_variants),
    Server("h2o", "h2o", find_program("h2o", "--version"), plan_h2o),
    Server("lighttpd", "lighttpd", find_program("lighttpd", "-v"), plan_lighttpd),
    Server(
        "caddy",
        "Caddy",
        lambda _, peers: first_line(peer_program("caddy", peers), "version"),
        plan_caddy,
    ),
    Server(
        "granian",
        "granian",
        lambda _, peers: first_line(peer_program("granian", peers), "--version"),
        plan_granian,
    ),
    Server(
        "uvicorn",
        "uvicorn, Starlette",
        lambda _, peers: first_line(peer_program("uvicorn", peers), "--version"),
        plan_uvicorn,
    ),
    Server(
        "http.server",
        "http.server",
        lambda python, _: first_line(python, "--version"),
        plan_http_server,
        most_idle=1_000,
    ),
    Server("floor", "bare loop in C", find_floor, plan_floor),
)


def choose_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(plan: Plan, order: Order, processor: int | None) -> Iterator[int]:
    """Run the server until the end of the block; give the number of its first process.

    It leads a session of its own, so that whatever it starts ends with it. Raises
    ServerFailedError where it does not listen within 20 seconds.
    """
    words = order.scratch / f"said-{order.port}.txt"
    with pinned(processor), words.open("wb") as said:
        # http.server cannot be kept from logging every request.
        output = subprocess.DEVNULL if "http.server" in plan.command else said
        process = subprocess.Popen(
            plan.command,
            env=os.environ | plan.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection((HOST, order.port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    tail = words.read_text(errors="replace").strip()[-300:]
                    raise ServerFailedError(
                        f"it does not listen; it said: {tail or 'nothing'}"
                    ) from None
                time.sleep(0.02)
        yield process.pid
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask the session to end, and make it after three seconds."""
    for number, patience_seconds in ((signal.SIGTERM, 3), (signal.SIGKILL, 10)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            continue
    process.wait(10)
