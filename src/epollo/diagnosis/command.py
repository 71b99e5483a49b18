"""``epollo why`` and ``epollo check``: their arguments, output and exit statuses.

Both have all options of the server, so that a site is examined as it is served.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import closing

import click

from epollo.annotations import Any, Final, TypeAlias
from epollo.command_line import COMMAND, GroupedCommand, collect, refused_as_usage
from epollo.diagnosis.check import check_sites
from epollo.diagnosis.subject import Subject
from epollo.diagnosis.why import explain, format_json, format_text, parse_question
from epollo.errors import OperatorError
from epollo.given import Given
from epollo.settings import Settings
from epollo.terminal import print_text

MakeSettings: TypeAlias = Callable[[Given], Settings]
"""Makes settings of what is given."""

_OPTIONS_OF_WHY: Final = (
    click.Option(
        ["--json", "as_json"], is_flag=True, help="Print one JSON object instead of lines."
    ),
    click.Option(
        ["--header", "lines"],
        multiple=True,
        metavar="LINE",
        help="Send this header, 'Name: value'; may be given several times.",
    ),
)
_HELP: Final = {
    "why": (
        "Say which rule, file, coding, headers and cache decision make the answer to PATH-OR-URL, "
        "without a server. The options are those of the server. The exit status is 0, 1 if the answer "
        "is an error, 2 for a mistake in the settings."
    ),
    "check": (
        "Say what is wrong with the settings, the rules and the links of a site, without a server. "
        "The options are those of the server. The exit status is 0 if nothing is found, 1 if something "
        "is, 2 for a mistake in the settings."
    ),
}


def run(name: str, argv: Sequence[str], make_settings: MakeSettings) -> None:
    """Run one of the two commands. Raises `OperatorError`; ends the process otherwise."""

    def run_why(
        words: tuple[str, ...], as_json: bool, lines: tuple[str, ...], **given: Any
    ) -> None:
        if not words:
            raise OperatorError("which path or URL? For example: epollo why /about -d SITE")
        _explain(make_settings(collect(words[1:], given)), words[0], lines, as_json=as_json)

    def run_check(words: tuple[str, ...], **given: Any) -> None:
        _check(make_settings(collect(words, given)))

    is_why = name == "why"
    command = GroupedCommand(
        f"epollo {name}",
        callback=run_why if is_why else run_check,
        params=[
            click.Argument(
                ["words"], nargs=-1, metavar="PATH-OR-URL [SITE]" if is_why else "[SITE]"
            ),
            *(one for one in COMMAND.params if isinstance(one, click.Option)),
            *(_OPTIONS_OF_WHY if is_why else ()),
        ],
        help=_HELP[name],
        context_settings=COMMAND.context_settings,
    )
    with refused_as_usage():
        command.main(list(argv), standalone_mode=False, prog_name=f"epollo {name}")


def _explain(settings: Settings, text: str, lines: tuple[str, ...], *, as_json: bool) -> None:
    question = parse_question(text, lines)
    with closing(Subject(settings)) as subject:
        explanation = explain(subject, question)
        reports = subject.reports
    print_text((format_json if as_json else format_text)(explanation))
    for line in reports:
        sys.stderr.write(f"epollo: {line}\n")
    sys.exit(0 if explanation.status < 400 else 1)


def _check(settings: Settings) -> None:
    with closing(Subject(settings)) as subject:
        findings = check_sites(subject)
    print_text("".join(f"{line}\n" for line in findings))
    count = f"{len(findings):,} finding" + ("s" if len(findings) != 1 else "")
    sys.stderr.write(f"epollo: {count if findings else 'nothing found'}\n")
    sys.exit(1 if findings else 0)
