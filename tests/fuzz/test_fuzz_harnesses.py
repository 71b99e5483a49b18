"""The command that fuzzes: what its harnesses hold against, and that it finds what does not hold."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HARNESSES = sorted(path.stem for path in (ROOT / "fuzz" / "harnesses").glob("*.py"))
ENGINES = ["random", "atheris"]
# Those that take a millisecond and more for an input; of the others there are more.
INPUTS = {"client_hello": 900, "head": 900, "protocol": 700, "resolution": 600}
# In every input that holds it, an A that stands behind a % is a fault.
PLANTED = '''
"""Nothing here holds for long."""

TOKENS = (b"%", b"A")


def check(octets: bytes) -> None:
    if b"%" in octets:
        place = octets.index(b"%")
        assert octets[place + 1 : place + 2] != b"A", "planted"
'''


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(root / "fuzz" / "run.py"), "--seed", "1", *arguments],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def require(engine: str) -> None:
    if engine == "atheris" and importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed")


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A tree with a harness in it that a seed is near to breaking."""
    for name in ("src", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    fuzz = tmp_path / "fuzz"
    for path in (ROOT / "fuzz").rglob("*.py"):
        copy = fuzz / path.relative_to(ROOT / "fuzz")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (fuzz / "corpus").mkdir()
    (fuzz / "corpus" / "planted.txt").write_text("# Harmless.\n\\x23 a%\\x42\\nb%c\n")
    (fuzz / "harnesses" / "planted.py").write_text(PLANTED)
    return tmp_path


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("harness", HARNESSES)
def test_holds_on_the_corpus_and_on_what_an_engine_makes_of_it(harness: str, engine: str) -> None:
    """The inputs are the same in each run: what is found is found again."""
    require(engine)
    inputs = INPUTS.get(harness, 2000)
    done = run(ROOT, "--target", harness, "--engine", engine, "--inputs", str(inputs))
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(
        rf"^{harness} +held +(\d+) seeds, then ([\d,]+) inputs by {engine}",
        done.stdout,
        re.MULTILINE,
    )
    assert found is not None, done.stdout
    assert int(found[1]) > 20
    # An engine may try its corpus again, whose inputs count.
    assert int(found[2].replace(",", "")) >= inputs


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_seed_tries_the_same_inputs_again(planted: Path, engine: str) -> None:
    require(engine)
    harness = planted / "fuzz" / "harnesses" / "planted.py"
    tried = planted / "tried"
    # What is reached in epollo guides an engine that looks at it.
    harness.write_text(
        "from pathlib import Path\n\n"
        "from epollo.http.target import parse_target\n\n"
        "TOKENS = (b'/', b'http://a', b'?')\n\n\n"
        "def check(octets: bytes) -> None:\n"
        "    parse_target(octets)\n"
        f"    with Path({str(tried)!r}).open('a') as file:\n"
        "        file.write(f'{octets!r}\\n')\n"
    )
    runs = []
    for seed in ("1", "1", "2"):
        options = ("--target", "planted", "--engine", engine, "--inputs", "500", "--seed", seed)
        assert run(planted, *options).returncode == 0
        runs.append(tried.read_text().splitlines())
        tried.unlink()
    assert len(runs[0]) >= 500
    assert len(set(runs[0])) > 100
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_every_harness_says_first_what_must_hold() -> None:
    for harness in HARNESSES:
        source = (ROOT / "fuzz" / "harnesses" / f"{harness}.py").read_text()
        assert re.match(r'"""Whatever .+\.(?:"""|$)', source, re.MULTILINE), harness


@pytest.mark.parametrize("engine", ENGINES)
def test_what_does_not_hold_is_found_and_shown_as_a_seed(planted: Path, engine: str) -> None:
    require(engine)
    options = ("--target", "planted", "--engine", engine)
    assert run(planted, *options, "--seconds", "0").returncode == 0
    done = run(planted, *options, "--seconds", "10")
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(rf"^planted +BROKEN by {engine} within 10 s$", done.stdout, re.MULTILINE), (
        done.stdout
    )
    assert "AssertionError: planted" in done.stdout
    # As small as can be; and, put into the corpus, found at once.
    assert done.stdout.endswith("\n%A\n\n\n"), done.stdout
    corpus = planted / "fuzz" / "corpus" / "planted.txt"
    corpus.write_text(f"{corpus.read_text()}\n\n%A\n")
    again = run(planted, *options, "--seconds", "0")
    assert again.returncode == 1
    assert re.search(r"^planted +BROKEN by a seed$", again.stdout, re.MULTILINE), again.stdout
    assert again.stdout.endswith("\n%A\n\n\n")


def test_a_harness_that_is_broken_itself_is_no_success(planted: Path) -> None:
    (planted / "fuzz" / "harnesses" / "planted.py").write_text("import nothing_of_this_name\n")
    done = run(planted, "--target", "planted", "--engine", "random", "--seconds", "1")
    assert done.returncode == 1
    assert "nothing_of_this_name" in done.stderr


def test_every_octet_can_be_written_and_read_again(planted: Path) -> None:
    """The harness of this test breaks on all octets together, so that nothing can be left out."""
    (planted / "fuzz" / "harnesses" / "planted.py").write_text(
        "TOKENS = (b'x',)\n\n\n"
        "def check(octets: bytes) -> None:\n"
        "    every = b'# # a{b*3}  \\\\n' + bytes(range(256)) + b' \\n# \\r\\n\\n '\n"
        "    assert octets != every, 'every octet'\n"
    )
    script = (
        "from notation import format_octets, read_seeds; from pathlib import Path; import sys;"
        "every = b'# # a{b*3}  \\\\n' + bytes(range(256)) + b' \\n# \\r\\n\\n ';"
        "path = Path(sys.argv[1]); path.write_text(format_octets(every) + '\\n');"
        "assert read_seeds(path) == [every]"
    )
    corpus = planted / "fuzz" / "corpus" / "planted.txt"
    written = subprocess.run(
        [sys.executable, "-c", script, str(corpus)],
        cwd=planted / "fuzz",
        env={"PYTHONPATH": f"{planted / 'tests'}:{planted / 'src'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert written.returncode == 0, written.stderr
    done = run(planted, "--target", "planted", "--seconds", "0")
    assert done.returncode == 1
    assert "AssertionError: every octet" in done.stdout
