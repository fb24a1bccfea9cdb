"""Names, subjects and addresses, whatever they are, as two independent readers find them in a message."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.utils import getaddresses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from migrations_app.calendars.itip import ascii_address
from migrations_app.calendars.people import Person
from migrations_app.mail.headers import LONGEST_NAME, LONGEST_TEXT
from migrations_app.mail.imip import Content, compose

READER = Path(__file__).parents[1] / "support" / "gmime_reader.py"
SYSTEM_PYTHON = "/usr/bin/python3"
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

Read = Callable[[bytes], dict[str, Any]]


def _has_gmime() -> bool:
    probe = "import gi; gi.require_version('GMime', '3.0'); from gi.repository import GMime"
    if not Path(SYSTEM_PYTHON).exists():
        return False
    return subprocess.run([SYSTEM_PYTHON, "-c", probe], capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def read_with_gmime() -> Iterator[Read]:
    if not _has_gmime():
        pytest.skip("GMime is not installed (Debian: python3-gi gir1.2-gmime-3.0)")
    with subprocess.Popen([SYSTEM_PYTHON, READER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None

        def read(message: bytes) -> dict[str, Any]:
            reader.stdin.write(base64.b64encode(message).decode() + "\n")
            reader.stdin.flush()
            return json.loads(reader.stdout.readline())

        yield read
        reader.stdin.close()
    assert reader.returncode == 0


def read_with_python(octets: bytes) -> dict[str, Any]:
    message = message_from_bytes(octets, policy=policy.default)
    older = message_from_bytes(octets, policy=policy.compat32)
    # `policy.default` puts a space between two encoded words of a name (Python 3.11), against RFC 2047 section 6.2.
    people = {
        field: [[str(make_header(decode_header(name))), address] for name, address in getaddresses([older[field]])]
        for field in ("From", "To")
    }
    for field, found in people.items():
        addresses = [each.addr_spec for each in message[field].addresses]
        assert [address.replace('"', "") for _, address in found] == [each.replace('"', "") for each in addresses]
    return {
        "subject": message["Subject"],
        "topic": message["Thread-Topic"],
        "from": people["From"],
        "to": people["To"],
    }


def written(subject: str, organizer: Person, recipients: list[Person]) -> bytes:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    return compose(Content(organizer, "mms@contoso.com", recipients, "<1@contoso.com>", now, subject, "", "", b""))


def test_gmime_finds_the_note_in_text_and_html(read_with_gmime: Read) -> None:
    texts = read_with_gmime(written("Budget", Person("", "anna@contoso.com"), [Person("", "bo@fabrikam.com")]))["texts"]
    assert list(texts) == ["text/plain", "text/html", "text/calendar"]
    assert all(
        "The joining details of this meeting have changed" in texts[f"text/{kind}"] for kind in ("plain", "html")
    )


def headers_of(message: bytes) -> str:
    return message.partition(b"\r\n\r\n")[0].decode("ascii")


def shown(text: str, longest: int) -> str:
    """What a reader should show: all that is text, up to where it is cut; white space may come as one space."""
    return one_space(CONTROL.sub(" ", text)[:longest])


def one_space(text: str) -> str:
    return " ".join(text.split())


def assert_within_limits(message: bytes) -> None:
    """RFC 2047 section 2: encoded words of at most 75 characters, on lines of at most 76."""
    for line in headers_of(message).split("\r\n"):
        words = re.findall(r"=\?[^ ]*\?=", line)
        assert all(len(word) <= 75 for word in words), line
        assert not words or len(line) <= 76, line
        assert len(line) <= 998
    words = re.findall(r"=\?utf-8\?q\?([^?]*)\?=", headers_of(message))
    for word in words:  # each of whole characters, section 5
        re.sub("=([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), word).encode("latin-1").decode("utf-8")


# Text of the kinds that differ in how they are written, and anything at all.
CHARACTERS = st.characters(exclude_categories=["Cs"])
TEXTS = st.one_of(
    st.text(CHARACTERS, max_size=60),
    st.text('abc XYZ,.;:"\\()<>@=?_', max_size=120),
    st.text("Reunión åéíß — 会議 👋🏽 שלום", max_size=120),
    st.text("会議室", min_size=40, max_size=200),
    st.lists(st.text("abcdefghij", min_size=1, max_size=90), max_size=12).map(" ".join),
    st.sampled_from(["=?utf-8?q?evil?=", "a =?utf-8?b?w7w=?= b", "Bcc: all@example.org", "x\r\nBcc: a@b", "{subject}"]),
)
ADDRESSES = (
    st.builds("{}@{}.{}".format, st.text("abcdefgo'+.-_=!#$%&*/?^`{|}~0", min_size=1, max_size=64),
              st.text("abcdefgxyz0", min_size=1, max_size=63), st.sampled_from(["com", "org", "co.uk", "x" * 60]))
    .map(ascii_address)
    .filter(bool)
)  # fmt: skip
PEOPLE = st.builds(Person, TEXTS, ADDRESSES)


def assert_reads_back(read: Read, subject: str, organizer: Person, recipients: list[Person]) -> None:
    message = written(subject, organizer, recipients)
    assert_within_limits(message)
    found = read(message)
    assert one_space(found["subject"]) == shown(f"Updated: {subject}", LONGEST_TEXT)
    assert one_space(found["topic"]) == shown(subject, LONGEST_TEXT)
    for people, wanted in ((found["from"], [organizer]), (found["to"], recipients)):
        assert [address.replace('"', "") for _, address in people] == [person.address for person in wanted]
        names = [one_space(name) for name, _ in people]
        assert names == [
            shown(re.sub(" +", " ", CONTROL.sub(" ", person.name)).strip(), LONGEST_NAME) for person in wanted
        ]


def test_long_names_are_cut_at_spaces_where_python_puts_one() -> None:
    """Python 3.11 shows a space between two encoded words of a name; there it belongs."""
    name = "María de los Ángeles Fernández-Ángström Núñez y López de la Cruz"
    message = message_from_bytes(written("Budget", Person(name, "maria@fabrikam.com"), []), policy=policy.default)
    assert str(message).count("=?utf-8?q?") > 2
    assert one_space(message["From"].addresses[0].display_name) == name


@given(TEXTS, PEOPLE, st.lists(PEOPLE, min_size=1, max_size=4))
def test_python_reads_what_was_meant(subject: str, organizer: Person, recipients: list[Person]) -> None:
    assert_reads_back(read_with_python, subject, organizer, recipients)


@given(TEXTS, PEOPLE, st.lists(PEOPLE, min_size=1, max_size=4))
@example("Reunión individual con Chloé", Person("Chloé Martín", "chloe@fabrikam.com"), [Person("", "bo@fabrikam.com")])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_gmime_reads_what_was_meant(
    read_with_gmime: Read, subject: str, organizer: Person, recipients: list[Person]
) -> None:
    assert_reads_back(read_with_gmime, subject, organizer, recipients)
