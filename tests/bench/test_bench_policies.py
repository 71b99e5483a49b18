"""The measure of rules, CORS, listings and passwords: they are in place, and a bar is held."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.comparisons import make_workload
from policies import (
    ROWS,
    RULES,
    WITH,
    WITHOUT,
    Findings,
    Row,
    choose_contestants,
    format_findings,
    format_rules,
)
from servers import HOST, Order, choose_port, running
from wire import Answer, Fields, ask, format_request
from workloads import compose_site, write_site


def test_there_are_as_many_rules_as_the_title_says() -> None:
    files = format_rules()
    blocks = sum(line.startswith("/") for line in files["_headers"].splitlines())
    assert blocks + len(files["_redirects"].splitlines()) == RULES


def ask_contestants(row: Row, scratch: Path, targets: dict[str, Fields]) -> list[list[Answer]]:
    """Return the answers of both servers of a row, the one with all of it first."""
    site = scratch / "site"
    write_site(compose_site(), site)
    answers = []
    with ExitStack() as stack:
        for server, workload in choose_contestants(row):
            order = Order(
                site=site, scratch=scratch, port=choose_port(), workload=workload, answer_octets=0
            )
            stack.enter_context(running(server.plan(order), order, None))
            asked = {workload.target: workload.fields, **targets}
            answers.append([
                ask(
                    (HOST, order.port),
                    format_request(target, (("Host", f"{HOST}:{order.port}"), *fields)),
                )[0]
                for target, fields in asked.items()
            ])  # fmt: skip
    return answers


def test_the_rules_cors_and_the_listing_are_in_place(tmp_path: Path) -> None:
    ruled, bare = ask_contestants(ROWS["1k"], tmp_path, {"/old499/a": (), "/": ()})
    assert [answer.status for answer in ruled] == [200, 301, 200]
    assert ruled[0].fields["x-frame-options"] == "DENY"
    assert ruled[0].fields["access-control-allow-origin"] == "*"
    assert ruled[1].fields["location"] == "/new499/a"
    assert [answer.status for answer in bare] == [200, 404, 200]
    assert not {"x-frame-options", "access-control-allow-origin"} & bare[0].fields.keys()
    assert ruled[0].content == bare[0].content


def test_the_password_is_asked_for_and_sent(tmp_path: Path) -> None:
    protected, bare = ask_contestants(ROWS["password-1k"], tmp_path, {"/100k.jpg": ()})
    assert [answer.status for answer in protected] == [200, 401]
    assert [answer.status for answer in bare] == [200, 200]


@pytest.mark.parametrize(
    ("name", "costs", "verdict"),
    [
        ("1k", (10.4, 10.4), "| 1.05 | yes |"),
        ("1k", (11, 11), "| 1.05 | no |"),
        ("1k", (10.2, 10.2, 11), "| 1.05 | yes, narrowly |"),
        ("password-1k", (11, 11), "| 1.2 | yes |"),
    ],
)
def test_a_row_is_held_to_its_bar(name: str, costs: tuple[float, ...], verdict: str) -> None:
    workload = make_workload(**{WITH: costs, WITHOUT: (10.0,) * len(costs)})
    machine = dict.fromkeys(
        ("processor", "processors", "kernel", "python", "load_before"), "a machine"
    )
    findings = Findings(
        format=1, date="today", command=["python"], machine=machine,
        settings={"rounds": "2", "seconds": "1"}, rows=[name], workloads=[workload],
    )  # fmt: skip
    assert verdict in format_findings(findings)
    workload["servers"][WITH]["wrong"] = "it answers 500"
    assert "not counted: it answers 500" in format_findings(findings)
