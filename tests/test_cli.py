"""What the command says of a mistake: the line as its reader needs it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from epollo import cli

SITE_TABLE = "[[site]]\nhosts = 'a'\ndirectory = '.'\n"
Refuse = Callable[..., str]
ACME = ["--acme", "me@a.example", "--workers", "1"]


@pytest.fixture
def refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Refuse:
    """Run the command in a folder of its own; return what it says on stderr, without the name in front.

    What would serve is an error here.
    """
    monkeypatch.chdir(tmp_path)
    for name in ("open_streams", "close_streams"):
        monkeypatch.setattr(cli, name, lambda: None)
    monkeypatch.setattr(cli, "start", lambda *_: pytest.fail("it would serve"))
    (tmp_path / "site").mkdir()
    (tmp_path / "c.toml").touch()

    def refuse(words: list[str], text: str | None = None) -> str:
        if text is not None:
            (tmp_path / "c.toml").write_text(text)
            words = ["--config", "c.toml", *words]
        monkeypatch.setattr(sys, "argv", ["epollo", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 2
        stdout, stderr = capfd.readouterr()
        assert not stdout
        assert stderr.startswith("epollo: ")
        assert stderr.count("\n") == 1
        return stderr.removeprefix("epollo: ").removesuffix("\n")

    return refuse


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["-d", ".", "site"], "only one folder can be served, not . and site"),
        (["80", "-p", "90"], "only one port can be given, not 90 and 80"),
        (["help"], "there is no folder help; is --help meant?"),
        (["c.toml"], "c.toml is not a folder; it is in the folder ."),
        (["--config", ""], "--config: the name of the file is empty"),
        (
            ["--unix", "u", "-p", "80"],
            "--unix listens at a path; --port is of no use with it",
        ),
        (["--unix", "u", "80"], "--unix listens at a path; --port is of no use with it"),
        (["--unix", "u", "-b", "::"], "--unix listens at a path; --host is of no use with it"),
        # With the option in front, where the value could be that of several.
        (["--cors", "x"], "--cors: 'x' is no origin such as https://example.com"),
        (["--cors", "any,http://x"], "--cors: 'any' stands alone: it is for every origin"),
        (
            ["--proxy-from", "10.1.2.3/8"],
            (
                "--proxy-from: '10.1.2.3/8' is no address and no network such as 10.0.0.0/8; "
                "is 10.0.0.0/8 meant?"
            ),
        ),
        (
            [*ACME, "--domain", "127.0.0.1"],
            "--domain: '127.0.0.1' is an address; a certificate is obtained for names",
        ),
        (
            [*ACME, "--domain", "a.example", "--acme-directory", "x"],
            "--acme-directory: 'x' is no directory: production, staging, or a URL of https",
        ),
        (["--auth", "none"], "cannot read the password file none: No such file or directory"),
        (["--auth", "ann:secret"], "--auth takes a file, as htpasswd -B -c FILE USER writes it"),
        # What would do nothing.
        (
            ["--proxy-from", "10.0.0.0/8"],
            "--proxy-from is of no use without --proxy-protocol or --forwarded",
        ),
        (
            ["--access-log-format", "json"],
            "--access-log-format is of no use without --access-log (--access-log - is stdout)",
        ),
        (
            ["--cache-control", "public, maxage=60"],
            (
                "Invalid value for '--cache-control': there is no directive maxage; is max-age meant? "
                "(epollo --help lists the options)"
            ),
        ),
        (
            ["--hsts", "1y"],
            (
                "Invalid value for '--hsts': '1y' is not a duration, such as 500ms, 10s, 5m, 1h or 1d. "
                "(epollo --help lists the options)"
            ),
        ),
    ],
)
def test_a_mistake_that_is_typed(refuse: Refuse, words: list[str], line: str) -> None:
    assert refuse(words) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("port = 80\nport = 81", "c.toml:2: port stands here a second time"),
        ("bind = '::1'", "c.toml:1: there is no setting bind; is host meant?"),
        (
            "no-compress = true",
            "c.toml:1: there is no setting no-compress; is compress = false meant?",
        ),
        (
            "[server]\nport = 80",
            "c.toml:1: there is no table [server]; options stand at the top, without a table",
        ),
        ("hosts = 'a'", "c.toml:1: hosts stands in a table of a site, below [[site]]"),
        (
            "cors = ['a', 'b']",
            "c.toml:1: cors must be one text with commas in it, such as 'one,two'",
        ),
        (
            "unix = 'u'\nport = 80",
            "c.toml:2: port: --unix listens at a path; --port is of no use with it",
        ),
        (
            "directory = '.'\n" + SITE_TABLE,
            "c.toml:1: directory: each [[site]] has a folder of its own; no other can be given",
        ),
        (SITE_TABLE + "cors = 'x'", "c.toml:4: cors: 'x' is no origin such as https://example.com"),
    ],
)
def test_a_mistake_in_the_file(refuse: Refuse, text: str, line: str) -> None:
    assert refuse([], text) == line


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (
            ["lab", "--quick"],
            "(there is a folder lab, which is served; the lab is python -m epollo.lab)",
        ),
        (["why", "/x"], "(there is a folder why, which is served; elsewhere it is a command)"),
        (
            ["check", "--json"],
            "(there is a folder check, which is served; elsewhere it is a command)",
        ),
    ],
)
def test_a_folder_hides_a_command(refuse: Refuse, words: list[str], hint: str) -> None:
    Path(words[0]).mkdir()
    assert refuse(words).endswith(hint)


def test_what_is_typed_is_no_mistake_of_a_table(refuse: Refuse) -> None:
    assert (
        refuse(["--cors", "x"], SITE_TABLE)
        == "--cors: 'x' is no origin such as https://example.com"
    )
    other = "c.toml: each [[site]] has a folder of its own; no other can be given"
    assert refuse(["-d", "site"], SITE_TABLE) == other
    assert refuse(["site"], SITE_TABLE) == other


def test_a_path_that_is_typed_overrides_an_address_of_the_file(
    refuse: Refuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refuse(["-p", "80"], "unix = 'u'").startswith("--unix listens at a path; --port")
    started = []
    monkeypatch.setattr(cli, "start", lambda settings, _: started.append(settings.unix))
    monkeypatch.setattr(sys, "argv", ["epollo", "--config", "c.toml", "--unix", "typed"])
    Path("c.toml").write_text("host = '::'\nport = 80\n")
    cli.main()
    assert started == ["typed"]


def test_words_are_known_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    for name in ("open_streams", "close_streams"):
        monkeypatch.setattr(cli, name, lambda: None)
    monkeypatch.setattr(cli, "start", lambda settings, _: started.append(settings.forwarded))
    monkeypatch.setattr(sys, "argv", ["epollo", "--forwarded", "X-Forwarded-For"])
    cli.main()
    assert started == ["x-forwarded-for"]


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("epollo s", "dir,s"),
        ("epollo --directory s", "dir,s"),
        ("epollo --tls-cert c", "file,c"),
        ("epollo --config c", "file,c"),
        ("epollo --listing o", "plain,on\nplain,off"),
        ("epollo --tls-se", "plain,--tls-self-signed"),
    ],
)
def test_a_shell_completes_options_and_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, answer: str
) -> None:
    for name in ("open_streams", "close_streams"):
        monkeypatch.setattr(cli, name, lambda: None)
    monkeypatch.setattr(sys, "argv", ["epollo"])
    monkeypatch.setenv("_EPOLLO_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split()) - 1))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{answer}\n"
