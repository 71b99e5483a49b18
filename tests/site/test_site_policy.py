"""The policy: what the rules say of a path, made once and bounded; and that answers rest on all of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from epollo.site.candidates import INDEX, Paths
from epollo.site.policy import Policy
from epollo.site.resolve import Names
from epollo.site.rules.rule import Rules as RulesOfFiles
from epollo.site.treatment import Treatment
from parsed_rules import parse_headers
from site_grounds import Ground, is_true, replace


@pytest.mark.parametrize(
    ("path", "candidates", "folder_names"),
    [
        (b"/", ((INDEX,),), None),
        (b"/folder/", ((b"folder", INDEX),), None),
        (b"/page.html", ((b"page.html",),), (b"page.html", b"")),
        (b"/%61", ((b"a",),), (b"a", b"")),
        (b"/.hidden", (), None),
        (b"/folder/.git/config", (), None),
        (b"/folder/.git/", (), None),
        (
            b"/.well-known/acme",
            ((b".well-known", b"acme"),),
            (b".well-known", b"acme", b""),
        ),
        (b"/.well-known/.hidden", (), None),
    ],
)
def test_what_the_rules_say_of_a_path(
    path: bytes, candidates: tuple[Names, ...], folder_names: Names | None
) -> None:
    treatment = Policy(paths=Paths(has_clean_urls=False)).find(path, None)
    assert treatment is not None
    assert treatment.candidates == candidates
    assert treatment.folder_names == folder_names
    assert dict(treatment.fields.content) == {b"X-Content-Type-Options": b"nosniff"}
    assert dict(treatment.fields.negotiated) == {b"Vary": b"Accept-Encoding"}


@pytest.mark.parametrize("path", [b"/..", b"/%2e%2e/a", b"/%", b"/%00"])
def test_what_is_no_path_has_no_treatment(path: bytes) -> None:
    policy = Policy()
    assert policy.find(path, None) is None
    assert not policy._treatments


def make_ruled() -> Policy:
    """Return a policy with a rule: without any, treatments are not recollected."""
    return Policy(rules=RulesOfFiles(headers=parse_headers(b"/nothing\n  X-A: b\n").rules))


def test_a_treatment_is_made_once() -> None:
    policy = make_ruled()
    first = policy.find(b"/page.html", None)
    assert policy.find(b"/page.html", None) is first
    assert policy.find(b"/page.html", b"query") is first
    assert policy.find(b"/other.html", None) is not first


def test_treatments_are_bounded() -> None:
    policy = make_ruled()
    for number in range(20_000):
        assert policy.find(b"/%d/a/b/c" % number, None) is not None
    assert len(policy._treatments) <= 2 * 4096
    assert policy._treatments._octets <= 512 * 1024
    assert policy.find(b"/" + b"a/" * 50_000, None) is not None
    assert policy._treatments._octets <= 512 * 1024


class Rules(Policy):
    """Rules that are to come: several candidates, another page, fields of a path, queries."""

    def __init__(self) -> None:
        super().__init__(rules=make_ruled().rules)
        self.is_query_relevant = True

    def treat(self, names: Names, query: bytes | None, host: bytes = b"") -> Treatment:
        treatment = super().treat(names, query, host)
        if not treatment.candidates:
            return treatment
        last = names[-1] + b".html"
        fields = treatment.fields
        if names[0] == b"strict":
            names = names[1:]
            fields = fields._replace(content=(*fields.content, (b"X-Frame-Options", b"DENY")))
        return treatment._replace(
            candidates=(names, (*names[:-1], last), (query or b"none",)),
            fields=fields,
        )


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with Ground(tmp_path, policy=Rules()) as ground:
        yield ground


def test_the_first_candidate_that_stands_is_the_answer(ground: Ground, tmp_path: Path) -> None:
    (tmp_path / "fallback").write_text("fallback")
    assert ground.ask("/page?fallback").content == b"fallback"
    (tmp_path / "page.html").write_text("html")
    assert ground.ask("/page?fallback").content == b"html"
    (tmp_path / "page").write_text("page")
    assert ground.ask("/page?fallback").content == b"page"
    (tmp_path / "page").unlink()
    assert ground.ask("/page?fallback").content == b"html"


@pytest.mark.parametrize("name", ["page", "page.html"])
def test_an_answer_rests_on_what_is_not_there_before_it(
    ground: Ground, tmp_path: Path, name: str
) -> None:
    (tmp_path / "fallback").write_text("fallback")
    bases = [
        ground.ask("/page?fallback").basis,
        ground.ask("/page?fallback", {"Range": "bytes=0-1"}).basis,
        ground.ask("/page?fallback", {"If-None-Match": "*"}).basis,
    ]
    ground.clock.turn()
    assert [is_true(basis, ground) for basis in bases] == [True] * 3
    (tmp_path / name).write_text("before it")
    assert ground.catalogue.watch is not None
    ground.catalogue.watch.on_ready(1)
    assert [is_true(basis, ground) for basis in bases] == [False] * 3


def test_an_answer_404_rests_on_all_candidates_and_on_the_page(
    ground: Ground, tmp_path: Path
) -> None:
    for name in ("page", "page.html", "query", "404.html"):
        answer = ground.ask("/page?query")
        assert answer.status == 404
        ground.clock.turn()
        assert is_true(answer.basis, ground)
        replace(tmp_path / name, b"there")
        assert ground.catalogue.watch is not None
        ground.catalogue.watch.on_ready(1)
        assert not is_true(answer.basis, ground)
        if name != "404.html":
            (tmp_path / name).unlink()
    assert ground.ask("/page?query").content == b"there"


def test_queries_have_treatments_of_their_own_where_a_rule_looks_at_them(
    ground: Ground, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    for name in ("one", "two", "one"):
        assert ground.get(f"/nothing?{name}") == name.encode()
    assert ground.status("/nothing") == 404


def test_paths_of_other_rules_lead_to_one_file(ground: Ground, tmp_path: Path) -> None:
    """The answers with one representation are kept with it, those of other rules apart."""
    (tmp_path / "page").write_text("page")
    tag = ground.ask("/page").fields["etag"]
    for _ in range(2):
        for fields in ({}, {"Range": "bytes=0-1"}):
            assert "x-frame-options" not in ground.ask("/page", fields).fields
            assert ground.ask("/strict/page", fields).fields["x-frame-options"] == "DENY"
        for path in ("/page", "/strict/page"):
            assert ground.ask(path, {"If-None-Match": tag}).status == 304


def test_relevant_fields_are_those_that_a_site_reads() -> None:
    assert {b"accept-encoding", b"range", b"if-none-match"} <= Policy().relevant_fields
    assert b"cookie" not in Policy().relevant_fields
