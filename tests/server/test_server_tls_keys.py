"""Where private keys are while a server runs: in the memory of processes that show it to no other."""

import os
import resource
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from certificates import make_certificate
from conftest import COMMAND, Serve, needs_root, receive_all
from epollo.linux.libc import call
from server.workers import await_true, children

MADE = make_certificate("localhost")
_PR_SET_CHILD_SUBREAPER = 36


def dumps_core(pid: int) -> bool:
    """End a process of ours by a signal that dumps core; return whether it did."""
    os.kill(pid, signal.SIGABRT)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGABRT
    return os.WCOREDUMP(status)


@pytest.fixture
def cores(tmp_path: Path) -> Iterator[None]:
    """Core dumps are allowed to processes that a test starts; skip where this system makes none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    try:
        idle = [sys.executable, "-S", "-c", "import signal; print(flush=True); signal.pause()"]
        other = subprocess.Popen(idle, cwd=tmp_path, stdout=subprocess.PIPE)
        assert other.stdout is not None
        with other.stdout:
            other.stdout.readline()
            is_dumped = dumps_core(other.pid)
        other.poll()
        if not is_dumped:
            pytest.skip("this system dumps no core")
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


@pytest.mark.usefixtures("cores")
@pytest.mark.parametrize("workers", ["0", "1"])
def test_no_core_is_dumped(serve: Serve, site: Path, tmp_path: Path, workers: str) -> None:
    """With workers it is their parent that ends."""
    server = serve(site, *MADE.write(tmp_path / "c"), "--workers", workers)
    followers = children(server.pid)
    assert not dumps_core(server.pid)
    assert await_true(lambda: not any(Path(f"/proc/{one}").exists() for one in followers))


@pytest.mark.usefixtures("cores")
def test_no_core_of_a_worker_is_dumped(site: Path, tmp_path: Path) -> None:
    """It becomes a child of ours, whose end we are told, when its parent ends."""
    options = ["--port", "0", "--workers", "1", "--sandbox", "off", *MADE.write(tmp_path / "c")]
    call("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        parent = subprocess.Popen([*COMMAND, str(site), *options], stdout=subprocess.PIPE)
        assert parent.stdout is not None
        with parent.stdout:
            assert any(b"Ctrl-C" in line for line in parent.stdout)
            (worker,) = children(parent.pid)
            os.kill(worker, signal.SIGSTOP)
            parent.kill()
            parent.wait()
        os.kill(worker, signal.SIGABRT)
        os.kill(worker, signal.SIGCONT)
        _, status = os.waitpid(worker, 0)
    finally:
        call("prctl", _PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    assert os.WTERMSIG(status) == signal.SIGABRT
    assert not os.WCOREDUMP(status)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_no_descriptor_leads_to_the_key(
    serve: Serve, site: Path, tmp_path: Path, workers: str
) -> None:
    """Neither to its file, nor to what it was handed over in; and nothing else in /proc tells it."""
    options = MADE.write(tmp_path / "c")
    server = serve(site, *options, "--workers", workers)
    secret = MADE.key.splitlines()[1]
    for pid in [server.pid, *children(server.pid)]:
        folder = Path(f"/proc/{pid}")
        for number in os.listdir(folder / "fd"):
            target = os.readlink(folder / "fd" / number)
            assert not target.endswith(".key"), target
            if target.startswith("/memfd:"):
                assert secret not in (folder / "fd" / number).read_bytes(), target
        for name in ("environ", "cmdline"):
            assert secret not in (folder / name).read_bytes()


@needs_root
@pytest.mark.parametrize("options", [("--user", "nobody"), ("--sandbox", "on")])
def test_a_key_that_is_out_of_reach_from_now_on_is_still_used(
    serve: Serve, open_folder: Path, tmp_path: Path, options: tuple[str, str]
) -> None:
    """It was read before rights were given up; what is lost is that it can be swapped."""
    (open_folder / "index.html").write_text("secured")
    tmp_path.chmod(0o700)
    server = serve(open_folder, *MADE.write(tmp_path / "c"), *options)
    context = ssl.create_default_context(cadata=MADE.certificate.decode())
    with context.wrap_socket(server.connect(), server_hostname="localhost") as peer:
        peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert receive_all(peer).endswith(b"secured")
    certificate = tmp_path / "c" / "site.pem"
    assert server.stderr == (
        f"epollo: new certificates are not noticed (cannot read {certificate}: Permission denied); "
        "with --workers they are\n"
    )
