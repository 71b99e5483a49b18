"""The soak, for a third of a minute: nothing wrong, nothing grown."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "bench" / "soak.py"


def soak(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SOAK), *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.mark.long
@pytest.mark.parametrize("workers", ["0", "2"])
def test_every_answer_is_one_that_could_be_and_nothing_grows(workers: str) -> None:
    done = soak("--seconds", "12", "--clients", "4", "--workers", workers, "--reload-every", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"\n0 of ([\d,]+) answers wrong\n", done.stdout)
    assert found is not None, done.stdout
    assert int(found[1].replace(",", "")) > 1000
    # Each kind of request was made, and each kind of answer came.
    kinds = dict(re.findall(r"([a-z-]+) ([\d,]+)[,\n]", done.stdout.partition("answers: ")[2]))
    assert {"plain", "range", "parts", "conditional", "if-range", "compressed"} <= kinds.keys()
    assert {"head", "browser", "missing", "malformed", "changed"} <= kinds.keys()
    statuses = re.search(r"^status: (.+)$", done.stdout, re.MULTILINE)
    assert statuses is not None
    assert {"200", "206", "304", "400", "404"} <= set(re.findall(r"(\d{3}) ", statuses[1]))
    reloads = re.search(r"reloads: (\d+)$", done.stdout, re.MULTILINE)
    assert reloads is not None
    assert (int(reloads[1]) >= 2) == (workers != "0")


def test_customers_can_be_done_without() -> None:
    done = soak("--seconds", "3", "--workers", "0", "--without", "unix,proxy,tls,rsync")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "written in place: 0\n" in done.stdout
    assert "synced" not in done.stdout
    refused = soak("--without", "unix,ftp")
    assert refused.returncode == 2
    assert refused.stderr.endswith("--without knows unix, proxy, tls, rsync, not ftp\n")


@pytest.mark.parametrize("customer", ["unix", "proxy", "tls"])
def test_a_client_of_another_door_is_served(customer: str) -> None:
    others = ",".join({"unix", "proxy", "tls", "rsync"} - {customer})
    done = soak("--seconds", "6", "--workers", "0", "--without", others)
    # The table has a row of processes: one server for each door, and soon the coder of each.
    assert re.search(r"\nprocesses +2 +4 +4\n", done.stdout), done.stdout + done.stderr
    found = re.search(r"\n(\d+) of ([\d,]+) answers wrong\n", done.stdout)
    assert found is not None
    assert int(found[2].replace(",", "")) > 200


def test_a_wrong_answer_is_not_overlooked(tmp_path: Path) -> None:
    """The checker is given a server that knows of no changes: what it kept is soon of the past."""
    package = tmp_path / "src" / "epollo"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(STALE_SERVER)
    for name in ("soak.py", "customers.py", "shelf.py", "doors.py", "inplace.py", "malformed.py"):
        copy = tmp_path / "bench" / name
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes((SOAK.parent / name).read_bytes())
    done = subprocess.run(
        [
            sys.executable,
            str(tmp_path / "bench" / "soak.py"),
            "--seconds",
            "3",
            "--workers",
            "0",
            "--without",
            "unix,proxy,tls,rsync",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "WRONG: " in done.stdout
    assert re.search(r"\n[1-9][\d,]* of [\d,]+ answers wrong\n", done.stdout), done.stdout


STALE_SERVER = """
import functools, http.server, pathlib, signal, sys, threading

root = pathlib.Path(sys.argv[1])


@functools.cache
def read(name: str) -> bytes | None:
    path = root / name
    return path.read_bytes() if path.is_file() else None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 1

    def do_GET(self) -> None:
        content = read(self.path[1:])
        self.send_response(200 if content else 404)
        self.send_header("ETag", '"x"')
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *arguments: object) -> None:
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.handle_error = lambda *_: None
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print(f"http://127.0.0.1:{server.server_port}/")
server.serve_forever()
"""
