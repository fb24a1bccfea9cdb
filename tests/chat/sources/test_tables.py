"""``mgc-tables``: what the published tables of a database become (R104)."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from migrations_app.chat.archive.problems import Unusable
from migrations_app.chat.archive.reading import open_archive
from migrations_app.chat.archive.records import (
    MessageKind,
    Principal,
    PrincipalKind,
    PrincipalState,
    Privacy,
    RoleName,
    RoomType,
)
from migrations_app.chat.sources import scratch
from migrations_app.chat.sources.tables import TablesSource
from tests.support.chat_organization import Organization, write_organization
from tests.support.chat_tables import PLAIN, Style, Table, tables_of, write_tables

STYLES = {
    "utf-8": PLAIN,
    "utf-8 with a mark": Style(encoding="utf-8-sig", true="True", false="False"),
    "utf-16 with a mark": Style(encoding="utf-16", delimiter="\t", null="NULL"),
    "utf-16 without": Style(encoding="utf-16-le", delimiter=";", newline="\n"),
}


@pytest.fixture(scope="module")
def organization(tmp_path_factory: pytest.TempPathFactory) -> Organization:
    return write_organization(tmp_path_factory.mktemp("organization") / "archive", messages=300)


@pytest.fixture(scope="module")
def tables(organization: Organization) -> Mapping[str, Table]:
    return tables_of(organization.folder)


@pytest.fixture
def small() -> dict[str, Table]:
    """A root, a category, a room, two people, and two messages."""
    return {
        "tblPrincipalType": [
            ["ptypeID", "ptypeDesc", "ptypeIsSystemUser", "ptypeIsUser"],
            ["4", "SystemUser", "1", "0"],
            ["5", "User", "0", "1"],
            ["9", "Group", "0", "0"],
            ["10", "Folder", "0", "0"],
        ],
        "tblPrincipal": [
            [
                *("prinID", "prinGuid", "prinUri", "prinName", "prinEmail", "prinADPath", "prinADUserPrincipalName"),
                *("prinDisabled", "prinTypeID"),
            ],
            [
                *("7", "{8C0D8A2E-0000-4000-8000-000000000007}", "sip:ann@contoso.com", "Ann Lee", "ann@contoso.com"),
                *("CN=Ann Lee,DC=contoso,DC=com", "ann@contoso.com", "0", "5"),
            ],
            [
                *(
                    "8",
                    "8c0d8a2e-0000-4000-8000-000000000008",
                    "ma-grp://contoso.com/8",
                    "",
                    "",
                    r"CN=Sales\, West,OU=G",
                ),
                *("", "0", "9"),
            ],
        ],
        "tblPrincipalAffiliations": [["principalID", "affiliationID"], ["7", "7"], ["8", "8"], ["7", "8"]],
        "tblNode": [
            [
                *("nodeID", "nodeGuid", "parentID", "nodeType", "nodeName", "nodeDesc", "invite", "logged", "filePost"),
                *("disabled", "behavior", "visibility"),
            ],
            ["1", "g1", "1", "1", "Root", "", "1", "1", "1", "0", "4", ""],
            ["2", "g2", "1", "1", "Work", "", "", "0", "", "0", "4", "6"],
            ["3", "g3", "2", "0", "  Room  3 ", "", "", "", "", "0", "4", ""],
        ],
        "tblRoleType": [["rtypeID", "rtypeDesc"], ["1", "Member"], ["2", "Manager"]],
        "tblPrincipalRole": [["prinRoleNodeID", "prinRolePrinID", "prinRoleTypeID"], ["3", "7", "2"], ["3", "8", "1"]],
        "tblScopePrincipal": [["scopeNodeID", "scopePrinID", "scopeIsDenied"], ["2", "8", "0"], ["3", "7", "1"]],
        "tblChat": [
            ["channelID", "chatID", "chatDate", "userId", "isAlert", "content"],
            ["3", "2", "633482073409535482", "7", "0", "second"],
            ["3", "1", "633482073409535480", "7", "1", "first"],
        ],
    }


def problems_of(folder: Path, **options: Any) -> list[tuple[str, int | None, str]]:
    with pytest.raises(Unusable) as refused:
        TablesSource(folder, **options)
    return [(each.entry, each.line, str(each.reason)) for each in refused.value.problems]


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
@pytest.mark.parametrize("shuffled", [False, True], ids=["sorted", "unsorted"])
def test_r104_tables_become_what_the_organization_is(
    organization: Organization, tmp_path: Path, style: Style, shuffled: bool
) -> None:
    folder = write_tables(tmp_path / "t", tables_of(organization.folder, style), style, shuffled=shuffled)
    with open_archive(organization.folder) as archive, TablesSource(folder, scratch=tmp_path) as source:
        expected = {each.id: each for each in archive.principals()}
        for person in source.principals():
            known = expected.pop(person.id)
            # What the tables have and the archive of the test has not: a URI of a group, and what types are called.
            more = {name: value for name, value in person.more.items() if name not in {"source_type", "prinUri"}}
            assert replace(person, more=more) == replace(known, members=known.members and tuple(sorted(known.members)))
        assert not expected
        assert [_category(each) for each in sorted(source.categories(), key=lambda each: int(each.id))] == [
            _category(each) for each in sorted(archive.categories(), key=lambda each: int(each.id))
        ]
        rooms = {each.id: each for each in source.rooms()}
        for room in archive.rooms():
            found = rooms.pop(room.id)
            assert replace(found, roles=()) == replace(room, roles=())
            assert set(found.roles) == set(room.roles)
            assert list(source.messages(room.id)) == list(archive.messages(room.id))
        assert not rooms
        assert {each.id: each.room for each in source.files()} == {each.id: each.room for each in archive.files()}
        assert source.notes == []
    assert [path.name for path in tmp_path.iterdir()] == ["t"], "what was sorted by is gone"


def _category(each: Any) -> Any:
    more = {name: value for name, value in each.more.items() if name != "nodeAddedOn"}
    return replace(each, more=more, roles=tuple(sorted(each.roles, key=str)), allowed=tuple(sorted(each.allowed)))


def test_r104_parents_come_before_their_children(tables: Mapping[str, Table], tmp_path: Path) -> None:
    with TablesSource(write_tables(tmp_path / "t", tables, shuffled=True)) as source:
        seen: set[str | None] = {None}
        for category in source.categories():
            assert category.parent in seen
            seen.add(category.id)
        assert len(seen) == 12


def test_r104_what_is_not_set_comes_from_above_and_privacy_is_never_widened(
    small: dict[str, Table], tmp_path: Path
) -> None:
    small["tblNode"].append(["4", "g4", "1", "0", "In the root", "", "0", "", "", "1", "5", "NULL"])
    with TablesSource(write_tables(tmp_path, small)) as source:
        root, work = source.categories()
        inherits, other = source.rooms()
    assert (root.more, root.parent, work.parent) == ({"root": True}, None, None)
    assert (work.invitations, work.history, work.files) == (True, False, True)
    assert (inherits.name, inherits.privacy, inherits.invitations) == ("  Room  3 ", Privacy.OPEN, None)
    assert inherits.more == {"denied": ["7"]}
    assert (other.privacy, other.invitations, other.is_disabled) == (Privacy.PRIVATE, False, True)
    assert (other.type, other.category) == (RoomType.AUDITORIUM, "1")


def test_r104_people_groups_and_who_is_in_them(small: dict[str, Table], tmp_path: Path) -> None:
    head = small["tblPrincipal"][0]
    small["tblPrincipal"] += [
        ["9", "g", "sip:off@contoso.com", "Off", "", "", "", "1", "5"],
        ["10", "g", "SIP:gone@contoso.com", "NULL", "NULL", "NULL", "NULL", "2", "5"],
        ["11", "g", "ma-grp://contoso.com/11", "", "", "OU=Branch,DC=contoso", "", "0", "10"],
        ["12", "g", "sip:true@contoso.com", "True", "", "", "", "True", "5"],
    ]
    assert len(head) == len(small["tblPrincipal"][-1])
    with TablesSource(write_tables(tmp_path, small)) as source:
        people = {each.id: each for each in source.principals()}
    assert people["7"] == Principal(
        "7", PrincipalKind.USER, "ann@contoso.com", "ann@contoso.com", "Ann Lee", "ann@contoso.com",
        "8c0d8a2e-0000-4000-8000-000000000007",
        more={"prinADPath": "CN=Ann Lee,DC=contoso,DC=com", "source_type": "User"},
    )  # fmt: skip
    assert (people["8"].kind, people["8"].name, people["8"].members) == (PrincipalKind.GROUP, "Sales, West", ("7",))
    assert people["9"].state is PrincipalState.DISABLED
    assert (people["10"].state, people["10"].name) == (PrincipalState.DELETED, "SIP:gone@contoso.com")
    assert (people["11"].kind, people["11"].name, people["11"].members) == (PrincipalKind.FOLDER, "Branch", None)
    assert people["12"].state is PrincipalState.DISABLED


def test_r104_of_group_chat_there_is_no_rtf_and_columns_are_spelled_otherwise(
    small: dict[str, Table], tmp_path: Path
) -> None:
    with TablesSource(write_tables(tmp_path, small)) as source:
        first, second = source.messages("3")
        (room,) = source.rooms()
    assert (first.n, first.kind, first.text, first.rtf) == (1, MessageKind.ALERT, "first", "")
    assert second.at == datetime(2008, 6, 4, 20, 15, 40, 953_000, tzinfo=UTC)
    assert second.ticks == 633482073409535482
    assert (room.messages, room.first, room.last) == (2, first.at, second.at)
    assert [grant.role for grant in room.roles] == [RoleName.MANAGER, RoleName.MEMBER]


GUID = "0988239a-bb66-4616-90a4-b07771a2097c"


@pytest.mark.parametrize(
    ("content", "kind", "name"),
    [
        (f'<a href="ma-filelink:{GUID}.txt">Минуты.txt</a>', MessageKind.FILE, "Минуты.txt"),
        (f"ma-filelink://contoso.com/{GUID.upper()}.txt", MessageKind.FILE, f"{GUID}.txt"),
        (f"[STORY]Title\r\nma-filelink:{GUID}.txt?name=a%20b.txt", MessageKind.STORY, "a b.txt"),
        (f"<A HREF='MA-FILELINK:/x/{GUID}.txt'>a &amp; b.txt</A>", MessageKind.FILE, "a & b.txt"),
    ],
)
def test_r104_text_stays_as_it_is_and_files_are_known_by_their_name_in_the_store(
    small: dict[str, Table], tmp_path: Path, content: str, kind: MessageKind, name: str
) -> None:
    small["tblChat"].append(["3", "3", "633482073409535490", "7", "0", content])
    with TablesSource(write_tables(tmp_path, small)) as source:
        message = list(source.messages("3"))[-1]
        (file,) = source.files()
        assert source.octets(file) is None
    assert (message.text, message.kind, message.file) == (content, kind, f"{GUID}.txt")
    assert (file.id, file.name, file.uploader, file.is_missing) == (f"{GUID}.txt", name, "7", True)


def test_r104_a_file_that_two_rooms_show_is_a_file_of_each(small: dict[str, Table], tmp_path: Path) -> None:
    small["tblNode"].append(["4", "g4", "2", "0", "Other", "", "", "", "", "0", "4", "2"])
    link = f"ma-filelink:{GUID}.txt"
    small["tblChat"] += [
        ["4", "1", "633482073409535500", "7", "0", link],
        ["3", "3", "633482073409535400", "7", "0", f"{link} and ma-filelink:other.txt"],
    ]
    with TablesSource(write_tables(tmp_path, small)) as source:
        assert {(each.id, each.room, each.more["store_name"]) for each in source.files()} == {
            (f"{GUID}.txt", "3", f"{GUID}.txt"),
            ("other.txt", "3", "other.txt"),
            (f"4/{GUID}.txt", "4", f"{GUID}.txt"),
        }
        (there,) = source.messages("4")
        both = list(source.messages("3"))[-1]
    assert there.file == f"4/{GUID}.txt"
    assert both.more == {"files": [f"{GUID}.txt", "other.txt"]}


BAD: dict[str, tuple[str, list[str] | None, int | None, str]] = {
    "double node": ("tblNode", ["3", "g", "2", "0", "X", "", "", "", "", "0", "4", "2"], 5, "number 3 already"),
    "unknown parent": ("tblNode", ["9", "g", "77", "0", "X", "", "", "", "", "0", "4", "2"], 5, "77 is not in tblNode"),
    "room in a room": ("tblNode", ["9", "g", "3", "0", "X", "", "", "", "", "0", "4", "2"], 5, "parent 3 is a room"),
    "room without": ("tblNode", ["9", "g", "", "0", "X", "", "", "", "", "0", "4", "2"], 5, "has no category"),
    "second root": ("tblNode", ["9", "g", "9", "1", "X", "", "", "", "", "0", "4", "2"], 5, "its own parent"),
    "no name": ("tblNode", ["9", "g", "1", "1", " ", "", "", "", "", "0", "4", "2"], 5, "has no name"),
    "behavior": ("tblNode", ["9", "g", "1", "0", "X", "", "", "", "", "0", "7", "2"], 5, "not 4 or 5"),
    "visibility": ("tblNode", ["9", "g", "1", "0", "X", "", "", "", "", "0", "4", "4"], 5, "not 2, 3 or 6"),
    "no bit": ("tblNode", ["9", "g", "1", "0", "X", "", "", "", "", "maybe", "4", "2"], 5, "neither true nor false"),
    "too few fields": ("tblNode", ["9", "g", "1"], 5, "3 fields, and the head of the file names 12"),
    "unknown role": ("tblPrincipalRole", ["3", "7", "9"], 4, "role 9 is not in tblRoleType"),
    "role of nobody": ("tblPrincipalRole", ["3", "70", "1"], 4, "70 is not in tblPrincipal"),
    "role on nothing": ("tblPrincipalRole", ["30", "7", "1"], 4, "30 is not in tblNode"),
    "new role": ("tblRoleType", ["8", "Owner"], 4, "no role Owner"),
    "scope of nobody": ("tblScopePrincipal", ["2", "70", "0"], 4, "70 is not in tblPrincipal"),
    "member of nothing": ("tblPrincipalAffiliations", ["7", "80"], 5, "80 is not in tblPrincipal"),
    "double person": ("tblPrincipal", ["7", "g", "sip:x", "X", "", "", "", "0", "5"], 4, "number 7 already"),
    "unknown type": ("tblPrincipal", ["9", "g", "sip:x", "X", "", "", "", "0", "6"], 4, "type 6"),
    "unknown state": ("tblPrincipal", ["9", "g", "sip:x", "X", "", "", "", "3", "5"], 4, "not 0, 1 or 2"),
    "double message": ("tblChat", ["3", "1", "633482073409535490", "7", "0", "x"], 4, "has a message 1 already"),
    "message zero": ("tblChat", ["3", "0", "633482073409535490", "7", "0", "x"], 4, "below one"),
    "milliseconds": ("tblChat", ["3", "3", "1212610540953", "7", "0", "x"], 4, "no time in ticks"),
    "no number": ("tblChat", ["3", "3", "yesterday", "7", "0", "x"], 4, "chatDate has …, which is no number"),
    "no author": ("tblChat", ["3", "3", "633482073409535490", "", "0", "x"], 4, "userId has no value"),
    "unknown author": ("tblChat", ["3", "3", "633482073409535490", "9", "0", "x"], 4, "principal 9"),
    "unknown room": ("tblChat", ["33", "3", "633482073409535490", "7", "0", "x"], 4, "33, which is not in tblNode"),
    "in a category": ("tblChat", ["2", "3", "633482073409535490", "7", "0", "x"], 4, "2, which is a category"),
    "too large": ("tblChat", ["3", "9" * 30, "633482073409535490", "7", "0", "x"], 4, "which is no number"),
    "NUL": ("tblChat", ["3", "3", "633482073409535490", "7", "0", "a\0b"], 4, "NUL"),
    "too long": ("tblChat", ["3", "3", "633482073409535490", "7", "0", "ab" * 2**19], 4, "longer than 1 MiB"),
}


@pytest.mark.parametrize(("table", "row", "line", "reason"), BAD.values(), ids=BAD)
def test_r101_each_bad_line_is_told_with_its_file_and_reason(
    small: dict[str, Table], tmp_path: Path, table: str, row: list[str], line: int, reason: str
) -> None:
    small[table].append(row)
    ((file, at, told),) = problems_of(write_tables(tmp_path / "t", small), scratch=tmp_path)
    assert (file, at) == (f"{table}.csv", line)
    assert reason in told
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


@pytest.mark.parametrize("column", ["channelID", "chatID", "chatDate", "userId", "isAlert"])
def test_r129_text_that_stands_in_another_column_is_in_no_problem(
    small: dict[str, Table], tmp_path: Path, column: str
) -> None:
    row = ["3", "3", "633482073409535490", "7", "0", "x"]
    row[small["tblChat"][0].index(column)] = "Nobody is to know"
    small["tblChat"].append(row)
    ((_, line, told),) = problems_of(write_tables(tmp_path / "t", small))
    assert line == 4
    assert f"The column {'channelId' if column == 'channelID' else 'chatId' if column == 'chatID' else column}" in told
    assert "Nobody" not in told


def test_r101_all_bad_lines_are_told_at_once(small: dict[str, Table], tmp_path: Path) -> None:
    rows = ("double message", "no number", "unknown author")
    for each in rows:
        small["tblChat"].append(deepcopy(BAD[each][1]) or [])
    small["tblPrincipalRole"].append(["30", "7", "1"])
    told = problems_of(write_tables(tmp_path, small))
    assert {(file, line) for file, line, _ in told} == {
        ("tblPrincipalRole.csv", 4), ("tblChat.csv", 4), ("tblChat.csv", 5), ("tblChat.csv", 6),
    }  # fmt: skip


def test_r101_categories_that_lie_within_each_other_are_refused(small: dict[str, Table], tmp_path: Path) -> None:
    for number, parent in (("20", "22"), ("21", "20"), ("22", "21")):
        small["tblNode"].append([number, "g", parent, "1", f"C{number}", "", "1", "1", "1", "0", "4", "2"])
    ((file, _, told),) = problems_of(write_tables(tmp_path, small))
    assert file == "tblNode.csv"
    assert "lies within itself" in told


def test_r104_a_missing_table_or_column_is_named(small: dict[str, Table], tmp_path: Path) -> None:
    del small["tblRoleType"]
    small["tblChat"] = [row[:3] + row[4:] for row in small["tblChat"]]
    assert [(file, line, told) for file, line, told in problems_of(write_tables(tmp_path, small))] == [
        ("tblRoleType.csv", None, "The file is not there. MMS's script writes one file for each table."),
        ("tblChat.csv", 1, "The column userId is missing: write the file with MMS's script."),
    ]
    assert problems_of(tmp_path / "nothing")[0][2] == "There is no such folder."


def test_r101_rooms_can_be_left_out_with_their_bad_lines(small: dict[str, Table], tmp_path: Path) -> None:
    small["tblNode"].append(["4", "g4", "2", "0", "Broken", "", "", "", "", "0", "4", "9"])
    small["tblChat"].append(["4", "3", "long ago", "7", "0", "x"])
    small["tblPrincipalRole"].append(["4", "70", "1"])
    folder = write_tables(tmp_path, small)
    assert len(problems_of(folder)) >= 2
    for name in ("4", "Broken"):
        with TablesSource(folder, leave_out=[name]) as source:
            assert [each.id for each in source.rooms()] == ["3"]
            assert list(map(str, source.notes)) == ["1 room was left out."]


def test_r104_formatting_that_is_too_long_is_left_out_and_counted(small: dict[str, Table], tmp_path: Path) -> None:
    small["tblChat"][0].append("rtf")
    for row in small["tblChat"][1:]:
        row.append(r"{\rtf1 " + "x" * 2**20 + "}")
    small["tblChat"][2][-1] = r"{\rtf1 short}"
    with TablesSource(write_tables(tmp_path, small)) as source:
        first, second = source.messages("3")
        assert (first.rtf, second.rtf, second.text) == (r"{\rtf1 short}", "", "second")
        assert source.ignored == {"RTF too long": 1}
        assert "1 message" in str(source.notes[0])


def test_r101_a_file_that_is_changed_meanwhile_is_refused(small: dict[str, Table], tmp_path: Path) -> None:
    with TablesSource(write_tables(tmp_path, small)) as source:
        path = tmp_path / "tblChat.csv"
        path.write_bytes(path.read_bytes() + b"3,9,633482073409535490,7,0,more\r\n")
        with pytest.raises(Unusable, match="changed while it was read"):
            list(source.messages("3"))


def test_r101_memory_does_not_grow_with_messages(
    small: dict[str, Table], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "BATCH", 100)

    def most(count: int) -> int:
        folder = tmp_path / str(count)
        head, *_ = small["tblChat"]
        small["tblChat"] = [
            head,
            *(["3", str(n), str(633482073409535482 + n), "7", "0", f"{n} says hello"] for n in range(count, 0, -1)),
        ]
        write_tables(folder, small)
        small["tblChat"] = [head]
        tracemalloc.start()
        try:
            with TablesSource(folder) as source:
                assert sum(1 for _ in source.messages("3")) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few = most(500)
    assert most(4_000) < few * 1.5
