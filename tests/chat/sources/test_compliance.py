"""``compliance-xml``: what the files of the compliance service become (R105)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from migrations_app.chat.archive.problems import Unusable
from migrations_app.chat.archive.reading import open_archive
from migrations_app.chat.archive.records import Grant, MessageKind, Principal, Privacy, RoleName
from migrations_app.chat.sources.compliance import ComplianceSource
from migrations_app.chat.sources.compliance_events import SPACING
from tests.support.chat_compliance import FOOT, HEAD, can_be_told, conversation, sent, uri_of, write, write_compliance
from tests.support.chat_organization import write_organization

ROOM = uri_of("300")
GUID = "0988239a-bb66-4616-90a4-b07771a2097c"
BEGIN = 633482073409535482
BOB = {"UserName": "Bob", "id": "11", "email": "bob@fabrikam.com", "internal": "false", "uri": "bob@fabrikam.com"}


def problems_of(path: Path, **options: Any) -> list[tuple[str, int | None, str]]:
    with pytest.raises(Unusable) as refused:
        ComplianceSource(path, **options)
    return [(each.entry, each.line, str(each.reason)) for each in refused.value.problems]


def test_r105_files_of_a_room_are_merged_and_say_what_was_said(tmp_path: Path) -> None:
    organization = write_organization(tmp_path / "archive", messages=300)
    folder = write_compliance(organization.folder, tmp_path / "xml")
    with open_archive(organization.folder) as archive, ComplianceSource(folder, scratch=tmp_path) as source:
        people = {each.id: each for each in archive.principals()}
        rooms = {room.more["uri"]: room for room in source.rooms()}
        written = {person.id for person in source.principals()}
        for room in archive.rooms():
            expected = [each for each in archive.messages(room.id) if can_be_told(each)]
            if not expected:
                assert uri_of(room.id) not in rooms
                continue
            found = rooms[uri_of(room.id)]
            messages = list(source.messages(found.id))
            told = [(each.ticks, each.author, each.text, each.file) for each in messages]
            said = [(each.ticks, each.author, "" if each.file else each.text, each.file) for each in expected]
            # Uploads have no number, and stand where their time is; the rest keeps its order.
            assert sorted(told) == sorted(said)
            assert [each for each in told if not each[3]] == [each for each in said if not each[3]]
            assert [each.at for each in messages] == [each.at for each in expected]
            assert [each.n for each in messages] == sorted({each.n for each in messages})
            assert (found.name, found.privacy, found.messages) == (room.name, Privacy.PRIVATE, len(expected))
            assert (found.first, found.last) == (expected[0].at, expected[-1].at)
            assert {grant.principal for grant in found.roles} == {each.author for each in expected} <= written
        for person in source.principals():
            assert (person.name, person.email, person.is_federated) == (
                people[person.id].name, people[person.id].email, people[person.id].is_federated,
            )  # fmt: skip
        assert source.ignored["JOIN"] == source.ignored["PART"] > 0
        assert {each.id for each in source.files()} == {each.id for each in archive.files()}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "xml"]


def test_r105_the_first_message_is_not_counted_twice(tmp_path: Path) -> None:
    said = sent("CHAT", "hello", id_=1)
    first = sent("CHAT", "hello", id_=1, name="FirstMessage")
    join = sent("JOIN", name="FirstMessage")
    path = write(
        tmp_path / "a.xml",
        conversation(ROOM, [said], first=first),
        conversation(uri_of("301"), [sent("JOIN")], first=join),
        # Where it is not among the messages it is one of its own.
        conversation(uri_of("302"), [], first=first),
        conversation(uri_of("303"), [sent("CHAT", "later", id_=2)], first=first),
    )
    with ComplianceSource(path) as source:
        told = {room.id: [each.text for each in source.messages(room.id)] for room in source.rooms()}
        assert source.ignored == {"JOIN": 1}
    assert told == {
        "contoso.com-300": ["hello"], "contoso.com-302": ["hello"], "contoso.com-303": ["hello", "later"],
    }  # fmt: skip


def test_r105_what_nobody_wrote_is_counted_and_not_taken(tmp_path: Path) -> None:
    kinds = ["JOIN", "PART", "BACKCHAT", "FILEDOWNLOAD", "JOIN", "SHRUG"]
    path = write(tmp_path / "a.xml", conversation(ROOM, [*map(sent, kinds), sent("CHAT", "x", id_=1)]))
    with ComplianceSource(path) as source:
        assert source.ignored == {"JOIN": 2, "PART": 1, "BACKCHAT": 1, "FILEDOWNLOAD": 1, "SHRUG": 1}
        assert any("SHRUG" in str(note) for note in source.notes)
        assert [room.messages for room in source.rooms()] == [1]


def test_r105_uploads_stand_between_messages_by_time_and_numbers_do_not_depend_on_them(tmp_path: Path) -> None:
    messages = [
        sent("FILEUPLOAD", f"{GUID}.txt", ticks=BEGIN + 5, sender=BOB),
        sent("CHAT", "second", id_=7, ticks=BEGIN + 20),
        sent("CHAT", "first", id_=5, ticks=BEGIN + 1),
        sent("FILEUPLOAD", "before.txt", ticks=BEGIN),
        sent("FILEUPLOAD", "between.doc", ticks=BEGIN + 6),
    ]
    path = write(tmp_path / "a.xml", conversation(ROOM, messages), conversation(ROOM, messages[:2]))
    with ComplianceSource(path) as source:
        told = [(each.n, each.kind.value, each.text, each.file) for each in source.messages("contoso.com-300")]
        files = {each.id: (each.room, each.name, each.uploader) for each in source.files()}
    assert told == [
        (1, "file", "", "before.txt"),
        (5 * SPACING, "message", "first", ""),
        (5 * SPACING + 1, "file", "", f"{GUID}.txt"),
        (5 * SPACING + 2, "file", "", "between.doc"),
        (7 * SPACING, "message", "second", ""),
    ]
    assert files[f"{GUID}.txt"] == ("contoso.com-300", f"{GUID}.txt", "11")


def test_r105_an_upload_that_a_message_shows_is_that_message(tmp_path: Path) -> None:
    link = f'<a href="ma-filelink:{GUID}.txt">Plan.txt</a>'
    messages = [sent("FILEUPLOAD", f"{GUID}.TXT"), sent("CHAT", link, id_=1, ticks=BEGIN + 9)]
    with ComplianceSource(write(tmp_path / "a.xml", conversation(ROOM, messages))) as source:
        (message,) = source.messages("contoso.com-300")
        (file,) = source.files()
        assert source.ignored == {"FILEUPLOAD shown by a message": 1}
    assert (message.kind, message.text, message.file) == (MessageKind.FILE, link, file.id)
    assert file.name == "Plan.txt"


def test_r105_a_csv_may_say_what_rooms_are_and_who_belongs_to_them(tmp_path: Path) -> None:
    write(
        tmp_path / "a.xml",
        conversation(ROOM, [sent("CHAT", "x", id_=1), sent("CHAT", "y", id_=2, sender=BOB)]),
        conversation(uri_of("301"), [sent("CHAT", "z", id_=1)]),
        conversation(uri_of("302"), [sent("CHAT", "z", id_=1)]),
    )
    (tmp_path / "Rooms.CSV").write_text(
        "Uri,Category,Name,Privacy,Managers,Members\n"
        f"{ROOM},Work,The room,open,sip:Ann@contoso.com,bob@fabrikam.com; new@contoso.com\n"
        f"{uri_of('301')},Work,Other,3,,\n".replace(",3,", ",scoped,")
        + f"{uri_of('999')},Play,Silent,,new@contoso.com,\n",
        encoding="utf-8-sig",
    )
    with ComplianceSource(tmp_path) as source:
        rooms = {room.name: room for room in source.rooms()}
        categories = {each.id: each.name for each in source.categories()}
        people = {each.id: each for each in source.principals()}
        notes = list(map(str, source.notes))
        assert list(source.messages(rooms["Silent"].id)) == []
    assert rooms["The room"].privacy is Privacy.OPEN
    assert rooms["The room"].roles == (
        Grant("10", RoleName.MANAGER), Grant("11", RoleName.MEMBER), Grant("new@contoso.com", RoleName.MEMBER),
    )  # fmt: skip
    assert (rooms["Other"].privacy, rooms["Other"].roles) == (Privacy.SCOPED, (Grant("10", RoleName.MEMBER),))
    assert (rooms["Silent"].privacy, rooms["Silent"].messages) == (Privacy.PRIVATE, 0)
    assert [categories[rooms[name].category] for name in ("The room", "Silent", uri_of("302"))] == [
        "Work", "Play", "contoso.com",
    ]  # fmt: skip
    assert people["new@contoso.com"] == Principal("new@contoso.com", sip="new@contoso.com", name="new@contoso.com")
    assert people["11"].is_federated
    assert any("settings of 1 room are" in note for note in notes)
    assert any("who belongs to 2 rooms" in note for note in notes)
    assert any("since compliance was switched on" in note for note in notes)


def test_r105_rooms_whose_addresses_look_alike_are_told_apart(tmp_path: Path) -> None:
    uris = ["ma-chan://contoso.com/a/b", "ma-chan://contoso.com/a-b", "ma-chan://CONTOSO.com/a-b", "///", "x" * 300]
    path = write(tmp_path / "a.xml", *(conversation(uri, [sent("CHAT", uri, id_=1)]) for uri in uris))
    with ComplianceSource(path) as source:
        ids = {room.id: room.more["uri"] for room in source.rooms()}
        assert sorted(ids.values()) == sorted(uris)
        assert len({id_.casefold() for id_ in ids}) == 5
        assert {next(source.messages(id_)).text for id_ in ids} == set(uris)
        assert all(len(id_) <= 120 and "/" not in id_ for id_ in ids)


BAD = {
    "no room": (conversation("", [sent("CHAT", "x", id_=1)]), "names no room"),
    "no number": (conversation(ROOM, [sent("CHAT", "x")]), "no number: its id is 0"),
    "no type": (conversation(ROOM, [sent("", "x")]), "no type that MMS knows"),
    "no time": (conversation(ROOM, [sent("CHAT", "x", id_=1)]).replace("long=", "l=").replace("since", "s"), "no time"),
    "other time": (conversation(ROOM, [sent("CHAT", "x", id_=1)]).replace('long="6334', 'long="6333'), "contradict"),
    "no sender": (conversation(ROOM, [sent("CHAT", "x", id_=1, sender={"UserName": "X"})]), "who sent it"),
    "no file": (conversation(ROOM, [sent("FILEUPLOAD", "")]), "does not name its file"),
    "too long": (conversation(ROOM, [sent("CHAT", "xy" * 2**19, id_=1)]), "longer than 1 MiB"),
    "another one": (
        conversation(ROOM, [sent("CHAT", "x", id_=1)]) + conversation(ROOM, [sent("CHAT", "y", id_=1)]),
        "another message with the number 1",
    ),
    "another time": (
        conversation(ROOM, [sent("CHAT", "x", id_=1), sent("CHAT", "x", id_=1, ticks=BEGIN + 1)]),
        "another message with the number 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("conversations", "reason"), BAD.values(), ids=BAD)
def test_r101_each_bad_message_is_told_with_its_file_and_line(tmp_path: Path, conversations: str, reason: str) -> None:
    (tmp_path / "t").mkdir()
    path = write(tmp_path / "t" / "bad.xml", conversations)
    write(tmp_path / "t" / "good.xml", conversation(uri_of("1"), [sent("CHAT", "x", id_=1)]))
    ((file, line, told),) = problems_of(path.parent, scratch=tmp_path)
    lines = path.read_text().splitlines()
    assert (file, told) == ("bad.xml", told)
    assert reason in told
    assert line is not None
    assert "<Message" in lines[line - 1]
    assert [each.name for each in tmp_path.iterdir()] == ["t"]


LAUGHS = '<!DOCTYPE lolz [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {chr(98 + level)} "{f"&{chr(97 + level)};" * 10}">' for level in range(9)
) + "]>"  # fmt: skip
HOSTILE = {
    "billion laughs": (f"<?xml version='1.0'?>{LAUGHS}<Conversations>&j;</Conversations>", "DOCTYPE"),
    "external entity": (
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Conversations><a>&e;</a></Conversations>', "DOCTYPE",
    ),
    "external subset": ('<!DOCTYPE Conversations SYSTEM "http://example.org/x.dtd"><Conversations/>', "DOCTYPE"),
    "deep": ("<Conversations>" + "<a>" * 100_000, "deeper than 32 levels"),
    "huge attribute": (f'{HEAD}<Conversation a="{"x" * 9 * 2**20}"/>{FOOT}', "longer than 8 MiB"),
    "huge comment": (f"{HEAD}<!-- {'x' * 9 * 2**20} -->{FOOT}", "longer than 8 MiB"),
    "cut off": (HEAD + conversation(ROOM, [sent("CHAT", "x", id_=1)]), "no complete XML"),
    "not closed": (f"{HEAD}<Conversation></Conversations>", "no complete XML"),
    "something else": ("<html><body/></html>", "begins with html"),
    "no XML": ("channelId,chatId\n", "no complete XML"),
    "empty": ("", "no complete XML"),
    "encoding": ('<?xml version="1.0" encoding="x-none"?><Conversations/>', "encoding"),
    "two roots": (f"{HEAD}{FOOT}<Conversations/>", "no complete XML"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_r101_hostile_and_damaged_xml_is_refused_with_a_sentence(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "bad.xml"
    path.write_text(text)
    ((file, _, told),) = problems_of(path)
    assert file == "bad.xml"
    assert reason in told


def test_r105_xml_may_be_utf_16(tmp_path: Path) -> None:
    text = f"{HEAD}{conversation(ROOM, [sent('CHAT', 'שלום', id_=1)])}{FOOT}".replace('"utf-8"', '"utf-16"')
    (tmp_path / "a.xml").write_bytes(text.encode("utf-16"))
    with ComplianceSource(tmp_path / "a.xml") as source:
        assert [each.text for each in source.messages("contoso.com-300")] == ["שלום"]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("Uri,Category,Name,Privacy,Managers\nx,,,,\n", 1, "column Members is missing"),
        ("Uri,Category,Name,Privacy,Managers,Members\n,,,,,\n", 2, "names no room"),
        ("Uri,Category,Name,Privacy,Managers,Members\nx,,,,,\nx,,,,,\n", 3, "x is there already"),
        ("Uri,Category,Name,Privacy,Managers,Members\nx,,,secret,,\n", 2, "secret is not private"),
        ("Uri,Category,Name,Privacy,Managers,Members\nx,y\n", 2, "2 fields"),
        ("", None, "is empty"),
    ],
)
def test_r101_what_is_wrong_with_the_csv_is_told(tmp_path: Path, text: str, line: int | None, reason: str) -> None:
    write(tmp_path / "a.xml")
    (tmp_path / "rooms.csv").write_text(text)
    ((file, at, told),) = problems_of(tmp_path)
    assert (file, at) == ("rooms.csv", line)
    assert reason in told


def test_r101_rooms_can_be_left_out_by_address_or_name(tmp_path: Path) -> None:
    write(
        tmp_path / "a.xml",
        conversation(ROOM, [sent("CHAT", "x")], name="Broken"),
        conversation(uri_of("301"), [sent("CHAT", "x", id_=1)]),
    )
    for name in (ROOM, "Broken"):
        with ComplianceSource(tmp_path, leave_out=[name]) as source:
            assert [room.id for room in source.rooms()] == ["contoso.com-301"]


def test_r105_a_folder_without_such_files_is_refused(tmp_path: Path) -> None:
    assert "no XML file" in problems_of(tmp_path)[0][2]
    assert "no such file" in problems_of(tmp_path / "x.xml")[0][2]


def test_r105_of_two_spellings_of_a_person_the_later_one_counts(tmp_path: Path) -> None:
    ann = {"UserName": "Ann Old", "id": "10", "uri": "sip:old@contoso.com"}
    messages = [
        sent("CHAT", "b", id_=2, ticks=BEGIN + 99),
        sent("CHAT", "a", id_=1, sender=ann),
        sent("CHAT", "c", id_=3, ticks=BEGIN + 100, sender={"uri": "sip:bot@contoso.com"}),
    ]
    with ComplianceSource(write(tmp_path / "a.xml", conversation(ROOM, messages))) as source:
        ann_lee, bot = source.principals()
    assert replace(ann_lee, email="") == Principal("10", sip="ann@contoso.com", name="Ann Lee")
    assert (bot.id, bot.sip, bot.name) == ("bot@contoso.com", "bot@contoso.com", "bot@contoso.com")
