"""R71, R63: programs of one directory are run without a shell, bounded, and what they print is kept with care."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrations_app.rollouts.printed import MOST_KEPT, shown
from migrations_app.rollouts.programs import NotRunnable, filled, find, programs, run
from tests.support.process_tree import living
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
Install = Callable[..., Path]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    folder = tmp_path / "programs"
    folder.mkdir(mode=0o755)
    return folder


@pytest.fixture
def install(directory: Path) -> Install:
    """Puts a program into the directory: what stands in it after the line that names the shell."""

    def write(name: str, text: str, mode: int = 0o755, first: str = "#!/bin/sh\n") -> Path:
        path = directory / name
        path.write_text(f"{first}{text}\n", encoding="utf-8")
        path.chmod(mode)
        return path

    return write


def test_it_gets_its_arguments_as_they_are(directory: Path, install: Install) -> None:
    install("show", 'printf "%s\\n" "$#" "$@"')

    ended = run(directory, "show", ["a b", "$HOME", "; rm -rf /", "`id`", "*", ""], 20)

    assert ended.output.splitlines() == ["6", "a b", "$HOME", "; rm -rf /", "`id`", "*", ""]
    assert (ended.status, ended.signal, ended.timed_out) == (0, None, False)


def test_it_knows_nothing_of_where_mms_runs(directory: Path, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "not for everybody")
    install("environment", "env; pwd; cat")

    names = {line.partition("=")[0] for line in run(directory, "environment", [], 20).output.splitlines()}

    assert names <= {"PATH", "LANG", "HOME", "PWD", "SHLVL", "_", "OLDPWD", "/"}


@pytest.mark.parametrize("status", [0, 1, 2, 3, 4, 255])
def test_its_status_is_told(directory: Path, install: Install, status: int) -> None:
    install("end", f"echo so; exit {status}")

    ended = run(directory, "end", [], 20)

    assert (ended.status, ended.first_line) == (status, "so")


def test_a_signal_is_told(directory: Path, install: Install) -> None:
    install("end", "kill -TERM $$")

    ended = run(directory, "end", [], 20)

    assert (ended.status, ended.signal) == (None, signal.SIGTERM)


def test_its_group_is_killed_when_its_time_is_over(directory: Path, install: Install, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    install("hang", f"sleep 600 & echo $! $$ > {pids}; echo begun; sleep 600")

    ended = run(directory, "hang", [], 1)

    assert ended.timed_out
    assert (ended.status, ended.signal, ended.first_line) == (None, None, "begun")
    left = [int(pid) for pid in pids.read_text().split()]
    assert len(left) == 2
    wait_until(lambda: not living(left))


def test_what_it_leaves_behind_is_killed_and_not_waited_for(directory: Path, install: Install, tmp_path: Path) -> None:
    """It holds the pipe open, but the program itself has ended."""
    pid = tmp_path / "pid"
    install("leave", f"sleep 600 & echo $! > {pid}; echo done")

    ended = run(directory, "leave", [], 120)

    assert (ended.status, ended.output, ended.timed_out) == (0, "done\n", False)
    wait_until(lambda: not living([int(pid.read_text())]))


def test_it_ends_in_time_though_mms_was_killed_meanwhile(directory: Path, install: Install, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    install("hang", f"echo $$ > {pid}.new; mv {pid}.new {pid}; sleep 600")
    code = (
        "import sys; from pathlib import Path; from migrations_app.rollouts.programs import run; "
        "run(Path(sys.argv[1]), 'hang', [], 2)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(directory)], cwd=ROOT) as process:
        wait_until(pid.exists)
        process.kill()

    wait_until(lambda: not living([int(pid.read_text())]))


def test_a_program_that_ignores_signals_is_killed_too(directory: Path, install: Install) -> None:
    install("stubborn", "trap '' TERM INT HUP; exec >&- 2>&-; while :; do sleep 0.1; done")

    assert run(directory, "stubborn", [], 0.5).timed_out


def test_whoever_prints_without_end_is_stopped(directory: Path, install: Install) -> None:
    install("pour", "exec yes")

    ended = run(directory, "pour", [], 120)

    assert (ended.status, ended.signal, ended.timed_out) == (None, None, False)
    assert len(ended.output) == MOST_KEPT


def test_much_that_ends_is_cut(directory: Path, install: Install) -> None:
    install("much", "head -c 500000 /dev/zero | tr '\\0' x; exit 1")

    ended = run(directory, "much", [], 60)

    assert (ended.status, ended.output) == (1, "x" * MOST_KEPT)


def test_its_errors_count_where_it_printed_nothing_else(directory: Path, install: Install) -> None:
    install("complain", "echo wrong >&2; exit 3")
    install("both", "echo wrong >&2; echo right")

    assert run(directory, "complain", [], 20).output == "wrong\n"
    assert run(directory, "both", [], 20).output == "right\n"


def test_octets_that_are_no_text_break_nothing(directory: Path, install: Install) -> None:
    install("binary", "head -c 3000 /dev/urandom; exit 0")

    ended = run(directory, "binary", [], 20)

    assert ended.status == 0
    assert "\0" not in ended.output
    assert len(ended.output.encode()) <= MOST_KEPT


def why_not(directory: Path | None, name: str) -> str:
    with pytest.raises(NotRunnable) as error:
        run(directory, name, [], 20)
    return error.value.why


@pytest.mark.parametrize("name", ["", ".", "..", "../show", "/bin/sh", "a/b", "-x", ".hidden", "a\nb", "a b", "x\0"])
def test_only_bare_names_are_run(directory: Path, install: Install, name: str) -> None:
    install("show", "exit 0")

    assert "Give the bare name of a file" in why_not(directory, name)


def test_what_is_not_there_is_not_run(directory: Path) -> None:
    assert "There is no program show" in why_not(directory, "show")
    assert "There is no program show" in why_not(directory / "gone", "show")
    assert "No programs may be run here" in why_not(None, "show")


def test_a_link_out_of_the_directory_is_not_followed(directory: Path, install: Install) -> None:
    install("show", "exit 0")
    (directory / "out").symlink_to("/bin/sh")
    (directory / "within").symlink_to("show")
    (directory / "round").symlink_to("round")

    assert "out leads out of MMS_CHECK_COMMANDS" in why_not(directory, "out")
    assert "There is no program round" in why_not(directory, "round")
    assert find(directory, "within").name == "show"
    assert programs(directory) == ["show", "within"]


@pytest.mark.parametrize(
    ("mode", "said"), [(0o757, "Everybody may change show"), (0o644, "is not a file that MMS may execute")]
)
def test_a_file_that_may_not_be_trusted_is_not_run(directory: Path, install: Install, mode: int, said: str) -> None:
    install("show", "exit 0", mode)

    assert said in why_not(directory, "show")
    assert programs(directory) == []


def test_a_directory_that_everybody_may_write_into_is_not_used(directory: Path, install: Install) -> None:
    install("show", "exit 0")
    directory.chmod(0o777)

    assert "Everybody may write into MMS_CHECK_COMMANDS" in why_not(directory, "show")


def test_only_files_are_run(directory: Path) -> None:
    (directory / "folder").mkdir()
    os.mkfifo(directory / "pipe", 0o700)

    assert "is not a file that MMS may execute" in why_not(directory, "folder")
    assert "is not a file that MMS may execute" in why_not(directory, "pipe")
    assert programs(directory) == []


def test_a_program_that_cannot_be_started_says_so(directory: Path, install: Install) -> None:
    install("broken", "", first="\x7fELF nonsense")
    install("without", "", first="#!/nowhere/to/be/found\n")

    assert run(directory, "broken", [], 20).status not in {0, 1, 2}
    assert "could not be started" in why_not(directory, "without")
    with pytest.raises(NotRunnable, match="could not be started"):
        run(directory, "broken", ["x" * 3_000_000], 20)


def test_placeholders_are_filled_within_arguments() -> None:
    values = {"upn": "anna@contoso.com", "deployment": "Old pool", "host": "sip.contoso.com"}

    assert filled(["--user={upn}", "{deployment}/{host}", "{}", "{a", "plain"][:2], values) == [
        "--user=anna@contoso.com",
        "Old pool/sip.contoso.com",
    ]
    assert filled(["{upn}", "no {"], {"upn": "{host}"}) == ["{host}", "no {"]  # what is filled in is not read again


@pytest.mark.parametrize(
    ("arguments", "values", "said"),
    [
        (["{upn}"], {}, "There is nothing to put in place of {upn}"),
        (["{upn}"], {"upn": "-rf"}, "-rf would be taken for an option"),
        (["{upn}@x"], {"upn": "--help"}, "would be taken for an option"),
        (["--user={upn}"], {"upn": "a\nb"}, "no single line of text"),
        (["--user={upn}"], {"upn": "a\0b"}, "no single line of text"),
        (["{password}"], {"password": "x"}, "There is nothing to put in place of {password}"),
    ],
)
def test_what_would_be_taken_for_something_else_is_not_filled_in(
    arguments: list[str], values: dict[str, str], said: str
) -> None:
    with pytest.raises(NotRunnable) as error:
        filled(arguments, values)

    assert said in error.value.why


def test_a_value_behind_an_option_may_begin_with_a_hyphen() -> None:
    assert filled(["--user={upn}"], {"upn": "-anna@contoso.com"}) == ["--user=-anna@contoso.com"]


@pytest.mark.parametrize(
    ("printed", "kept"),
    [
        ("password=hunter2 done", "password=●●● done"),
        ("Password: hunter2", "Password: ●●●"),
        ('{"client_secret": "abc.def~1", "x": 1}', '{"client_secret": "●●●", "x": 1}'),
        ("Authorization: Bearer eyJhbGciOi.x.y", "Authorization: Bearer ●●●"),
        ("curl -H 'authorization: Basic YW5uYTpwdw=='", "curl -H 'authorization: Basic ●●●'"),
        ("api_key=12345&user=anna", "api_key=●●●&user=anna"),
        ("postgres://mms:geheim@db:5432/mms", "postgres://mms:●●●@db:5432/mms"),
        ("https://localhost:8443/path is up", "https://localhost:8443/path is up"),
        ("the key top-secret-value was used", "the key ●●● was used"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n-----END RSA PRIVATE KEY-----\nend", "●●●\nend"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE", "●●●"),
        ("OK - 3 services | time=0.1s", "OK - 3 services | time=0.1s"),
        ("a\x1b[31mred\x07\u202egnp.exe", "a [31mred  gnp.exe"),
        ("line\r\nnext", "line \nnext"),
    ],
)
def test_secrets_and_what_deceives_the_eye_are_taken_out(printed: str, kept: str) -> None:
    assert shown(printed.encode(), ["top-secret-value", "", "x"]) == kept


@pytest.mark.parametrize("before", [MOST_KEPT - 30, MOST_KEPT - 8, MOST_KEPT - 1])
@pytest.mark.parametrize("filling", ["x", "ü", "€"])
def test_no_half_of_a_secret_is_left_at_the_end(before: int, filling: str) -> None:
    size = len(filling.encode())
    kept = shown(filling.encode() * (before // size) + b"top-secret-value" + b" and more" * 1000, ["top-secret-value"])

    assert len(kept.encode()) <= MOST_KEPT
    assert "t" not in kept.replace(" and more", "")


@given(st.binary(max_size=2000))
def test_whatever_is_printed_becomes_text_that_can_be_kept(octets: bytes) -> None:
    kept = shown(octets, ["secret-of-mms"])

    assert len(kept.encode("utf-8")) <= MOST_KEPT
    assert not {"\0", "\x1b", "\u202e"} & set(kept)
