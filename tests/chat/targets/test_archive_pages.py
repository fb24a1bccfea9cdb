"""The archive for people: what its pages say, what hostile text becomes there, and that no change goes unnoticed."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import zipfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest
from lxml import html

from migrations_app.chat.archive.records import ChatFile, MessageKind, Principal, Room
from migrations_app.chat.conversion.outgoing import Joining, OutgoingCategory, OutgoingMessage, OutgoingRoom, Person
from migrations_app.chat.targets import archive_site
from migrations_app.chat.targets.archive import ArchiveTarget
from migrations_app.chat.targets.archive_files import path_of, safe_name
from migrations_app.chat.targets.base import KeepsArchives, MakesFiles, TargetProblem, TargetSettings

ANNA = Person(Principal("1", sip="anna@contoso.com", name="Anna Rossi"), "anna@contoso.com", "Anna Rossi")
BEGAN = datetime(2013, 4, 5, 9, 30, tzinfo=UTC)
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1) and data:text/html,<b>x</b>",
    "exe.gpj\u202efile\u202c and \u2066isolated\u2069",
    "bell\x07 nul\x00 escape\x1b[31m next\x85",
    "half \ud800 and no character \uffff \U0001ffff",
    "  spaces  kept \n\n\ttab and end \n",
    "&amp; &#60; &lt;b&gt; ]]> --> <!-- x",
    "https://example.org/a?b=1&c=<d> (https://example.org/e). https://",
    "\u05e9\u05dc\u05d5\u05dd abc \u0645\u0631\u062d\u0628\u0627",
    "\u2028line and \u2029paragraph",
    "x" * 70_000,
    "",
)


def room_of(name: str = "Planning", **values: object) -> OutgoingRoom:
    return OutgoingRoom(Room("17", "3", name), OutgoingCategory("3", "Operations"), name, **values)  # type: ignore[arg-type]


def message(n: int, text: str, at: datetime | None = None, **values: object) -> OutgoingMessage:
    at = at or BEGAN + timedelta(minutes=n)
    return OutgoingMessage(**{"key": f"17/{n}", "n": n, "at": at, "author": ANNA, "text": text} | values)  # type: ignore[arg-type]


def no_octets(file: ChatFile) -> io.BytesIO:
    return io.BytesIO(file.name.encode("utf-8", "replace"))


@pytest.fixture
def target(tmp_path: Path) -> Iterator[ArchiveTarget]:
    with ArchiveTarget(TargetSettings("Archive", "archive", folder=tmp_path)) as target:
        yield target


def put(target: ArchiveTarget, messages: Sequence[OutgoingMessage], room: OutgoingRoom | None = None) -> str:
    room = room or room_of()
    key = target.begin_room(room, target.begin_category(room.category))
    target.write(key, messages, no_octets)
    target.finish_room(key, room)
    target.finish()
    return key


def folder(target: ArchiveTarget) -> Path:
    (found,) = (target._top / "rooms").iterdir()
    return found


def page(path: Path) -> html.HtmlElement:
    return html.fromstring(path.read_bytes(), parser=html.HTMLParser(encoding="utf-8"))


def test_r117_whatever_people_wrote_is_read_back_as_it_was(target: ArchiveTarget) -> None:
    key = put(target, [message(n, text) for n, text in enumerate(HOSTILE, 1)])

    assert [each.text for each in target.read_messages(key)] == list(HOSTILE)


def test_r117_nothing_that_people_wrote_is_markup(target: ArchiveTarget) -> None:
    name = "Room <script>x</script> \u202etxt"
    bad = Person(Principal("2", name="<b onclick=x>Bad\u202e</b>"), None, "<b onclick=x>Bad\u202e</b>")
    files = [ChatFile(str(n), "17", each) for n, each in enumerate(HOSTILE, 1) if each]
    put(
        target,
        [message(n, text, author=bad) for n, text in enumerate(HOSTILE, 1)]
        + [message(100 + n, "see", file=file, author=bad) for n, file in enumerate(files)],
        room_of(name, description="</title><script>x</script>"),
    )

    for path in target._top.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text), path
        made = page(path)
        assert [script.get("src") for script in made.iter("script")] in (
            ["../../search/marks.js"],
            ["search/marks.js"],
            ["search/marks.js", "search/search.js"],
        )
        assert not made.xpath("//@*[starts-with(name(), 'on')]") + made.xpath("//style | //iframe | //object | //form")
        for address in made.xpath("//@href | //@src"):
            assert re.match(r"(https?://example\.org/|#|(\.\./)*[a-z0-9][^:]*$)", address), address


def test_r117_html_is_shown_where_it_says_what_the_text_says(target: ArchiveTarget) -> None:
    formatted = [
        ("a label (https://example.org/?a=1&b=2)", '<a href="https://example.org/?a=1&amp;b=2">a label</a>'),
        ("bold\nand <more>", "<strong>bold</strong><br>and &lt;more&gt;"),
        ("label alone", '<a href="https://example.org/">label</a> alone'),
        ("all of it", "not <b>all</b> of it"),
        ("click (javascript:alert(1))", '<a href="javascript:alert(1)">click</a>'),
        ("hello", '<b onclick="x">hello</b><script>x</script>'),
    ]
    key = put(target, [message(n, text, html=given) for n, (text, given) in enumerate(formatted, 1)])

    assert [each.text for each in target.read_messages(key)] == [text for text, _ in formatted]
    shown = page(folder(target) / "index.html").xpath('//div[@class="text"]')
    assert shown[0].xpath("a/@href") == ["https://example.org/?a=1&b=2"]
    assert shown[1].xpath("strong/text()") == ["bold"]
    assert shown[3].xpath("b") == shown[4].xpath("a") == []


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("C:\\Users\\x\\report.pdf", "C_Users_x_report.pdf"),
        ("con.txt", "file_con.txt"),
        ("\u202egpj.exe", "gpj.exe"),
        (" . ", "file_"),
        ("Bericht für März 報告.docx", "Bericht für März 報告.docx"),
    ],
)
def test_r119_names_of_files_lead_nowhere_else(name: str, kept: str) -> None:
    made = safe_name(name)

    assert made.strip("_") == kept.strip("_")
    assert len(safe_name(name * 200).encode()) <= 110
    assert path_of("ab" * 32, name).count("/") == 3


def test_r119_what_a_browser_would_run_is_shown_as_text(target: ArchiveTarget) -> None:
    evil = ChatFile("f", "17", "evil.HTML")
    key = put(target, [message(1, "evil.HTML", file=evil, kind=MessageKind.FILE)])

    (link,) = page(folder(target) / "index.html").xpath('//a[@class="name"]')
    assert link.get("href").endswith("/evil.HTML.txt")
    assert "".join(link.itertext()) == "evil.HTML"
    (read,) = target.read_messages(key)
    assert (read.text, read.file_name, read.file_bytes) == ("evil.HTML", "evil.HTML", 9)
    assert read.file_sha256 == hashlib.sha256(b"evil.HTML").hexdigest()


def test_r117_a_message_that_ends_with_the_name_of_its_file_links_it_there(target: ArchiveTarget) -> None:
    texts = ["The offer\noffer\u202e.pdf", "offer\u202e.pdf", "see below", "offer\u202e.pdf, signed"]
    file = ChatFile("f", "17", "offer\u202e.pdf")
    key = put(target, [message(n, text, file=file) for n, text in enumerate(texts, 1)])

    read = list(target.read_messages(key))
    assert [each.text for each in read] == texts
    assert {(each.file_name, each.file_bytes) for each in read} == {
        ("offer\u202e.pdf", len("offer\u202e.pdf".encode()))
    }
    links = page(folder(target) / "index.html").xpath('//article//a[@class="name"]')
    assert [link.getparent().get("class") for link in links] == ["text", "text", "file", "file"]


CHANGES = {
    "text": (b">Second<", b">Sceond<"),
    "author": (b"anna@contoso.com", b"anne@contoso.com"),
    "time": (b'datetime="2013-04-05T09:32:00.000Z"', b'datetime="2013-04-05T09:33:00.000Z"'),
    "time that is shown": (b">09:32:00<", b">09:34:00<"),
    "message removed": (b'<article id="m2"', b'<!-- <article id="m2"'),
    "name of file": (b">notes.txt<", b">votes.txt<"),
    "link of file": (b"/notes.txt", b"/other.txt"),
}


def test_r123_an_altered_page_is_noticed(target: ArchiveTarget) -> None:
    file = ChatFile("f", "17", "notes.txt")
    key = put(target, [message(1, "First"), message(2, "Second"), message(3, "see", file=file)])
    before = list(target.read_messages(key))
    index = folder(target) / "index.html"
    as_made = index.read_bytes()
    for change, (old, new) in CHANGES.items():
        assert old in as_made, change
        index.write_bytes(as_made.replace(old, new))
        assert list(target.read_messages(key)) != before, change
    index.write_bytes(as_made)
    assert list(target.read_messages(key)) == before


def test_r123_altered_octets_and_missing_pages_are_noticed(
    target: ArchiveTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_site, "MESSAGES_A_PAGE", 2)
    file = ChatFile("f", "17", "notes.txt")
    key = put(
        target, [*(message(n, "text", BEGAN + timedelta(days=40 * n)) for n in range(1, 6)), message(6, "x", file=file)]
    )
    (path,) = (each for each in (target._top / "files").rglob("*") if each.is_file())
    path.write_bytes(b"other")
    *_, read = target.read_messages(key)
    assert read.file_sha256 == hashlib.sha256(b"other").hexdigest()

    (folder(target) / "2013-08.html").unlink()
    with pytest.raises(TargetProblem) as problem:
        list(target.read_messages(key))
    assert problem.value.code == "chat-made-unreadable"


def test_a_long_room_has_several_pages_that_lead_to_each_other(
    target: ArchiveTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_site, "MESSAGES_A_PAGE", 10)
    days = [*(n * 9 for n in range(20)), *(400 + n / 100 for n in range(25))]
    texts = [message(n, f"text {n}", BEGAN + timedelta(days=day)) for n, day in enumerate(days, 1)]
    key = put(target, texts)

    index = page(folder(target) / "index.html")
    assert index.xpath("//article") == []
    addresses = index.xpath('//nav[@class="pages"]//a/@href')
    assert addresses == ["2013-04.html", "2013-07.html", "2014-05.html", "2014-05-2.html", "2014-05-3.html"]
    assert index.xpath('//nav[@class="pages"]//h3/text()') == ["2013", "2014"]
    found = []
    for number, address in enumerate(addresses):
        made = page(folder(target) / address)
        ids = made.xpath("//article/@id")
        assert 0 < len(ids) <= 10
        found += ids
        assert made.xpath('//a[@rel="prev"]/@href')[:1] == addresses[max(number - 1, 0) : number]
        assert made.xpath('//a[@rel="next"]/@href')[:1] == addresses[number + 1 : number + 2]
    assert found == [f"m{n}" for n in range(1, 46)]
    assert [each.n for each in texts] == [int(each.key.partition("/")[2]) for each in target.read_messages(key)]


def test_pages_that_are_no_more_needed_are_removed(target: ArchiveTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_site, "MESSAGES_A_PAGE", 2)
    put(target, [message(n, "text") for n in range(1, 6)])
    assert len(list(folder(target).glob("*.html"))) == 4
    monkeypatch.undo()
    put(target, [])
    assert [each.name for each in folder(target).glob("*.html")] == ["index.html"]


def test_r120_merged_rooms_stand_by_time_and_people_are_united(target: ArchiveTarget) -> None:
    first = put(target, [message(1, "one"), message(3, "three")], room_of(members=frozenset({"a@contoso.com"})))
    other = OutgoingRoom(
        Room("99", "8", "Planning too"),
        OutgoingCategory("8", "Other", merges_into="1"),
        "Planning",
        joining=Joining.ORGANIZATION,
        members=frozenset({"b@contoso.com"}),
        merges_into=first,
    )
    texts = [
        message(1, "two", BEGAN + timedelta(minutes=2), key="99/1"),
        message(2, "four", BEGAN + timedelta(hours=1), key="99/2"),
    ]
    for _ in range(2):
        assert put(target, texts, other) == first
        assert [each.text for each in target.read_messages(first)] == ["one", "two", "three", "four"]
    read = target.read_room(first)
    assert read.members == {"a@contoso.com", "b@contoso.com"}
    assert read.joining is Joining.INVITED  # never wider than it was
    ids = page(folder(target) / "index.html").xpath("//article/@id")
    assert len(set(ids)) == 4


def test_r111_another_archive_with_the_same_numbers_loses_nothing(target: ArchiveTarget) -> None:
    put(target, [message(1, "of the first archive")])
    key = put(target, [message(1, "of the second", BEGAN + timedelta(days=9))])

    assert [each.text for each in target.read_messages(key)] == ["of the first archive", "of the second"]


def test_the_archive_for_programs_lies_beside_and_all_can_be_checked(target: ArchiveTarget, tmp_path: Path) -> None:
    assert isinstance(target, MakesFiles)
    assert isinstance(target, KeepsArchives)
    assert target.products() == []
    target.keep_archive("../chat 2013.zip", lambda path: path.write_bytes(b"PK archive"))
    put(target, [message(1, "Hello", file=ChatFile("f", "17", "notes.txt"))])

    (made,) = target.products()
    assert page(target._top / "index.html").xpath('//ul[@class="files"]//a/@href') == ["_chat%202013.zip"]
    with zipfile.ZipFile(made) as packed:
        names = packed.namelist()
        packed.extractall(tmp_path / "taken")
    assert not [name for name in names if ".new-" in name or "spool" in name]
    taken = tmp_path / "taken" / "chat-archive"
    checked = subprocess.run(
        ["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"], cwd=taken, capture_output=True, text=True
    )
    assert (checked.stdout, checked.stderr, checked.returncode) == ("", "", 0)
    assert len((taken / "SHA256SUMS").read_text().splitlines()) == len(names) - 1
    assert (taken / "_chat 2013.zip").read_bytes() == b"PK archive"


def test_every_relative_link_leads_to_something(target: ArchiveTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_site, "MESSAGES_A_PAGE", 3)
    files = [ChatFile(str(n), "17", name) for n, name in enumerate(("a b#c?.txt", "100%.png", "x.svg", "ä.pdf"))]
    put(target, [message(n, "text", file=file) for n, file in enumerate(files, 1)])

    seen = 0
    for path in target._top.rglob("*.html"):
        for address in page(path).xpath("//@href | //@src"):
            place, _, fragment = str(address).partition("#")
            there = path.parent / unquote(place) if place else path
            assert there.is_file(), (path, address)
            if fragment and fragment != "main":
                assert page(there).xpath(f"//*[@id='{fragment}']"), (path, address)
            seen += 1
    assert seen > 50


def test_r129_nobody_else_on_the_machine_may_read_it(target: ArchiveTarget) -> None:
    put(target, [message(1, "text", file=ChatFile("f", "17", "notes.txt"))])

    for path in target._folder.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
