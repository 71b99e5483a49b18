"""epollo with each of its libraries beside nginx, and h2o where it is installed, over TLS.

``.venv/bin/python bench/secured.py`` takes nine minutes, with ``--quick`` four.

TLS 1.3 with AES-128 and a P-256 certificate that openssl makes, one worker each, in turn within each
round, after a round that does not count. The rounds are short and many, and a share is the median of the
rounds' shares: what else a machine does changes from second to second. The figure is the CPU time of the
server's processes for each answer.

wrk begins each connection but its first ones with a ticket, so that full handshakes are made by a client
of Python, one after another. With rustls no session is resumed: a client that comes back makes a full
handshake. Of servers that were just started it is the memory for each connection that has had an answer.

It prints a table, and with ``--write`` it writes it to ``bench/results/secured.md`` as well.
"""

import argparse
import importlib.util
import os
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from measure import cpu_seconds, parse_load, pinned, process_tree, pss_octets
from runs import choose_processors
from servers import HOST, Order, Plan, choose_port, running, write_configuration
from wire import read_answer
from workloads import WORKLOADS

LUA: Final = Path(__file__).resolve().parent / "lua" / "report.lua"
RESULTS: Final = Path(__file__).resolve().parent / "results" / "secured.md"
SOURCE: Final = Path(__file__).resolve().parent.parent / "src"
NGINX: Final = """daemon off; worker_processes 1; pid {pid}; error_log stderr;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000; open_file_cache max=100; sendfile on;
  ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers ECDHE+AESGCM+AES128;
  ssl_prefer_server_ciphers on; ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
  ssl_session_cache shared:S:10m; ssl_buffer_size 16k;
  server {{
    listen {host}:{port} ssl; ssl_certificate {certificate}; ssl_certificate_key {key}; root {site};
  }}
}}
"""
H2O: Final = """num-threads: 1
max-connections: 16384
http1-request-timeout: 3600
listen:
  host: {host}
  port: {port}
  ssl:
    certificate-file: {certificate}
    key-file: {key}
    minimum-version: TLSv1.2
    cipher-preference: server
    cipher-suite: ECDHE+AESGCM+AES128
hosts:
  default:
    paths:
      /:
        file.dir: {site}
{user}
"""


RUSTLS: Final = "epollo, rustls"
_MEMORY_ROUNDS: Final = 3
OURS: Final = ("epollo", RUSTLS)

CLIENT: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CLIENT.check_hostname = False
CLIENT.verify_mode = ssl.CERT_NONE


class Row(NamedTuple):
    """What is asked for; a bar is a share of what nginx takes."""

    name: str
    octets: int
    connections: int
    bar: float
    rustls_bar: float | None = None
    """That of epollo with rustls, where it has one of its own."""
    closes: bool = False
    is_alone: bool = False
    """Whether there is one connection after another, of a client that is no wrk."""
    is_resumed: bool = False
    """Whether each of these resumes the session of the one before."""
    is_idle: bool = False
    """Whether the figure is the octets of memory of a connection."""


ROWS: Final = (
    Row("1 KiB", 1024, 64, 0.85),
    Row("100 KiB", 100 * 1024, 64, 0.80),
    Row("10 MiB", 10 * 1024 * 1024, 8, 0.95),
    Row("a full handshake", 1024, 60, 1.15, 0.65, is_alone=True),
    Row("a resumed session", 1024, 60, 1.15, is_alone=True, is_resumed=True),
    Row("16 resumed at once", 1024, 16, 1.15, closes=True),
    Row("octets of an idle connection", 1024, 200, 1.1, is_idle=True),
    Row("octets of one that had 100 KiB", 100 * 1024, 200, 1.1, is_idle=True),
)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Return the files of a certificate and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    options = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    command = ["openssl", "req", *options.split(), "-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def plan_servers(folder: Path, site: Path) -> dict[str, tuple[Plan, Order]]:
    """Return how each server is started."""
    certificate, key = make_certificate(folder)
    h2o = ("h2o",) if shutil.which("h2o") else ()
    rustls = (RUSTLS,) if importlib.util.find_spec("rtls") else ()
    names = ("nginx", *h2o, "epollo", *rustls)
    orders = {name: Order(site, folder, choose_port(), WORKLOADS[0], 0) for name in names}
    written = {
        name: write_configuration(
            orders[name],
            name,
            text.format(
                pid=folder / "nginx.pid",
                host=HOST,
                port=orders[name].port,
                certificate=certificate,
                key=key,
                site=site,
                user="user: root" if os.geteuid() == 0 else "",
            ),
        )
        for name, text in (("nginx", NGINX), ("h2o", H2O))
        if name in orders
    }
    command = [sys.executable, "-m", "epollo", str(site), "--host", HOST, "--quiet"]
    command += ["--tls-cert", str(certificate), "--tls-key", str(key), "--port"]

    def plan_epollo(name: str, library: str) -> Plan:
        return Plan(
            [*command, str(orders[name].port), "--tls-library", library],
            environment={**os.environ, "PYTHONPATH": str(SOURCE)},
        )

    plans = {
        "nginx": lambda: Plan(["nginx", "-c", written["nginx"], "-p", str(folder)]),
        "h2o": lambda: Plan(["h2o", "-c", written["h2o"]]),
        "epollo": lambda: plan_epollo("epollo", "openssl"),
        RUSTLS: lambda: plan_epollo(RUSTLS, "rustls"),
    }
    return {name: (plans[name](), order) for name, order in orders.items()}


def ask(port: int, row: Row, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
    """Return a connection that has had its answer."""
    peer = CLIENT.wrap_socket(
        socket.create_connection((HOST, port)), server_hostname="localhost", session=session
    )
    peer.sendall(f"GET /{row.octets}.bin HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    with peer.makefile("rb") as stream:
        if read_answer(stream).status != 200:
            raise SystemExit(f"{row.name}: a request failed")
    return peer


def measure_alone(row: Row, port: int, root: int, *, resumes: bool) -> float:
    """Return the CPU microseconds of the server for each connection with one answer.

    ``resumes`` is whether the server resumes the session of a client that comes back.
    """
    with ask(port, row) as first:
        session = first.session if row.is_resumed else None
    processes = process_tree(root)
    before = cpu_seconds(processes)
    for _ in range(row.connections):
        with ask(port, row, session) as peer:
            if peer.session_reused != (row.is_resumed and resumes):
                raise SystemExit(f"{row.name}: a session was resumed, or was not")
            session = peer.session if row.is_resumed else None
    return (cpu_seconds(processes) - before) / row.connections * 1e6


def measure_idle(row: Row, port: int, root: int) -> float:
    """Return the octets of memory that each of many connections takes."""
    with ExitStack() as stack:
        # What is kept for all is there already, and so is each process.
        stack.enter_context(ask(port, row))
        processes = process_tree(root)
        before = pss_octets(processes)
        for _ in range(row.connections):
            stack.enter_context(ask(port, row))
        return (pss_octets(processes) - before) / row.connections


def measure_memory(row: Row, site: Path, processor: int | None) -> dict[str, float]:
    """Return the octets of memory of a connection to each of the servers, which are started for this."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        for server, (plan, order) in plan_servers(Path(name), site).items():
            with running(plan, order, processor) as root:
                found[server] = measure_idle(row, order.port, root)
    return found


def measure(
    row: Row, port: int, root: int, seconds: int, processor: int | None, *, resumes: bool
) -> float:
    """Return the CPU microseconds of the server for each answer."""
    if row.is_alone:
        with pinned(processor):
            return measure_alone(row, port, root, resumes=resumes)
    # By its name: a client that names an address as a host (wrk does) is refused.
    url = f"https://localhost:{port}/{row.octets}.bin"
    command = ["wrk", "-t1", f"-c{row.connections}", f"-d{seconds}s", "-s", str(LUA), url]
    if row.closes:
        command[1:1] = ["-H", "Connection: close"]
    processes = process_tree(root)
    before = cpu_seconds(processes)
    with pinned(processor):
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    used = cpu_seconds(processes) - before
    load = parse_load(done.stdout)
    if load.errors:
        raise SystemExit(f"{row.name}: {load.errors} requests failed")
    if not load.requests:
        raise SystemExit(f"{row.name}: no request was answered in {seconds} seconds")
    # Of large answers many are under way at the end; a head is shorter than what is left out here.
    answers = load.octets / row.octets if row.octets > 65_536 else load.requests
    return used / answers * 1e6


def format_head(servers: Iterable[str]) -> list[str]:
    """Return the head of the table."""
    names = list(servers)
    shares = [f"{name}: of nginx (middle half) | bar" for name in names if name in OURS]
    return [
        f"| CPU us per answer | {' | '.join(names)} | {' | '.join(shares)} |",
        f"|---|{'---:|' * (len(names) + 2 * len(shares))}",
    ]


def format_line(row: Row, found: Mapping[str, list[float]]) -> str:
    """Return a line of the table: medians, and the share of nginx with the middle half of its rounds."""
    medians = [statistics.median(figures) for figures in found.values()]
    cells = [row.name, *(f"{median:,.1f}" for median in medians)]
    for name in filter(found.__contains__, OURS):
        shares = [ours / theirs for theirs, ours in zip(found["nginx"], found[name], strict=True)]
        least, share, most = statistics.quantiles(shares, n=4, method="inclusive")
        bar = row.bar if name == "epollo" or row.rustls_bar is None else row.rustls_bar
        cells += [f"{share:.2f} ({least:.2f} to {most:.2f})", f"{bar:.2f}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure all rows and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="seven rounds of a second")
    parser.add_argument("--rows", default="", help="the first words of rows, with commas between")
    parser.add_argument(
        "--write", action="store_true", help="write the table to results/secured.md"
    )
    parser.add_argument("--no-pin", action="store_true", help="leave processors to the scheduler")
    wanted = parser.parse_args()
    rounds, seconds = (7 if wanted.quick else 19), 1
    ours, theirs = choose_processors(may_pin=not wanted.no_pin)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        site = Path(name) / "site"
        site.mkdir()
        site.parent.chmod(0o755)
        for octets in {row.octets for row in ROWS}:
            (site / f"{octets}.bin").write_bytes(os.urandom(octets))
        servers = {
            server: (order.port, stack.enter_context(running(plan, order, ours)))
            for server, (plan, order) in plan_servers(Path(name), site).items()
        }
        lines = format_head(servers)
        print(*lines, sep="\n")
        for row in ROWS:
            if not row.name.startswith(tuple(wanted.rows.split(","))):
                continue
            found: dict[str, list[float]] = {server: [] for server in servers}
            for number in range(rounds + 1):
                if row.is_idle:
                    if number > _MEMORY_ROUNDS:
                        continue
                    for server, figure in measure_memory(row, site, ours).items():
                        found[server].append(figure)
                    continue
                for server, (port, root) in servers.items():
                    figure = measure(row, port, root, seconds, theirs, resumes=server != RUSTLS)
                    if number:
                        found[server].append(figure)
            lines.append(format_line(row, found))
            print(lines[-1], flush=True)
        if wanted.write:
            RESULTS.write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main()
