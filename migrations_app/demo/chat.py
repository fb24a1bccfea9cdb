"""What Contoso's people wrote in their chat rooms before the move: categories in two levels, rooms, messages, files.

Everything is invented. Who speaks is a place among the people of the demo, when is hours before the newest message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["message", "story", "alert", "file"]


@dataclass(frozen=True)
class DemoCategory:
    """A category; ``above`` is the name of the one it lies in, "" for the root."""

    name: str
    above: str = ""
    description: str = ""
    invitations: bool = True
    managers: tuple[int, ...] = ()


@dataclass(frozen=True)
class Line:
    """One message. ``file`` is the name of a file that it shows; one without ``content`` is in no folder any more."""

    hours: float
    who: int
    text: str
    kind: Kind = "message"
    file: str = ""
    content: str = ""


@dataclass(frozen=True)
class DemoRoom:
    """A room with those who belong to it."""

    name: str
    category: str
    privacy: Literal["private", "scoped", "open"]
    lines: tuple[Line, ...]
    description: str = ""
    is_auditorium: bool = False
    is_disabled: bool = False
    invitations: bool | None = None
    members: tuple[int, ...] = ()
    managers: tuple[int, ...] = (0,)
    presenters: tuple[int, ...] = ()
    others: tuple[str, ...] = field(default=())
    """Ids of a group and of a person of another organization who belong to it, too."""


GONE, PARTNER, GROUP = "gone", "partner", "group"
"""Somebody who has left, somebody of Fabrikam, and a group whose members the source does not list."""
LEFT = 98
"""The place of the one who has left."""

CATEGORIES = (
    DemoCategory("Operations", description="Whatever must not wait", managers=(1,)),
    DemoCategory("Night shift", "Operations", "From 22:00 to 06:00", invitations=False),
    DemoCategory("Sales"),
    DemoCategory("London", "Sales", managers=(4,)),
)

ROOMS = (
    DemoRoom(
        "Handover",
        "Night shift",
        "private",
        (
            Line(9000, 1, "Line 4 stands still since 02:10, the belt. Maintenance knows."),
            Line(8999.5, 2, "Seen. Spare belt is in hall 2, shelf 14."),
            Line(8990, LEFT, "Belt is changed, line 4 runs again. Please look at the tension every hour."),
            Line(
                4300,
                2,
                "The list of spare parts, as of today",
                "file",
                "spare parts.csv",
                "part;hall;shelf\nbelt;2;14\n",
            ),
            Line(
                4299, 3, 'Thanks. The plan of hall 2 is at <a href="https://intranet.contoso.com/halls/2">hall 2</a>.'
            ),
            Line(900, 3, "Compressor 2: pressure falls slowly, 7.8 bar at 04:00, 7.5 bar at 05:00."),
            Line(899, 1, "I let somebody look at it in the morning."),
            Line(30, 2, "Quiet night. Handover at 06:00 in the control room."),
        ),
        "What the next shift must know",
        invitations=True,
        members=(2, 3),
        managers=(1,),
        others=(GROUP,),
    ),
    DemoRoom(
        "Incidents",
        "Operations",
        "scoped",
        (
            Line(7000, 0, "Power failure in Madrid: the emergency supply holds, two hours.", "alert"),
            Line(6999, 5, "Madrid is back. The storage needs a check before it goes on."),
            Line(3000, 0, "Mail is slow since 09:20. The provider works at it.", "alert"),
            Line(2998, 6, "It is the mail gateway. The log of this morning", "file", "gateway.log"),
            Line(2997, 0, "Mail is as fast as ever since 11:05."),
        ),
        members=(5, 6),
        presenters=(5,),
    ),
    DemoRoom(
        "Announcements",
        "Operations",
        "open",
        (
            Line(
                6000,
                0,
                "New badges\nFrom Monday on the old badges open no door any more. Fetch yours at the desk.",
                "story",
            ),
            Line(2500, 0, "Maintenance of the pool\nChat is not there on Saturday from 08:00 to 10:00.", "story"),
            Line(120, 0, "This room moves with all the others. You will find everything in the new place.", "story"),
        ),
        is_auditorium=True,
        members=(1, 2, 3, 4, 5, 6),
        presenters=(0, 1),
    ),
    DemoRoom(
        "Price requests",
        "Sales",
        "open",
        (
            Line(5200, 7, "Fabrikam asks for 400 units by May. Can we keep last year's price?"),
            Line(5199, 4, "Up to 500 units, yes. Above that ask me."),
            Line(
                5100, 7, "They take 450. The offer, signed", "file", "offer 2016-117.txt", "450 units, price of 2015.\n"
            ),
            Line(2100, 8, "Preis für 80 Stück nach Österreich? Der Kunde wartet bis Freitag."),
            Line(2099, 4, "Wie im Frühjahr, plus Fracht. Ich schicke dir die Tabelle."),
            Line(400, 9, "¿Quién lleva ahora Sevilla? Me escriben a mí."),
            Line(399, 4, "Yo, desde octubre. Pásamelo, gracias."),
        ),
        members=(4, 7, 8, 9),
        managers=(4,),
    ),
    DemoRoom(
        "Tender Harbour Bridge",
        "London",
        "private",
        (
            Line(3600, 4, "The documents are out: 140 pages, answers until the 28th."),
            Line(3580, 10, "I take chapters 3 and 4."),
            Line(3400, LEFT, "Chapter 5 is done. The drawings are on the share."),
            Line(3300, 10, "We are through to the second round!"),
        ),
        "With our partner Fabrikam",
        members=(4, 10),
        managers=(4,),
        others=(GONE, PARTNER),
    ),
    DemoRoom(
        "Christmas party 2014",
        "Sales",
        "open",
        (Line(17000, 8, "Who brings the music?"), Line(16990, 9, "I do.")),
        is_disabled=True,
        members=(8, 9),
    ),
)
