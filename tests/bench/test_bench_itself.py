import os
import socket
from contextlib import ExitStack
from pathlib import Path

from bench.comparisons import make_workload
from itself import (
    CONTESTANTS,
    RATIOS,
    Findings,
    Spread,
    count_lines,
    format_findings,
    format_nginx_log,
    held_sockets,
    parse_sockets,
    refuse_short_logs,
    spread_table,
)
from servers import Order, nginx_configuration
from workloads import WORKLOADS

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 501 1 0
   1: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 502 1 0
   2: 0100007F:1F40 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 601 1 0
   3: 0100007F:C350 0100007F:1F40 01 00000000:00000000 00:00000000 00000000     0        0 701 1 0
   4: 0100007F:1F40 0100007F:C351 06 00000000:00000000 00:00000000 00000000     0        0 0 1 0
"""


def test_the_table_tells_which_server_listens_and_which_peer_has_which_socket() -> None:
    sockets = parse_sockets(TABLE, 8000)
    assert sockets.listening == {501, 502}
    assert sockets.connected == {50000: 601}


def test_the_sockets_of_a_process_are_those_that_the_kernel_lists_for_it() -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listener.getsockname()[1]
        peer = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        stack.enter_context(listener.accept()[0])
        sockets = parse_sockets(Path("/proc/net/tcp").read_text(), port)
        assert list(sockets.connected) == [peer.getsockname()[1]]
        held = held_sockets(os.getpid())
        assert sockets.listening <= held
        assert set(sockets.connected.values()) <= held


def test_every_ratio_is_of_contestants() -> None:
    names = {server.name for server in CONTESTANTS}
    assert {name for ratio in RATIOS for name in (ratio.name, ratio.over)} <= names


def test_nginx_gets_its_log_where_it_had_none() -> None:
    order = Order(
        site=Path("/site"), scratch=Path("/scratch"), port=8000, workload=WORKLOADS[0],
        answer_octets=0, variant="open_file_cache",
    )  # fmt: skip
    text = format_nginx_log(nginx_configuration(order), Path("/l"), "buffer=64k flush=1s")
    assert "access_log /l combined buffer=64k flush=1s;" in text
    assert "access_log off" not in text


def test_a_log_that_lacks_lines_puts_its_server_out(tmp_path: Path) -> None:
    log = tmp_path / "combined.log"
    assert count_lines(log) == 0
    log.write_bytes(b"line\n" * 10 + b"cut")
    assert count_lines(log) == 10
    workload = make_workload(combined=(5.0,), json=(1e5,))
    refuse_short_logs(workload, {"combined": 10, "json": 10})
    assert workload["servers"]["combined"]["wrong"] == "10 lines in its log for 200,000 answers"
    assert workload["servers"]["json"]["wrong"] == ""


def test_the_spread_names_the_share_of_the_busiest_worker() -> None:
    table = spread_table(Spread(connections=200, bursts=[[150, 50], [100, 100]]))
    assert "| 1 | 150, 50 | 75% |" in table
    assert "| 2 | 100, 100 | 50% |" in table


def test_the_report_has_ratios_logs_and_spread() -> None:
    text = format_findings(
        Findings(
            format=1,
            date="2026-01-02 03:04 UTC",
            command=["python", "bench/itself.py"],
            machine=dict.fromkeys(("processor", "processors", "kernel", "python"), "x")
            | {"load_before": "0.00"},
            versions={"epollo": "epollo 0.1.0"},
            settings={"rounds": "1", "seconds": "1", "load": "wrk."},
            workload=make_workload(process=(5.0,), combined=(5.5,)),
            log_lines={"combined": 200_000},
            spread=Spread(connections=200, bursts=[[99, 101]]),
        )
    )
    assert "| epollo, combined log / epollo, one process | 1.1 | at most 1.15 x | yes |" in text
    assert "combined 200,000 lines" in text
    assert "| 1 | 99, 101 |" in text
