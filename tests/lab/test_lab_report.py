"""Results in, text and drawings out."""

import json
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from epollo.lab.charts import Bar, Caption, draw_bars, format_number, make_standalone
from epollo.lab.page import format_page
from epollo.lab.pictures import draw_all, find_shared_idle, sort_calls
from epollo.lab.reading import parse_json
from epollo.lab.results import FD_SETSIZE_WALL, Wall, format_json, summarize
from epollo.lab.table import describe_conditions, format_table, list_rows, list_verdicts
from epollo.lab.words import LANGUAGES, WORDS
from lab.made_up import IDLE, LINEAR, make_results, make_tally

SVG = "{http://www.w3.org/2000/svg}"
WALL = Wall("select", 1000, 987, FD_SETSIZE_WALL)


def test_json_is_read_as_it_was_written() -> None:
    results = make_results(walls=(WALL,))
    assert parse_json(format_json(results)) == results


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"cells": [{}], "walls": []}', "1", "[" * 100_000, "{" + '"a":{' * 50_000],
)
def test_what_no_lab_wrote_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not the results of a lab"):
        parse_json(text)


ROUND = ("cells", 0, "rounds", 0)
TALLY = ("cells", 0, "tally")
GONE = object()


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("form",), 3, "form 3 is of a newer epollo"),
        (("form",), "2", "form"),
        (("version",), GONE, "version is missing"),
        (("machine",), [], "machine"),
        (("machine", "kernel"), 6, "machine: kernel is 6, not a text"),
        (("pollers",), [], "pollers"),
        (("pollers", 0), "kqueue", "kqueue"),
        (("pollers", 0), "epoll", "twice"),
        (("idle",), "0,10", "not a list"),
        (("idle", 0), -1, "idle is -1"),
        (("idle", 0), True, "idle is true"),
        (("seconds",), 0, "seconds is 0"),
        (("rounds",), 0, "rounds is 0"),
        (("asking",), 1.5, "asking is 1.5"),
        (("cells",), {}, "cells"),
        (("cells",), [], "no round"),
        (("cells", 0), None, "cell 1 is null"),
        (("cells", 1), GONE, None),
        (("cells", 0, "poller"), "epollo", "cell 1"),
        (("cells", 0, "idle"), 7, "cell 1"),
        (("cells", 1, "idle"), 0, "cell 2: busy with 0 idle is there twice"),
        (("cells", 0, "rounds"), None, "rounds is null"),
        ((*ROUND,), 5, "cell 1, round 1 is 5"),
        ((*ROUND, "cpu_per_request"), 0, "cpu_per_request is 0, not a number above 0"),
        ((*ROUND, "cpu_per_request"), float("nan"), "NaN"),
        ((*ROUND, "p50"), -1, "p50 is -1"),
        ((*ROUND, "p99"), float("inf"), "Infinity"),
        ((*ROUND, "worst"), 10**400, "worst is 1000"),
        ((*ROUND, "p99"), 1e-300, "p99"),
        ((*ROUND, "requests_per_second"), "many", '"many"'),
        ((*ROUND, "waiting_share"), None, "waiting_share is null"),
        ((*ROUND, "octets_per_connection"), float("nan"), "octets_per_connection"),
        ((*ROUND, "p50"), GONE, "p50 is missing"),
        ((*TALLY,), GONE, "tally is missing"),
        ((*TALLY, "per_request", "turns"), GONE, "turns is missing"),
        ((*TALLY, "per_request", "read"), -1, "read is -1"),
        ((*TALLY, "waiting_per_second"), 1, "waiting_per_second"),
        (("walls", 0, "trouble"), None, "trouble is null"),
        (("walls", 0, "reached"), "987", "reached"),
        (("walls", 0, "poller"), "kqueue", "wall 1"),
    ],
)
def test_damaged_figures_are_named_in_one_line(
    place: tuple[str | int, ...], value: Any, said: str | None
) -> None:
    told = json.loads(format_json(make_results(walls=(WALL,))))
    holder = told
    for name in place[:-1]:
        holder = holder[name]
    if value is GONE:
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
    text = json.dumps(told)
    if said is None:
        # A cell that is not there was not measured.
        assert format_page(parse_json(text))
        return
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        parse_json(text)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 200


def test_the_first_form_is_read_as_what_it_meant() -> None:
    """It had English in it, and the look for changed files among the tries that found nothing."""
    told = json.loads(format_json(make_results(walls=(WALL,))))
    del told["form"]
    told["machine"] = {"processor": "one, of many, 4 in use", "kernel": "k", "python": "p"}
    told["walls"][0]["trouble"] = "FD_SETSIZE is 1024: no descriptor from there on can be named"
    told["cells"][0]["tally"]["per_request"] |= {"in_vain": 7.5, "read": 2.5}
    results = parse_json(json.dumps(told))
    assert results.machine["processor"] == "one, of many"
    assert results.machine["processors"] == "4"
    assert results.walls == [WALL]
    tally = results.cells[0].tally
    assert tally is not None
    assert tally.per_request["in_vain"] == 5
    assert parse_json(format_json(results)) == results


def test_json_can_be_read_by_others() -> None:
    told = json.loads(format_json(make_results()))
    assert told["machine"]["kernel"] == "Linux 6"
    assert len(told["cells"]) == len(LINEAR) * len(IDLE)
    assert len(told["cells"][0]["rounds"]) == 3


def test_a_figure_is_a_median_with_its_spread() -> None:
    figure = summarize([3.0, 1.0, 100.0])
    assert (figure.median, figure.least, figure.most) == (3.0, 1.0, 100.0)


def test_the_verdict_comes_from_the_figures() -> None:
    said = dict(list_verdicts(make_results(), "en"))
    assert said["epoll"].startswith("constant: 1.01 x from 0 to 10,000")
    assert said["busy"].startswith("linear: each idle connection adds 0.8 µs")
    swapped = make_results({"epoll": LINEAR["busy"], "busy": LINEAR["epoll"]})
    said = dict(list_verdicts(swapped, "en"))
    assert said["epoll"].startswith("linear")
    assert said["busy"].startswith("constant")


def test_a_verdict_of_constant_names_the_figure_and_what_it_hides_behind() -> None:
    """made_up's rounds differ by a tenth; the ratio is shown as it came out."""
    said = dict(list_verdicts(make_results({"epoll": lambda idle: 10 + 0.00012 * idle}), "en"))
    assert said["epoll"] == (
        "constant, as far as the figures tell: 1.12 x from 0 to 10,000 idle connections is within "
        "their scatter"
    )
    said = dict(list_verdicts(make_results({"epoll": lambda idle: 10 + 0.0005 * idle}), "en"))
    assert said["epoll"].startswith("linear")
    assert "1.5 x" in said["epoll"]


def test_a_wall_is_told_and_what_lies_behind_it_is_not_compared() -> None:
    results = make_results(walls=(WALL,))
    assert "no more than 987 of 1,000 idle connections: FD_SETSIZE" in format_table(results, 200)
    assert find_shared_idle(results) == 100
    assert not any(row[0] == "1,000" and row[1] == "select" for row in list_rows(results)[1])


def test_chinese_is_chinese() -> None:
    """What was measured comes in codes and numbers; the words are those of the language."""
    page = format_page(make_results(walls=(WALL,)))
    chinese = re.sub(r"<[^>]*>", "\n", page.partition('data-in="zh" lang="zh">\n<h1>')[2])
    for english in (" in use", " to ", "cannot", "octets", "guests"):
        assert english in page.partition("<h1>")[2] or english == " to "
        assert english not in chinese.partition("\nconst root")[0], english


@pytest.mark.parametrize("width", [40, 60, 80, 100, 118, 200])
def test_the_table_has_a_row_for_each_cell_and_fits_the_terminal(width: int) -> None:
    lines = format_table(make_results(walls=(WALL,)), width).splitlines()
    assert max(map(len, lines)) <= width
    heads, rule, *rows = lines[: 2 + len(LINEAR) * len(IDLE) - 1 + len(IDLE) - 1]
    assert all(len(row) <= len(rule) for row in rows)
    assert sum(bool(row) for row in rows) == len(LINEAR) * len(IDLE) - 1 - 1
    assert heads.split()[:2] == ["idle", "poller"]
    assert ("spread" in heads) == (width >= 118)
    assert "octets" not in heads, "none was measured"


def test_one_round_is_told_as_one() -> None:
    results = make_results(factors=(1.0,))
    assert "one round of 1 s" in describe_conditions(results, "en")
    assert "spread" not in list_rows(results)[0]
    assert "spread" not in format_page(results).partition("<h1>")[2]
    assert "spread" in format_page(make_results()).partition("<h1>")[2]


def test_what_shared_a_processor_is_not_said_to_have_had_two() -> None:
    results = make_results()
    assert "its guests another" in describe_conditions(results, "en")
    results.machine["processors"] = "1"
    assert "shared one processor" in describe_conditions(results, "en")


def test_calls_are_sorted_by_purpose_and_none_is_lost() -> None:
    tally = make_tally(recvfrom=51, in_vain=50, sendto=1, poll=0.5, stat=0.25, read=1, turns=9)
    sorted_calls = sort_calls(tally)
    assert sorted_calls == {
        "wait": 0.5,
        "receive": 1,
        "in_vain": 50,
        "send": 1,
        "changes": 1,
        "other": 0.25,
    }
    assert sum(sorted_calls.values()) == tally.calls_per_request


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.004, "0.004"), (0.5, "0.5"), (3.14159, "3.14"), (10, "10"), (12345.6, "12,346")],
)
def test_numbers_have_three_digits_that_count(number: float, text: str) -> None:
    assert format_number(number) == text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_drawing_is_well_formed_and_says_what_it_is(language: str) -> None:
    drawings = draw_all(make_results(walls=(WALL,)), language)
    assert set(drawings) >= {"cost", "latency", "waiting", "calls", "copied-busy", "copied-epoll"}
    numbers = set()
    for name, svg in drawings.items():
        for text in (svg, make_standalone(svg)):
            root = ElementTree.fromstring(text)
            assert root.get("role") == "img"
            title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
            assert title is not None
            assert title.text, name
            assert description is not None
            assert description.text, name
            assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
            numbers.add(title.get("id"))
        assert "nan" not in svg
        assert "inf" not in svg.lower().replace("info", "")
    assert len(numbers) == len(drawings)


def test_a_chart_has_one_line_a_poller_and_one_point_a_number() -> None:
    root = ElementTree.fromstring(draw_all(make_results(), "en")["cost"])
    lines = [path for path in root.iter(f"{SVG}path") if path.get("class") == "line"]
    assert len(lines) == len(LINEAR)
    assert all((path.get("d") or "").count("L") == len(IDLE) - 1 for path in lines)


def test_a_longer_bar_is_a_greater_number() -> None:
    bars = [Bar("busy", "a", 1000, "1,000"), Bar("epoll", "b", 0, "0"), Bar("epoll", "c", 10, "10")]
    for is_logarithmic in (False, True):
        root = ElementTree.fromstring(
            draw_bars(Caption("n", "t", "d"), bars, is_logarithmic=is_logarithmic)
        )
        widths = [float(bar.get("width") or 0) for bar in root.iter(f"{SVG}rect")]
        assert widths[0] > widths[2] > widths[1]


def test_words_are_there_in_every_language() -> None:
    for key, texts in WORDS.items():
        assert len(texts) == len(LANGUAGES), key
        assert all(texts), key


_ASCII_BESIDE_CHINESE = re.compile(r"[\u3400-\u9fff][,:;?!()]|[,:;?!()][\u3400-\u9fff]")


def test_chinese_has_full_width_punctuation() -> None:
    assert _ASCII_BESIDE_CHINESE.search("饿了吗?")
    for key, texts in WORDS.items():
        # What is filled in may be Chinese as well.
        text = re.sub(r"\{[^{}]*\}", "字", texts[LANGUAGES.index("zh")])
        assert not _ASCII_BESIDE_CHINESE.search(text), key
    for text in (
        *draw_all(make_results(walls=(WALL,)), "zh").values(),
        format_page(make_results()),
    ):
        assert not _ASCII_BESIDE_CHINESE.search(re.sub(r"<[^>]*>", "\n", text))


class _Fetched(HTMLParser):
    """What a page would fetch, and the ids in it."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, _tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in {"src", "href"} and value and not value.startswith(("data:", "#")):
                self.fetched.append(value)
            if name == "id" and value:
                self.ids.append(value)


def test_the_page_fetches_nothing_and_shows_the_machine_as_text() -> None:
    page = format_page(make_results(walls=(WALL,)))
    parser = _Fetched()
    parser.feed(page)
    assert parser.fetched == []
    assert len(parser.ids) == len(set(parser.ids))
    assert page.count("<svg ") == 16
    assert "a &lt;fast&gt; one" in page
    assert "a <fast> one" not in page
    assert "$" not in page
