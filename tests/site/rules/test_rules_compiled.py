"""Compiled rules equal a naive interpreter of them, on random rules and paths."""

from hypothesis import given
from hypothesis import strategies as st

from epollo.http.target import decode_path
from epollo.site.candidates import Paths, list_rewrite_candidates
from epollo.site.policy import Policy
from epollo.site.rules.redirection import Rewrite
from epollo.site.rules.rule import Rules
from naive_rules import interpret_headers, interpret_redirects
from parsed_rules import parse_headers, parse_redirects

hosts = st.sampled_from(("", "", "", "https://h", "https://:p.h"))
segments = st.sampled_from(("a", "b", ":x", ":y", "a-:x", "a.b"))
ends = st.sampled_from(("", "", "/", "/*", "*", "/*.b"))
sources = st.builds(
    lambda host, parts, end: host + "".join(f"/{part}" for part in parts) + (end or "/"),
    hosts,
    st.lists(segments, max_size=3, unique=True),
    ends,
)
queries = st.sampled_from(("", "", "q=1 ", "q=:q ", "q=:q r=2 "))
targets = st.sampled_from(
    ("/", "/a", "/:x", "/:x/:y", "/c/:splat", "/c?d=e", "/c#d", "https://h/:splat", "https://i/:x")
)
statuses = st.sampled_from(("", "302", "200", "404!", "301!", "410", "nonsense"))
redirect_lines = st.builds("{} {}{} {}".format, sources, queries, targets, statuses)
field_lines = st.sampled_from(
    ("X-A: 1", "X-A: 2", "X-Frame-Options: DENY", "X-Frame-Options: SAMEORIGIN", "Cache-Control: a",
     "Content-Type: a/b", "Vary: Origin", "! X-A", "! Cache-Control", "X-B: :x-:splat")
)  # fmt: skip
blocks = st.builds(
    lambda source, lines: "\n  ".join([source, *lines]),
    sources,
    st.lists(field_lines, min_size=1, max_size=3),
)
paths = st.builds(
    lambda parts, end: "".join(f"/{part}" for part in parts) + end or "/",
    st.lists(st.sampled_from(("a", "b", "a-b", "a.b", "%20")), max_size=4),
    st.sampled_from(("", "/")),
)
requests = st.tuples(
    st.sampled_from((b"", b"h", b"i", b"j.h")),
    paths,
    st.sampled_from((None, b"", b"q=1", b"q=2&r=2", b"r=2&q", b"x=y&q=1")),
)


@given(
    st.lists(redirect_lines, max_size=8),
    st.lists(blocks, max_size=6),
    st.lists(requests, max_size=6),
)
def test_compiled_rules_say_what_they_say_one_after_the_other(
    redirects: list[str], headers: list[str], asked: list[tuple[bytes, str, bytes | None]]
) -> None:
    rules = Rules(
        parse_headers("\n".join(headers).encode()).rules,
        parse_redirects("\n".join(redirects).encode()).rules,
    )
    policy = Policy(rules=rules)
    for _ in range(2):
        # The second time from what was recollected.
        for host, path, query in asked:
            names = decode_path(path.encode())
            assert names is not None
            treatment = policy.find(path.encode(), query, host)
            assert treatment is not None
            assert treatment.fields == interpret_headers(rules, host, names)
            outcome, is_forced = interpret_redirects(rules, host, names, query)
            if isinstance(outcome, Rewrite) and outcome.candidates:
                (target,) = outcome.candidates
                candidates = list_rewrite_candidates(target, Paths())
                outcome = outcome._replace(candidates=candidates)
            assert treatment.otherwise == outcome
            assert bool(treatment.candidates) is not is_forced
