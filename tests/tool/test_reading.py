"""What the tool is given is untrusted: each kind of bad input is refused in one sentence, and nothing is done."""

from __future__ import annotations

import base64
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from migrations_app.tool.errors import Refused
from migrations_app.tool.reading import Limits, read_files, read_path
from tests.support.samples import skype_text

LIMITS = Limits(files=20, octets=4_000_000)
CALENDAR = (
    b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:one\r\nDTSTART:20300101T090000Z\r\n"
    b"END:VEVENT\r\nEND:VCALENDAR\r\n"
)


def zipped(*files: tuple[str | zipfile.ZipInfo, bytes], deflate: bool = True) -> io.BytesIO:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED) as archive:
        for name, text in files:
            archive.writestr(name, text)
    packed.seek(0)
    return packed


def symlink() -> io.BytesIO:
    info = zipfile.ZipInfo("link.ics")
    info.external_attr = 0o120777 << 16
    return zipped((info, b"/etc/passwd"))


def encrypted() -> io.BytesIO:
    octets = bytearray(zipped(("a.ics", CALENDAR), deflate=False).getvalue())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        octets[octets.index(mark) + at] |= 1
    return io.BytesIO(octets)


def lying(size: int) -> io.BytesIO:
    """A ZIP file that says of a large member that it is small."""
    octets = bytearray(zipped(("a.ics", b" " * size)).getvalue())
    for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = octets.index(mark) + at
        octets[start : start + 4] = struct.pack("<I", 10)
    return io.BytesIO(octets)


def damaged() -> io.BytesIO:
    octets = bytearray(zipped(("a.ics", CALENDAR * 50)).getvalue())
    octets[60:90] = bytes(30)
    return io.BytesIO(octets)


PATHS = ("../a.ics", "/a.ics", "C:/a.ics", "C:a.ics", "x/../../a.ics", "x\\..\\a.ics", "..\\a.ics")
HOSTILE: dict[str, tuple[Callable[[], io.BytesIO], str]] = {
    **{
        f"path {path}": (lambda path=path: zipped((path, CALENDAR)), "whose path leads out of it")  # type: ignore[misc]
        for path in PATHS
    },
    "symlink": (symlink, "holds a link or a device"),
    "encrypted": (encrypted, "is encrypted"),
    "nested": (lambda: zipped(("a.ics", CALENDAR), ("b.zip", zipped(("a.ics", CALENDAR)).getvalue())), "unpack that"),
    "bomb by ratio": (lambda: zipped(("a.ics", b"A" * 3_000_000)), "suspiciously small"),
    "bomb by size": (lambda: zipped(("a.ics", bytes(range(256)) * 16_000)), "more than 4 MB together"),
    "bomb by count": (lambda: zipped(*((f"{n}.ics", CALENDAR) for n in range(21))), "more than 20 files"),
    "bomb that lies": (lambda: lying(8_000_000), "x.zip"),
    "damaged": (damaged, "damaged"),
    "nothing in it": (lambda: zipped(("read.me", b"x")), "no .ics or .eml file"),
    "empty archive": (zipped, "no .ics or .eml file"),
    "same name twice": (lambda: zipped(("a.ics", CALENDAR), ("A.ics", CALENDAR)), "two files"),
    "empty file in it": (lambda: zipped(("a.ics", b" \r\n")), "is empty"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_zip_file_is_refused_in_one_sentence(kind: str) -> None:
    make, told = HOSTILE[kind]
    with pytest.raises(Refused) as caught:
        read_files([("x.zip", make())], LIMITS)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_zip_file_keeps_names_and_passes_over_what_is_no_calendar() -> None:
    given = read_files(
        [("x.zip", zipped(("b/Jänner 1.ics", CALENDAR), ("a.ICS", CALENDAR), ("notes.txt", b"x"), ("d/", b"")))], LIMITS
    )
    assert [(source.name, source.octets) for source in given.sources] == [
        ("a.ICS", CALENDAR),
        ("b/Jänner 1.ics", CALENDAR),
    ]
    assert given.passed_over == 1


def test_a_folder_is_read_without_following_links(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "secret.ics").write_bytes(CALENDAR)
    (tmp_path / "in" / "deep" / "a.ics").write_bytes(CALENDAR)
    (tmp_path / "in" / "link.ics").symlink_to(tmp_path / "secret.ics")
    (tmp_path / "in" / "notes.txt").write_text("x")
    given = read_path(tmp_path / "in", LIMITS)
    assert [source.name for source in given.sources] == ["deep/a.ics"]
    assert given.passed_over == 1
    (tmp_path / "in" / "deep" / "a.ics").unlink()
    with pytest.raises(Refused, match=r"There is no \.ics or \.eml file in"):
        read_path(tmp_path / "in", LIMITS)
    with pytest.raises(Refused, match="cannot be read"):
        read_path(tmp_path / "nowhere.ics", LIMITS)


def message(*parts: bytes) -> bytes:
    head = b"From: Anna <anna@contoso.com>\r\nTo: bruno@contoso.com\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts)
    return head + b'Content-Type: multipart/alternative; boundary="b"\r\n\r\n' + body + b"--b--\r\n"


def invitation_part(text: bytes, charset: str = "utf-8", kind: str = "text/calendar") -> bytes:
    head = f'Content-Type: {kind}; charset="{charset}"; method=REQUEST\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    return head.encode() + base64.encodebytes(text).replace(b"\n", b"\r\n")


PLAIN = b"Content-Type: text/plain\r\n\r\nHello"


def test_an_invitation_is_taken_out_of_a_message_byte_for_byte() -> None:
    text = CALENDAR.replace(b"UID:one", f"UID:one\r\nSUMMARY:Büro\r\nX-A:{skype_text()[:20]}".encode())
    for octets in (
        message(PLAIN, invitation_part(text)),
        message(PLAIN, invitation_part(text, kind="application/ics")),
        message(PLAIN, invitation_part(text.decode().encode("latin-1", "replace"), "iso-8859-1")),
    ):
        (source,) = read_files([("in vite.eml", io.BytesIO(octets))], LIMITS).sources
        assert source.name == "in vite.eml.ics"
        if b"iso-8859-1" not in octets:
            assert source.octets == text
        assert "Büro" in source.octets.decode()


@pytest.mark.parametrize(
    ("octets", "told"),
    [
        (message(PLAIN), "holds no invitation"),
        (message(PLAIN, invitation_part(b"")), "holds no invitation"),
        (message(PLAIN, invitation_part(CALENDAR).replace(b"=REQUEST", b"=REPLY")), "holds no invitation"),
        (message(invitation_part(b"\xff\xfe", "nonsense-8")), "cannot be read as a message"),
        (b"\x00\xff garbage", "holds no invitation"),
        (b"", "is empty"),
    ],
)
def test_a_message_without_invitation_is_refused(octets: bytes, told: str) -> None:
    with pytest.raises(Refused, match=told):
        read_files([("a.eml", io.BytesIO(octets))], LIMITS)


def test_files_that_cannot_stand_side_by_side() -> None:
    one = io.BytesIO(CALENDAR)
    with pytest.raises(Refused, match="is a ZIP file among other files"):
        read_files([("x.zip", zipped(("a.ics", CALENDAR))), ("b.ics", one)], LIMITS)
    with pytest.raises(Refused, match=r"two files a\.ics"):
        read_files([("a.ics", io.BytesIO(CALENDAR)), ("../x/a.ics", io.BytesIO(CALENDAR))], LIMITS)
    with pytest.raises(Refused, match="more than 4 MB together"):
        read_files([("a.ics", io.BytesIO(bytes(4_000_001)))], LIMITS)
    assert [each.name for each in read_files([("..", io.BytesIO(CALENDAR))], LIMITS).sources] == ["calendar.ics"]


def test_a_zip_file_of_endless_files_is_not_even_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = zipped(*((f"{number:040}.txt", b"") for number in range(150)))

    def listed(*_: object) -> None:
        raise AssertionError("The list of files was read.")

    monkeypatch.setattr(zipfile, "ZipFile", listed)
    with pytest.raises(Refused, match="more than 20 files"):
        read_files([("x.zip", packed)], LIMITS)
