"""The rulebook: an edit of a rule file is in the next answer, and a mistake takes nothing down."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.site.resolve import Names
from epollo.site.resource import Resource
from site_grounds import Ground, is_true, replace


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    (tmp_path / "index.html").write_text("index")
    (tmp_path / "page.html").write_text("page")
    with Ground(tmp_path) as ground:
        yield ground


def write(ground: Ground, name: str, text: str) -> None:
    (ground.root / name).write_text(text)


def field(ground: Ground, target: str, name: str) -> str | None:
    return ground.ask(target).fields.get(name)


def test_an_edit_is_in_the_next_answer(ground: Ground) -> None:
    for value in ("DENY", "SAMEORIGIN"):
        write(ground, "_headers", f"/page.html\n  X-Frame-Options: {value}\n")
        assert field(ground, "/page.html", "x-frame-options") == value
        assert field(ground, "/", "x-frame-options") is None
    (ground.root / "_headers").unlink()
    assert field(ground, "/page.html", "x-frame-options") is None


def test_without_events_an_edit_is_seen_in_the_next_second(ground: Ground) -> None:
    ground.ask("/page.html")
    write(ground, "_redirects", "/old /page.html")
    assert ground.ask("/old", drain=False).status == 404
    ground.clock.turn()
    assert ground.ask("/old", drain=False).status == 301


def test_an_edit_ends_all_answers(ground: Ground) -> None:
    write(ground, "_redirects", "/old /page.html")
    answers = [ground.ask("/"), ground.ask("/old"), ground.ask("/nothing")]
    ground.clock.turn()
    assert all(is_true(answer.basis, ground) for answer in answers)
    write(ground, "_redirects", "/old /other.html")
    assert ground.catalogue.watch is not None
    ground.catalogue.watch.on_ready(1)
    assert not is_true(answers[1].basis, ground)
    assert ground.ask("/old").fields["location"] == "/other.html"


def test_another_root_has_other_rules(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "_redirects").write_text(f"/where /{name}")
    link = tmp_path / "root"
    link.symlink_to("one")
    with Ground(link) as ground:
        assert ground.ask("/where").fields["location"] == "/one"
        new = tmp_path / "new"
        new.symlink_to("two")
        new.replace(link)
        assert ground.ask("/where").fields["location"] == "/two"


@pytest.mark.parametrize("name", ["_headers", "_redirects"])
def test_a_rule_file_is_never_served(ground: Ground, name: str) -> None:
    write(
        ground, name, "/unrelated\n  X-A: b\n" if name == "_headers" else "/get /%5fheaders 200!\n"
    )
    (ground.root / "link").symlink_to(name)
    (ground.root / "folder").mkdir()
    (ground.root / "folder" / name).write_text("elsewhere")
    targets = (f"/{name}", f"/{name}/", f"/%5f{name[1:]}", f"//{name}", "/link", "/get")
    for target in targets:
        assert ground.status(target) == 404, target
    assert ground.get(f"/folder/{name}") == b"elsewhere"


def test_a_mistake_keeps_the_last_good_rules(ground: Ground) -> None:
    write(ground, "_headers", "/*\n  X-A: 1\n")
    assert field(ground, "/", "x-a") == "1"
    replace(ground.root / "_headers", b"/*\n  X-A: 2\n  nonsense\n")
    assert field(ground, "/", "x-a") == "1"
    assert any(f"{ground.root}/_headers:3: " in line for line in ground.reports)
    assert any("former rules stay" in line for line in ground.reports)
    replace(ground.root / "_headers", b"/*\n  X-A: 3\n")
    assert field(ground, "/", "x-a") == "3"


def test_at_the_start_the_lines_that_can_be_read_count(tmp_path: Path) -> None:
    (tmp_path / "_redirects").write_text("nonsense\n/old /new\n")
    with Ground(tmp_path) as ground:
        assert ground.status("/old") == 301
        assert ground.reports == [
            f"{tmp_path}/_redirects:1: a path begins with a slash; this line is left out"
        ]


def test_what_cannot_be_done_is_left_out_alone(ground: Ground) -> None:
    write(ground, "_redirects", "/old /new\n")
    assert ground.status("/old") == 301
    write(ground, "_redirects", "/api/* https://elsewhere.example/:splat 200\n/newer /new\n")
    assert (ground.status("/old"), ground.status("/newer")) == (404, 301)
    assert len(ground.reports) == 1
    assert ground.reports[0].startswith(f"{ground.root}/_redirects:1: ")


def test_a_file_that_cannot_be_had_keeps_the_rules(ground: Ground) -> None:
    write(ground, "_redirects", "/old /new\n")
    assert ground.status("/old") == 301
    with (ground.root / "_redirects").open("r+b") as file:
        os.ftruncate(file.fileno(), 5 * 1024 * 1024)
    assert ground.status("/old") == 301
    assert "longer than 4 MiB" in ground.reports[-1]


def test_a_touch_changes_nothing(ground: Ground) -> None:
    write(ground, "_redirects", "/old /new\n")
    assert ground.status("/old") == 301
    policy = ground.policies.policy
    os.utime(ground.root / "_redirects")
    assert ground.status("/old") == 301
    assert ground.policies.policy is policy


def test_few_mistakes_are_told(tmp_path: Path) -> None:
    (tmp_path / "_redirects").write_text("nonsense\n" * 1000)
    with Ground(tmp_path) as ground:
        assert len(ground.reports) == 21
        assert "980 more" in ground.reports[-1]


def test_an_answer_is_not_kept_where_the_rules_change_while_it_is_made(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at a large file reads what the kernel has to tell, also of a rule file."""
    write(ground, "_redirects", "/old /one\n")
    assert ground.ask("/old").basis is not None
    find = ground.catalogue.find

    def change_and_find(names: Names) -> Resource:
        write(ground, "_redirects", "/old /two\n")
        assert ground.catalogue.watch is not None
        ground.catalogue.watch.on_ready(1)
        return find(names)

    monkeypatch.setattr(ground.catalogue, "find", change_and_find)
    answer = ground.ask("/old")
    assert (answer.fields["location"], answer.basis) == ("/one", None)
    monkeypatch.undo()
    answer = ground.ask("/old")
    assert answer.fields["location"] == "/two"
    assert answer.basis is not None
