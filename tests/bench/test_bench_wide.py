"""The wide benchmark, as far as it needs no load: sites, traces, ratios and bars."""

import os
import resource
import select
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from sites import PAGES, TINY_OCTETS, Sites, crawled_target, tiny_target
from traces import (
    Known,
    arena_targets,
    compose_arena,
    compose_cold,
    compose_docs,
    compose_missing,
    compose_ranges,
    compose_tiny,
    compose_zipf,
    docs_targets,
)
from wide_contest import Loaded, await_rest
from wide_load import nginx_variants
from wide_results import (
    Bar,
    EntrantResult,
    Measured,
    RowResult,
    figure_of,
    judge,
    measure_bar,
    start_result,
)
from wide_rows import ROWS
from wire import WrongAnswerError


def _target(octets: bytes) -> str:
    return octets.split()[1].decode()


def test_each_file_that_a_trace_wants_stands_with_the_length_that_it_expects(
    tmp_path: Path,
) -> None:
    sites = Sites(tmp_path, 150)
    tiny = sites.find("tiny")
    for asked in compose_tiny(150).asked:
        assert (tiny / _target(asked.octets)[1:]).stat().st_size == asked.content_octets
    assert (sites.find("crawled") / crawled_target(149)[1:]).stat().st_size == TINY_OCTETS
    assert not (tiny / tiny_target(150)[1:]).exists()
    for asked in compose_missing(150).asked:
        path = tiny / _target(asked.octets)[1:]
        assert path.parent.is_dir()
        assert not path.exists()
    arena = sites.find("arena")
    assert len(arena_targets()) == 20
    assert all((arena / target[1:]).is_file() for target in arena_targets())


def test_the_documentation_has_what_its_readers_want(tmp_path: Path) -> None:
    sites = Sites(tmp_path, 0)
    plain, coded = sites.find("docs"), sites.find("docs-coded")
    learned = {
        target: Known(200, (plain / target[1:]).stat().st_size, '"tag"')
        for target in docs_targets()
    }
    assert not list(plain.rglob("*.gz"))
    assert len(list(coded.rglob("*.html.gz"))) == PAGES
    asked = compose_docs(learned, visits=600).asked
    statuses = [one.status for one in asked]
    share = {status: statuses.count(status) / len(asked) for status in set(statuses)}
    assert 0.5 < share[304] < 0.7
    assert 0.03 < share[404] < 0.07
    assert 0.01 < share[206] < 0.03
    for one in asked:
        path = plain / _target(one.octets)[1:]
        assert path.is_file() == (one.status != 404)
        assert (b"If-None-Match" in one.octets) == (one.status == 304)
    heads = {one.octets.split(b"Cookie")[0] for one in asked}
    assert len(heads) > 0.95 * len(asked)


def test_what_is_learned_is_what_is_expected() -> None:
    learned = {target: Known(200, 7 + n, "") for n, target in enumerate(arena_targets())}
    assert [one.content_octets for one in compose_arena(learned).asked] == [
        7 + n for n in range(20)
    ]


def test_zipf_asks_for_few_files_often_and_for_most_of_them_rarely() -> None:
    flat, steep = (
        Counter(compose_zipf(10_000, exponent).order).most_common() for exponent in (0.9, 1.1)
    )
    assert flat[0][1] < steep[0][1]
    assert len(steep) < len(flat) <= 10_000


def test_no_range_and_no_cold_file_is_asked_for_twice() -> None:
    for trace in (compose_ranges(2_000), compose_cold(2_000)):
        assert len({one.octets for one in trace.asked}) == len(set(trace.order)) == 2_000


def test_a_site_is_written_once_and_a_copy_is_another(tmp_path: Path) -> None:
    sites = Sites(tmp_path, 1)
    assert sites.find("tiny") == sites.find("tiny")
    assert sites.find("tiny", "a") != sites.find("tiny")


def test_every_row_names_a_site_and_nginx_is_tried_in_every_way() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    docs = next(row for row in ROWS if row.name == "docs")
    variants = nginx_variants(docs, is_quick=False)
    assert len(variants) == 6
    assert all("gzip_static" in variant for variant in variants)
    assert len(nginx_variants(docs, is_quick=True)) == 1
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    cached = [int(v.partition("open_file_cache=")[2].split()[0]) for v in variants if "cache" in v]
    assert all(number <= max(1_000, hard) for number in cached)


BAR = Bar(figure="cpu", ours="epollo", theirs="nginx", bound=1.0)


def _row(ours: list[float], theirs: list[float], wrong: str = "") -> RowResult:
    def entrant(costs: list[float], wrong: str) -> EntrantResult:
        result = start_result("x")
        return result | {"wrong": wrong, "rounds": [{"cpu": cost} for cost in costs]}

    entrants = {"epollo": entrant(ours, ""), "nginx": entrant(theirs, wrong)}
    return RowResult(
        title="x", figure="cpu", unit="", files=0, rate=0, bars=[BAR], entrants=entrants
    )


@pytest.mark.parametrize(
    ("ours", "said"),
    [
        ([9.0, 9.5, 9.9], "yes"),
        ([9.0, 9.5, 12.0], "yes, narrowly"),
        ([11.0, 12.0, 13.0], "no"),
        ([9.0, 12.0, 13.0], "no, narrowly"),
    ],
)
def test_the_median_of_the_ratios_decides(ours: list[float], said: str) -> None:
    assert judge(_row(ours, [10.0] * len(ours)), BAR) == said


def test_a_ratio_is_taken_within_a_round() -> None:
    ratio = measure_bar(_row([10.0, 40.0, 10.0], [10.0, 40.0, 5.0]), BAR)
    assert ratio is not None
    assert (ratio.median, ratio.most) == (1.0, 2.0)


def test_a_bar_without_another_bounds_the_figure_itself() -> None:
    row = _row([9.0, 10.0, 11.0], [])
    assert judge(row, Bar(figure="cpu", ours="epollo", theirs="", bound=10.0)) == "yes, narrowly"


def test_an_entrant_that_answers_wrongly_is_no_measure() -> None:
    row = _row([9.0], [10.0], wrong="status 404, not 200")
    assert judge(row, BAR) == "not measured"
    assert figure_of(row, "nginx") is None
    assert figure_of(row, "epollo") is not None


@pytest.mark.parametrize(("is_another", "name"), [(True, "docs"), (False, "docs"), (True, "paced")])
def test_a_round_is_repeated_if_what_was_learned_is_no_longer_so(
    monkeypatch: pytest.MonkeyPatch, is_another: bool, name: str
) -> None:
    rounds: list[WrongAnswerError | Measured] = [WrongAnswerError("another length"), {"cpu": 1.0}]

    def measure(_loaded: Loaded, _number: int, _seconds: float) -> Measured:
        found = rounds.pop(0)
        if isinstance(found, WrongAnswerError):
            raise found
        return found

    monkeypatch.setattr(Loaded, "_measure", measure)
    monkeypatch.setattr(Loaded, "_learn", lambda _loaded: is_another)
    loaded = Loaded.__new__(Loaded)
    loaded.row = next(row for row in ROWS if row.name == name)
    if is_another and loaded.row.learned:
        assert loaded.measure(0, 1.0) == {"cpu": 1.0}
    else:
        with pytest.raises(WrongAnswerError):
            loaded.measure(0, 1.0)


def test_a_server_that_still_works_in_the_background_is_waited_for() -> None:
    work = "import sys, time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\nsys.stdin.read()"
    command = [sys.executable, "-c", work]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        await_rest(process.pid)
        # Otherwise there is nothing to be read yet.
        assert select.select([process.stdout], [], [], 0)[0]
        process.kill()


@pytest.mark.parametrize("uses", ["runs", "waits"])
def test_a_server_that_does_not_rest_is_told_of(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], uses: str
) -> None:
    used = iter(range(1000))
    monkeypatch.setattr("wide_contest.CODINGS_SECONDS", 0.1)
    monkeypatch.setattr("wide_contest.REST_SECONDS", 0.05)
    monkeypatch.setattr("wide_contest.wants_processor", lambda _: uses == "waits")
    monkeypatch.setattr(
        "wide_contest.cpu_seconds", lambda _: float(next(used)) if uses == "runs" else 0.0
    )
    await_rest(os.getpid())
    assert "still works" in "".join(capfd.readouterr())
