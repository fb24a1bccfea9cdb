"""A generated organization with persistent chat, as an archive in a folder (R130): the same for the same seed.

Its categories have three levels below the root; its rooms have whatever makes a migration hard, and the first of them
each one of it. ``write_organization`` takes a second for 100,000 messages or so.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from migrations_app.chat.archive.records import (
    Category,
    ChatFile,
    Grant,
    Manifest,
    Message,
    MessageKind,
    Principal,
    PrincipalKind,
    PrincipalState,
    Privacy,
    RoleName,
    Room,
    RoomType,
)
from migrations_app.chat.archive.writing import ArchiveWriter

BEGAN = datetime(2008, 5, 28, 7, 0, tzinfo=UTC)
_EPOCH = datetime(1, 1, 1, tzinfo=UTC)

ROOT = "1"
SEPARATOR = " - "
LEVELS = ("Operations", "Networks", "Core & Edge")
"""A category in a category in a category. The first says yes to invitations, the second no, the third yes."""

TEXTS = (
    # Latin, with a combining accent, what looks like markup, and emoticons
    "The switch in rack 7 was restarted.",
    "Cafe\u0301 at nine? Já to udělám, až se vrátím.",
    'if (a < b && b > c) { return "<b>"; } // &amp; stays',
    "Thanks :-) ;-( (y) 100 % sure",
    # Cyrillic
    "Сервер снова работает, спасибо всем.",
    "Встреча переносится на четверг.",
    # Right to left: Hebrew with points, Arabic, both with digits
    "הַשָּׁרָת חזר לפעול בשעה 14:05.",
    "تم تحديث الخادم رقم ١٢ بنجاح.",
    "כתבו אל support@contoso.com בבקשה",
    # Han, kana, Hangul
    "会议改到星期四下午三点。",
    "サーバーを再起動しました。",
    "회의실은 3층입니다.",
    # Emoji: a family joined by zero width joiners, a skin tone, a flag
    "Done 👨\u200d👩\u200d👧\u200d👦 👍🏽 🇩🇪",
    "Two lines,\nthe second of which\n\nis followed by an empty one.",
    "A bell\x07 and a tab\tas they came.",
)
LINK = '<a href="https://example.org/wiki?page={n}&amp;from=chat">https://example.org/wiki?page={n}</a>'
LONG_TEXT = "All work and no play makes a long message. " * 1_700
"""73,100 characters in one line: longer than any target but `archive` allows."""


@dataclass(slots=True)
class Organization:
    """What was written."""

    folder: Path
    manifest: Manifest
    rooms: dict[str, Room] = field(default_factory=dict)
    """As they stand in the archive, by their ids."""
    special: dict[str, str] = field(default_factory=dict)
    """The id of the room that has a difficulty, by its name: those of ``SPECIAL``."""

    @property
    def too_long(self) -> set[str]:
        """Rooms that cannot be imported anywhere as they are: the name of their category is 257 characters long."""
        return {room.id for room in self.rooms.values() if room.category in ("30", "31")}


SPECIAL = (
    "auditorium",
    "disabled",
    "open",
    "scoped",
    "invites-against-category",
    "no-invitations",
    "empty",
    "twin",  # has the name of "other-twin", which is in another nested category
    "other-twin",
    "long-message",
    "name-256",  # 256 characters with the prefix of its category
    "name-257",  # 257 characters with it: an error where rooms get the prefix
    "category-256",  # the name of its flat category has 256 characters
    "category-257",  # has 257: an error everywhere
    "names",  # a name of four scripts
    "deleted-people",
    "federated-people",
    "groups",
    "missing-file",
    "add-in",
)


def write_organization(
    folder: Path, *, seed: int = 1, rooms: int = 24, messages: int = 400, people: int = 24
) -> Organization:
    """Write it as an archive into a folder that is empty or does not exist yet."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    with ArchiveWriter(folder) as writer:
        everybody = list(_people(people))
        for person in everybody:
            writer.principal(person)
        categories = list(_categories())
        for category in categories:
            writer.category(category)
        made = list(_rooms(chance, rooms, everybody))
        written = {}
        for room, count in zip(made, _shares(chance, made, messages), strict=True):
            done = writer.messages(room.id, _messages(chance, writer, room, count, everybody))
            whole = replace(room, messages=done.messages, first=done.first, last=done.last)
            writer.room(whole)
            written[room.id] = whole
        manifest = writer.finish(
            source="mgc-tables: contoso", created=datetime(2026, 11, 2, 3, 4, 5, 678_000, tzinfo=UTC)
        )
    return Organization(folder, manifest, written, {name: room.id for name, room in zip(SPECIAL, made, strict=False)})


def _people(count: int) -> Iterator[Principal]:
    """The first ten have something of their own; the rest are users."""
    yield Principal("501", PrincipalKind.USER, "root@contoso.com", "root@contoso.com", "Rosa Root", "root@contoso.com")
    yield Principal(
        "502", sip="gone@contoso.com", name="Greta Gone", guid="8c0d8a2e-0000-4000-8000-000000000502",
        state=PrincipalState.DELETED,
    )  # fmt: skip
    yield Principal("503", sip="off@contoso.com", upn="off@contoso.com", name="Olaf Off", state=PrincipalState.DISABLED)
    yield Principal("504", sip="partner@fabrikam.com", name="Paula Partner", is_federated=True)
    yield Principal("505", sip="vendor@fabrikam.com", name="Viktor Vendor", is_federated=True)
    yield Principal("506", PrincipalKind.GROUP, name="Operators", members=("511", "512", "502"))
    yield Principal("507", PrincipalKind.GROUP, name="Everybody in sales", email="sales@contoso.com")
    yield Principal("508", PrincipalKind.FOLDER, name="OU=Branch,DC=contoso,DC=com")
    yield Principal(
        "509", sip="noa@contoso.com", upn="noa@contoso.com", name="נועה לוי", email="noa@contoso.com",
        more={"department": "תפעול"},
    )  # fmt: skip
    yield Principal("510", sip="O'Neil+chat@contoso.com", name='Ann "Ace" O’Neil <admin>', email="oneil@contoso.com")
    for number in range(511, 501 + count):
        address = f"user{number}@contoso.com"
        yield Principal(str(number), sip=address, upn=address, name=f"User {number}", email=address)


def _categories() -> Iterator[Category]:
    root_manager = (Grant("501", RoleName.MANAGER),)
    yield Category(ROOT, "Contoso chat", roles=root_manager, more={"root": True})
    one, two, three = LEVELS
    yield Category(
        "10", one, description="All that runs", allowed=("507", "508"), denied=("504",), more={"colour": "blue"}
    )
    yield Category("11", two, parent="10", invitations=False, roles=(Grant("511", RoleName.MANAGER),))
    yield Category("12", three, parent="11", allowed=("506",), roles=(Grant("512", RoleName.CREATOR),))
    yield Category("20", "Sales", history=False, files=False)
    yield Category("21", "Продажи", parent="20")
    yield Category("22", "קשרי לקוחות", parent="20", invitations=False)
    yield Category("30", "L" * 251)
    yield Category("31", "257", parent="30", is_disabled=True)  # 251 + 3 + 3
    yield Category("32", "M" * 250)
    yield Category("33", "256", parent="32")


def _rooms(chance: random.Random, count: int, everybody: list[Principal]) -> Iterator[Room]:
    users = [person.id for person in everybody if person.kind is PrincipalKind.USER]
    prefix = len(SEPARATOR.join(LEVELS) + SEPARATOR)
    for position in range(count):
        number = str(101 + position)
        staff = chance.sample(users[7:], k=min(4, len(users) - 7))
        room = Room(
            number,
            chance.choice(("10", "11", "12", "20", "21", "22")),
            f"Room {number}",
            guid=f"7d9e1f00-0000-4000-8000-{int(number):012d}",
            description=chance.choice(("", "What happens here", "מה קורה כאן")),
            privacy=chance.choice(tuple(Privacy)),
            invitations=chance.choice((None, None, False)),
            created=BEGAN - timedelta(days=1),
            roles=(
                Grant(staff[0], RoleName.MANAGER),
                *(Grant(person, RoleName.MEMBER) for person in staff[1:]),
            ),
        )
        yield _made_special(room, SPECIAL[position], prefix) if position < len(SPECIAL) else room


def _made_special(room: Room, name: str, prefix: int) -> Room:
    more: dict[str, Room] = {
        "auditorium": replace(
            room, name="Announcements", type=RoomType.AUDITORIUM, roles=(*room.roles, Grant("509", RoleName.PRESENTER))
        ),
        "disabled": replace(room, name="Closed long ago", is_disabled=True),
        "open": replace(room, name="Canteen", privacy=Privacy.OPEN),
        "scoped": replace(room, name="Shift handover", privacy=Privacy.SCOPED, category="12"),
        "invites-against-category": replace(room, name="Invites", category="11", invitations=True),
        "no-invitations": replace(room, name="By hand", category="10", invitations=False),
        "empty": replace(room, name="Nobody wrote"),
        "twin": replace(room, name="General", category="21"),
        "other-twin": replace(room, name="GENERAL", category="22"),
        "long-message": replace(room, name="Logs"),
        "name-256": replace(room, name="n" * (256 - prefix), category="12"),
        "name-257": replace(room, name="N" * (257 - prefix), category="12"),
        "category-256": replace(room, name="In a long category", category="33"),
        "category-257": replace(room, name="In a longer category", category="31"),
        "names": replace(room, name="Küche / кухня / מטבח / 厨房 🍳", description="e\u0301 is é"),
        "deleted-people": replace(
            room, name="Old hands", roles=(*room.roles, Grant("502", RoleName.MEMBER), Grant("503", RoleName.MANAGER))
        ),
        "federated-people": replace(room, name="With Fabrikam", roles=(*room.roles, Grant("504", RoleName.MEMBER))),
        "groups": replace(
            room,
            name="For groups",
            roles=(*room.roles, *(Grant(group, RoleName.MEMBER) for group in ("506", "507", "508"))),
        ),
        "missing-file": replace(room, name="Lost and found"),
        "add-in": replace(room, name="With a page", add_in="https://example.org/add-in", more={"motto": "Ahoj"}),
    }
    return more[name]


def _shares(chance: random.Random, rooms: list[Room], messages: int) -> list[int]:
    """How many messages each room gets: a few get most of them, as it is in life; the room called empty, none."""
    weights = [0.0 if room.name == "Nobody wrote" else chance.paretovariate(1.2) for room in rooms]
    total = sum(weights) or 1.0
    shares = [int(messages * weight / total) for weight in weights]
    if rooms:
        shares[max(range(len(rooms)), key=lambda position: weights[position])] += messages - sum(shares)
    return shares


def _messages(
    chance: random.Random, writer: ArchiveWriter, room: Room, count: int, everybody: list[Principal]
) -> Iterator[Message]:
    """By numbers with gaps; some at the same millisecond, as servers wrote them."""
    at, n = BEGAN + timedelta(seconds=chance.randrange(10_000_000)), 0
    users = [person.id for person in everybody if person.kind is PrincipalKind.USER]
    step = max(1, count // 12)
    """Of the kinds that are rare in life, each room has some."""
    for position in range(count):
        n += 1 + (chance.random() < 0.02)
        if chance.random() > 0.1:
            at += timedelta(milliseconds=chance.randrange(1, 4_000_000))
        author = chance.choice(users)
        ticks = (at - _EPOCH) // timedelta(microseconds=1) * 10 + chance.randrange(9_999)
        text, kind, rtf, file = chance.choice(TEXTS), MessageKind.MESSAGE, "", ""
        turn = position % (step * 6) if count > 24 else position % 12
        if turn == 1:
            kind, text = MessageKind.ALERT, f"ALERT {text}"
        elif turn == 2:
            kind, text = MessageKind.STORY, f"[STORY]What happened on day {n}\n{text}\n{chance.choice(TEXTS)}"
        elif turn == 3:
            text = f"{text} {LINK.format(n=n)}"
        elif turn == 4:
            kind = MessageKind.FILE
            posted = _posted(chance, writer, room, n, at, author)
            file, text = posted.id, f'<a href="ma-filelink:{posted.more["store_name"]}">{posted.name}</a>'
        elif turn == 5 and "\n" not in text:
            rtf = r"{\rtf1\ansi\uc1 \b " + _in_rtf(text) + r"\b0}"
        elif turn == 6 and position < 24:
            text = ""
        if room.name == "Logs" and position == min(2, count - 1):
            text, kind, rtf, file = LONG_TEXT, MessageKind.MESSAGE, "", ""
        more = {"mood": "calm"} if position == 0 else {}
        yield Message(n, at, author, kind, text, rtf, file, ticks, more)


def _posted(chance: random.Random, writer: ArchiveWriter, room: Room, n: int, at: datetime, author: str) -> ChatFile:
    store_name = f"{chance.getrandbits(32):08x}-0000-4000-8000-{int(room.id):06d}{n:06d}.txt"
    is_missing = room.name == "Lost and found" or chance.random() < 0.05
    octets = f"Minutes {n % 7} of {room.id if n % 3 else 'everybody'}\n".encode() * (1 + n % 50)
    sha256, size = ("", 0) if is_missing else writer.octets(io.BytesIO(octets))
    file = ChatFile(
        id=store_name,
        room=room.id,
        name=chance.choice(("minutes.txt", "פרוטוקול.txt", "минуты (2).txt", "a/b:c?.txt")),
        bytes=size,
        sha256=sha256,
        uploader=author,
        at=at,
        is_missing=is_missing,
        more={"store_name": store_name},
    )
    writer.file(file)
    return file


def _in_rtf(text: str) -> str:
    """Each character that is not plain ASCII as RTF has it: in halves of 16 bits, signed."""
    made = []
    for character in text:
        if character in "\\{}":
            made.append("\\" + character)
        elif character == "\t":
            made.append(r"\tab ")
        elif " " <= character <= "~":
            made.append(character)
        else:
            octets = character.encode("utf-16-le")
            for at in range(0, len(octets), 2):
                half = int.from_bytes(octets[at : at + 2], "little")
                made.append(f"\\u{half - 65_536 if half > 32_767 else half}?")
    return "".join(made)
