#!/usr/bin/env python3
"""Soak epollo: mixed load for minutes while the files change, every answer checked: python bench/soak.py.

Clients keep connections and open new ones, pipeline, ask for parts, conditionally, compressed, take
large files and go away in the middle, and send what is malformed; files are replaced, and some come
and go. An answer is wrong unless it is that of a version which may have been the current one between
request and answer. Where the command has workers, they are reloaded all the time.

Memory and descriptors are compared at rest: when the server has started, after the warm-up, and in the
end. The exit status is 1 where an answer was wrong, or where either of them grew.
"""

import argparse
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from customers import Client, Count
from doors import PROXY, SOURCE, TCP, TLS, UNIX, Reading, Server, set_environment
from inplace import SyncedClient, SyncedCount, SyncedFiles, keep_writing
from shelf import Shelf, keep_changing

RSYNC: Final = "rsync"
CUSTOMERS: Final = (UNIX, PROXY, TLS, RSYNC)
"""The customers that can be left out."""
LARGE: Final = "large.bin"
LENGTHS: Final = {
    **{f"page{number}.html": 3500 + 700 * number for number in range(8)},
    "data.json": 40_000,
    "picture.bin": 20_000,
    "kept.bin": 150_000,
    "fleeting.html": 5000,
    "fleeting.bin": 4000,
    LARGE: 3 * 1024 * 1024,
}
FLEETING: Final = ("fleeting.html", "fleeting.bin")
_WARM_UP_SECONDS_MAX: Final = 60
_REST_SECONDS_MAX: Final = 30
# What an allocator may keep, and descriptors that one worker holds for content and another not yet.
_RESIDENT_GROWTH: Final = 1.10
_RESIDENT_SLACK_KIB: Final = 4096
_DESCRIPTORS_SLACK: Final = 8
"""For each server."""
_WRONG_SHOWN: Final = 10
_SHOWN_EVERY_SECONDS: Final = 10


class Soak:
    """Servers, their folder, and all clients and writers of both."""

    def __init__(
        self,
        servers: list[Server],
        shelf: Shelf,
        synced: SyncedFiles | None,
        arguments: argparse.Namespace,
    ) -> None:
        self.counts: list[Count] = []
        self.synced_counts: list[SyncedCount] = []
        self.reloads = 0
        self.peak = Reading(0, 0, 0)
        self._servers = servers
        self._shelf = shelf
        self._synced = synced
        self._arguments = arguments
        self._begun = time.monotonic()
        self._shown_seconds = 0.0
        self._is_loaded = False

    @property
    def answers(self) -> int:
        """How many answers were checked so far."""
        return sum(sum(count.answers.values()) for count in (*self.counts, *self.synced_counts))

    @property
    def wrong(self) -> list[str]:
        """What was wrong so far, a line for each answer."""
        return [wrong for count in (*self.counts, *self.synced_counts) for wrong in count.wrong]

    def read(self) -> Reading:
        """Return what all servers take at this moment."""
        return Reading(*map(sum, zip(*(server.read() for server in self._servers), strict=True)))

    def load(self, seconds: float) -> None:
        """Put the server under load for some time; no client is connected afterwards."""
        self._is_loaded = True
        end = threading.Event()
        first = len(self.counts)
        doors = [server.door for server in self._servers]
        clients = [
            Client(doors[seed % len(doors)], self._shelf, LARGE, seed)
            for seed in range(first, first + max(self._arguments.clients, len(doors)))
        ]
        self.counts += [client.count for client in clients]
        changes = (self._shelf, FLEETING, self._arguments.changes, end)
        threads = [threading.Thread(target=keep_changing, args=changes)]
        pause_seconds = self._arguments.pause / 1000
        threads += [threading.Thread(target=one.run, args=(end, pause_seconds)) for one in clients]
        if self._synced is not None:
            threads.append(threading.Thread(target=keep_writing, args=(self._synced, end)))
            takers = [SyncedClient(door, self._synced, first) for door in doors]
            self.synced_counts += [taker.count for taker in takers]
            threads += [threading.Thread(target=one.run, args=(end, 0.02)) for one in takers]
        for thread in threads:
            thread.start()
        try:
            self._watch(time.monotonic() + seconds)
        finally:
            end.set()
            for thread in threads:
                thread.join()

    def _watch(self, until: float) -> None:
        """Show the progress, reload, and end early when the server has ended."""
        next_reload = time.monotonic() + self._arguments.reload_every
        while (now := time.monotonic()) < until and all(
            server.process.poll() is None for server in self._servers
        ):
            time.sleep(min(1.0, until - now))
            reading = self.read()
            self.peak = Reading(*map(max, self.peak, reading))
            if self._arguments.workers and now >= next_reload:
                next_reload += self._arguments.reload_every
                for server in self._servers:
                    server.process.send_signal(signal.SIGHUP)
                self.reloads += 1
            self._show_progress(reading)

    def _show_progress(self, reading: Reading) -> None:
        seconds = time.monotonic() - self._begun
        is_terminal = sys.stderr.isatty()
        if not is_terminal and seconds < self._shown_seconds + _SHOWN_EVERY_SECONDS:
            return
        self._shown_seconds = seconds
        line = (
            f"{seconds:6.0f} s  {self.answers:>9,} answers"
            f"  {len(self.wrong)} wrong  {reading.resident_kib:>7,} KiB"
            f"  {reading.descriptors:>4} descriptors"
        )
        print(line, file=sys.stderr, end="\r" if is_terminal else "\n", flush=True)

    def rest(self) -> Reading:
        """Return what the server takes once it has let go of all that it is going to let go of.

        Workers of before a reload end. A coder stays: each server has one once it was under load.
        """
        servers = len(self._servers)
        each = 1 + self._arguments.workers + (self._is_loaded and has_coder())
        # A program may serve in one process whatever it is told.
        at_rest = {servers * each} if has_coder() else {servers, servers * each}
        clients = [Client(server.door, self._shelf, LARGE, 0) for server in self._servers]
        self.counts += [client.count for client in clients]
        for client in clients:
            # Every file is asked for, so that what is kept of it is there in every rest.
            client.ask_for_all()
        readings: list[Reading] = []
        end = time.monotonic() + _REST_SECONDS_MAX
        while time.monotonic() < end:
            if self._is_loaded and readings and readings[-1].processes < min(at_rest):
                # The load may have been too short for a coder to be asked for.
                for client in clients:
                    client.ask_for_codings()
            time.sleep(0.5)
            readings.append(self.read())
            last = [(one.descriptors, one.processes) for one in readings[-4:]]
            is_settled = len(last) == 4 and len(set(last)) == 1
            if is_settled and last[0][1] in at_rest:
                break
        resident = round(statistics.median(one.resident_kib for one in readings[-4:]))
        return readings[-1]._replace(resident_kib=resident)


def has_workers() -> bool:
    """Return whether this epollo can have workers, and so be reloaded."""
    manual = subprocess.run(
        [sys.executable, "-m", "epollo", "--help"],
        env=set_environment(), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return "--workers" in manual


def has_coder() -> bool:
    """Return whether this epollo makes codings in a process beside its servers."""
    return (SOURCE / "epollo" / "coder").is_dir()


@contextmanager
def serving(kinds: list[str], root: Path, scratch: Path, workers: int) -> Iterator[list[Server]]:
    """Serve a folder through each kind of door; say so where a server did not end as it should."""
    servers: list[Server] = []
    try:
        for kind in kinds:
            arguments = ["--workers", str(workers)] if workers else []
            servers.append(Server(kind, root, scratch, arguments))
        yield servers
    finally:
        for server in servers:
            status = server.stop()
            said = server.stderr_path.read_text()
            if status != 0 or "Traceback" in said or "fault in epollo" in said:
                raise SystemExit(
                    f"the server ({server.door.kind}) ended with status {status} and said:\n"
                    f"{said[-4000:]}"
                )


def find_growth(warm: Reading, end: Reading, servers: int) -> list[str]:
    """Return a line for whatever the servers have more of in the end than after the warm-up."""
    grown = []
    slack_kib = _RESIDENT_SLACK_KIB * servers
    if end.resident_kib > warm.resident_kib * _RESIDENT_GROWTH + slack_kib:
        grown.append(f"resident memory grew by {end.resident_kib - warm.resident_kib:,} KiB")
    if end.descriptors > warm.descriptors + _DESCRIPTORS_SLACK * servers:
        grown.append(f"{end.descriptors - warm.descriptors} more descriptors are open")
    if end.processes > warm.processes:
        grown.append(f"{end.processes - warm.processes} more processes run")
    return grown


def report(soak: Soak, readings: list[tuple[str, Reading, int]]) -> None:
    """Print the table, and what was counted."""
    print(f"\n{'':<14}" + "".join(f"{title:>16}" for title, _, _ in readings))
    rows = (
        ("resident, KiB", [reading.resident_kib for _, reading, _ in readings]),
        ("descriptors", [reading.descriptors for _, reading, _ in readings]),
        ("processes", [reading.processes for _, reading, _ in readings]),
        ("answers", [answers for _, _, answers in readings]),
    )
    for name, numbers in rows:
        print(f"{name:<14}" + "".join(f"{number:>16,}" for number in numbers))
    kinds: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    for count in (*soak.counts, *soak.synced_counts):
        kinds += count.answers
        statuses += count.statuses
    print(
        f"\nunder load at most {soak.peak.resident_kib:,} KiB, {soak.peak.descriptors} descriptors"
    )
    print("answers: " + ", ".join(f"{kind} {number:,}" for kind, number in sorted(kinds.items())))
    print(
        "status: "
        + ", ".join(f"{status} {number:,}" for status, number in sorted(statuses.items()))
    )
    print(
        f"asked again after the server closed between two answers: "
        f"{sum(count.asked_again for count in soak.counts):,}; "
        f"gone away in the middle: {sum(count.aborted for count in soak.counts):,}"
    )


def parse_arguments() -> argparse.Namespace:
    """Return what was typed."""
    parser = argparse.ArgumentParser(description="Soak epollo on loopback and check every answer.")
    parser.add_argument("--seconds", type=float, default=600, help="of load in all (default: 600)")
    parser.add_argument("--clients", type=int, default=6, help="at the same time (default: 6)")
    parser.add_argument(
        "--pause", type=float, default=2, help="ms between two deeds of a client (default: 2)"
    )
    parser.add_argument(
        "--changes", type=float, default=20, help="of files, per second (default: 20)"
    )
    parser.add_argument(
        "--workers", type=int, help="of epollo; 0: no reloads (default: 2 where it has workers)"
    )
    parser.add_argument(
        "--reload-every",
        type=float,
        default=6,
        help="seconds; where there are workers (default: 6)",
    )
    parser.add_argument(
        "--without",
        default="",
        metavar="LIST",
        help=f"customers to do without, with commas between: {', '.join(CUSTOMERS)}",
    )
    arguments = parser.parse_args()
    arguments.without = set(filter(None, arguments.without.split(",")))
    if unknown := arguments.without - set(CUSTOMERS):
        parser.error(f"--without knows {', '.join(CUSTOMERS)}, not {', '.join(sorted(unknown))}")
    if RSYNC not in arguments.without and shutil.which("rsync") is None:
        parser.error("rsync is not installed; --without rsync does without it")
    if arguments.seconds <= 0 or arguments.clients < 1 or arguments.changes <= 0:
        parser.error("--seconds, --clients and --changes must be more than 0")
    if arguments.workers is None:
        arguments.workers = 2 if has_workers() else 0
    return arguments


def main() -> int:
    """Run the command and return its exit status."""
    arguments = parse_arguments()
    warm_up_seconds = min(_WARM_UP_SECONDS_MAX, arguments.seconds / 3)
    kinds = [kind for kind in (TCP, UNIX, PROXY, TLS) if kind not in arguments.without]
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        scratch = Path(name)
        root = scratch / "shelf"
        root.mkdir()
        shelf = Shelf(root, LENGTHS)
        synced = None if RSYNC in arguments.without else SyncedFiles(root, scratch)
        with serving(kinds, root, scratch, arguments.workers) as servers:
            soak = Soak(servers, shelf, synced, arguments)
            readings = [("start", soak.rest(), soak.answers)]
            soak.load(warm_up_seconds)
            readings.append(("after warm-up", soak.rest(), soak.answers))
            soak.load(arguments.seconds - warm_up_seconds)
            readings.append(("end", soak.rest(), soak.answers))
    report(soak, readings)
    written = 0 if synced is None else synced.writes
    print(f"files replaced: {shelf.replacements:,}; written in place: {written:,}")
    print(f"reloads: {soak.reloads}")
    grown = find_growth(readings[1][1], readings[2][1], len(kinds))
    for line in grown:
        print(f"NOT FLAT: {line}")
    for wrong in soak.wrong[:_WRONG_SHOWN]:
        print(f"WRONG: {wrong}")
    print(f"\n{len(soak.wrong)} of {soak.answers:,} answers wrong")
    return 1 if grown or soak.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
