"""The report and the picture of the wide benchmark, and that one entrant's fault is its own."""

import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from changes import change
from wide import Contest
from wide_chart import LABEL_GAP, draw_wide, round_up, spread_labels
from wide_report import format_wide
from wide_results import Bar, EntrantResult, Measured, RowResult, Wide, start_result
from wide_rows import ROWS
from wide_special import SPECIAL_ROWS, SpecialEntrant
from wire import WrongAnswerError

WIDE = Path(__file__).resolve().parents[2] / "bench" / "wide.py"


def _measured(cost: float) -> Measured:
    return {"cpu": cost, "p50": 1.0, "p99": 2.0, "per_second": 3.0, "memory": 4.0, "lost": 0.0}


def _load(files: int, **costs: float) -> RowResult:
    entrants: dict[str, EntrantResult] = {}
    for name, cost in costs.items():
        entrants[name] = start_result(name)
        entrants[name]["rounds"] = [_measured(cost)]
    bar = Bar(figure="cpu", ours="epollo", theirs="nginx", bound=1.0)
    return RowResult(
        title=f"{files} <files>",
        figure="cpu",
        unit="",
        files=files,
        rate=100,
        bars=[bar],
        entrants=entrants,
    )


def _wide(**rows: RowResult) -> Wide:
    return Wide(
        format=1,
        date="2026-01-02 03:04 UTC",
        command=["python", "bench/wide.py"],
        machine=dict.fromkeys(
            ("processor", "processors", "kernel", "python", "load_before"), "<x> & y"
        ),
        versions={"nginx": "1.22"},
        settings={"rounds": "1", "seconds": "1"},
        rows={name.replace("_", "-"): row for name, row in rows.items()},
    )


def test_the_report_has_every_row_with_its_ratio_and_its_bar() -> None:
    wrong = _load(7, epollo=9.0, nginx=10.0)
    wrong["entrants"]["nginx"]["wrong"] = "status 404, not 200"
    start = RowResult(
        title="start", figure="cpu", unit="ms", files=0, rate=0,
        bars=[Bar(figure="cpu", ours="epollo", theirs="", bound=80.0)],
        entrants={"epollo": start_result("epollo")},
    )  # fmt: skip
    start["entrants"]["epollo"]["rounds"] = [{"cpu": 90.0}]
    text = format_wide(_wide(docs=_load(5, epollo=9.0, nginx=10.0), x=wrong, start=start), "p.svg")
    assert "| 5 <files> | 9 | 10 | 0.9 | 1 | yes |" in text
    assert "| 7 <files> | 9 | wrong |  | 1 | not measured |" in text
    assert "not counted" in text
    assert "| behind the 100 that were due |" in text
    assert "| start: epollo | 90 ms |  |  |" in text
    assert "| start: epollo | 90 | 80 | no |" in text
    assert "](p.svg)" in text


def test_the_picture_has_a_line_for_each_server_and_is_well_formed() -> None:
    wide = _wide(
        uniform_1000=_load(1_000, epollo=8.0, nginx=9.0),
        uniform_10000=_load(10_000, epollo=40.0, nginx=11.0),
    )
    picture = draw_wide(wide)
    root = ET.fromstring(picture)  # of our own making
    lines = [one for one in root.iter() if "line" in one.get("class", "").split()]
    assert len(lines) == 2
    assert "epollo, 10,000 URLs: 40" in picture
    texts = [one.text for one in root.iter() if one.tag.endswith("text")]
    assert {"1,000", "10,000", "epollo 40", "nginx 11"} <= set(texts)


def test_without_uniform_rows_there_is_no_picture() -> None:
    assert draw_wide(_wide(docs=_load(5, epollo=9.0))) == ""


def test_names_at_the_ends_of_lines_do_not_overlap() -> None:
    assert spread_labels([50.0, 10.0, 12.0]) == [50.0, 10.0, 10.0 + LABEL_GAP]


@pytest.mark.parametrize(("value", "step"), [(1.0, 1.0), (1.1, 2.0), (7.0, 10.0), (30.0, 50.0)])
def test_the_scale_has_round_steps(value: float, step: float) -> None:
    assert round_up(value) == step


class _Fails:
    def __init__(self) -> None:
        self.result = start_result("fails")

    def measure(self, number: int) -> Measured:
        if number == 1:
            raise WrongAnswerError("status 500, not 200")
        return _measured(1.0)

    def finish(self) -> None:
        raise AssertionError("an entrant that is out is asked once more")


class _Works(_Fails):
    def measure(self, number: int) -> Measured:
        return _measured(float(number))

    def finish(self) -> None:
        pass


def test_an_entrant_that_answers_wrongly_is_out_and_only_it() -> None:
    contest = Contest(ROWS[0])
    contest.start("fails", "fails", _Fails)
    contest.start("works", "works", _Works)

    def refuse() -> SpecialEntrant:
        raise OSError("it does not start")

    contest.start("never", "never", refuse)
    for number in range(3):
        contest.measure(number)
    contest.finish()
    entrants = contest.result()["entrants"]
    assert entrants["fails"]["wrong"] == "status 500, not 200"
    assert entrants["never"]["wrong"] == "it does not start"
    assert [one["cpu"] for one in entrants["works"]["rounds"]] == [0.0, 1.0, 2.0]
    assert contest.describe_last() == "works 2"


def test_every_bar_is_of_entrants_that_its_row_has() -> None:
    for row in SPECIAL_ROWS:
        names = {special.name for special in row.entrants}
        assert {bar["ours"] for bar in row.bars} <= names
        assert {bar["theirs"] for bar in row.bars} <= names | {""}
    for load in ROWS:
        assert {"epollo", "nginx"} <= set(load.servers)


@pytest.mark.parametrize("way", ["rewrite", "replace"])
def test_a_file_is_changed_as_often_as_was_asked_for(tmp_path: Path, way: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 4096)
    before = path.stat().st_ino
    assert change(way, path, 1_000, 0.05) == 50
    content = path.read_bytes()
    assert (int.from_bytes(content[:8], "little"), len(content)) == (49, 4096)
    assert (path.stat().st_ino == before) == (way == "rewrite")


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_a_row_is_measured_from_the_command_to_the_report(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, str(WIDE), "--rows", "uniform-100", "--servers", "epollo", "--rounds", "1",
         "--seconds", "0.2", "--no-pin", "--out", str(tmp_path)],
        check=True, timeout=120, capture_output=True,
    )  # fmt: skip
    wide = json.loads((tmp_path / "wide.json").read_text())
    (measured,) = wide["rows"]["uniform-100"]["entrants"]["epollo"]["rounds"]
    assert measured["lost"] == 0
    assert 1 < measured["cpu"] < 10_000
    assert measured["per_second"] > 10
    assert "100 files of 4 KiB" in (tmp_path / "wide.md").read_text()
    assert ET.parse(tmp_path / "wide.svg").getroot().tag.endswith("svg")
    assert str(tmp_path) not in json.dumps(wide["rows"])
