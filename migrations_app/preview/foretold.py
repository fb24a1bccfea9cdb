"""What runs would do, told meeting by meeting and in sum. Anything with ``foreseen()`` can be told, an undo as well."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, cast

from django.db.models import QuerySet
from django.utils import timezone

from migrations_app.calendars.itip import read
from migrations_app.failures import LEFT_FOR_A_PERSON, Failure, happened
from migrations_app.models import CalendarObject, IndexedMeeting, MeetingResult, PreviewedMeeting
from migrations_app.preview.join_facts import join_facts
from migrations_app.preview.many_users import NAMED, EndedUndos
from migrations_app.preview.meetings import ServerMails
from migrations_app.rewriting.comparison import Change, compare
from migrations_app.rewriting.spans import pack, unpack
from migrations_app.runs.movements import Movement, Movements, movement_of
from migrations_app.runs.outcomes import Outcome
from migrations_app.runs.selection import NOT_THEIRS_TO_COME
from tenants_app.bulk import batched
from tenants_app.models import ConferencingUser
from tenants_app.sentences import one_after_the_other, sentence_plural
from tenants_app.wording import A_FREE_ONE, FREE_ID

LISTED = 50
"""Meetings that a page shows one by one; a preview in the background shows all."""


class Foreseeing(Protocol):
    """A run of one user that says what it would do: ``runs.outcomes.Outcomes``, or what takes a run back."""

    def foreseen(self) -> Iterator[Outcome]:
        """What would become of each meeting; only reads."""


@dataclass(slots=True)
class Planned:
    """What is planned for one user."""

    user: ConferencingUser
    """With the settings afterwards, saved or not."""
    starts_run: bool
    sentence: str
    """Why a run starts, or why none does."""
    work: Callable[[], Foreseeing] | None = None
    """The run, which raises ``Failure`` where it fails as a whole; None where no meeting would change."""


@dataclass(slots=True)
class Totals:
    """What all of it comes to. Exact as long as nobody changes anything in between."""

    users: int = 0
    runs: int = 0
    without_run: dict[str, int] = field(default_factory=dict)
    """Users by the sentence why they get none."""
    undo_count: int = 0
    """Users whose undo these runs end."""
    undo_upns: list[str] = field(default_factory=list)
    """Of very many only the first."""
    failing: dict[str, int] = field(default_factory=dict)
    """Runs that fail before they look at any meeting, by the reason."""
    loses_dial_in: int = 0
    meetings: int = 0
    """Meetings to come."""
    updated: int = 0
    organizers: int = 0
    """Users with a meeting that is updated."""
    messages: int = 0
    """Meetings whose attendees are told."""
    recipients: int = 0
    by_server: int = 0
    """Of these meetings, those whose attendees the mailbox's own server tells."""
    server_mails: list[int] = field(default_factory=lambda: [0, 0])
    """Of these, where it sends a message for each part: how many for meetings as a whole, and for occurrences."""
    left: dict[str, int] = field(default_factory=dict)
    """Meetings to come that stay as they are, by code."""
    failed: dict[str, int] = field(default_factory=dict)
    """Meetings that cannot be read or changed, by code."""
    movements: list[list[Any]] = field(default_factory=list)
    """Of each movement its parts and how many meetings."""

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Totals:
        """Those of ``Preview.totals``."""
        return cls(**stored)

    @property
    def stored(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def ahead(self) -> str:
        """How many meetings stay in their service and how many move, in a sentence."""
        return Movements(Counter({Movement(*parts): count for *parts, count in self.movements})).ahead

    @property
    def told_by_server(self) -> str:
        """What the mailboxes' own servers tell attendees, in sentences; empty where they tell nobody."""
        if not self.by_server:
            return ""
        told = sentence_plural(
            "Of %(n)s meeting the mailbox's own server tells the attendees.",
            "Of %(n)s meetings the mailbox's own server tells the attendees.",
            self.by_server,
        )
        return one_after_the_other(told, ServerMails(*self.server_mails).sentence)

    @property
    def undos(self) -> EndedUndos:
        """Whose undo it ends."""
        return EndedUndos(self.undo_count, tuple(self.undo_upns))

    @property
    def needs_a_person(self) -> int:
        """Meetings to come that stay wrong until somebody looks at them."""
        return sum(count for code, count in self.left.items() if code in LEFT_FOR_A_PERSON)

    @property
    def why_left(self) -> list[tuple[str, int]]:
        """Why meetings are left or fail, in sentences; most first."""
        counts = Counter(self.left) + Counter(self.failed)
        return [(happened(code, ""), count) for code, count in counts.most_common()]

    @property
    def failing_runs(self) -> int:
        return sum(self.failing.values())

    @property
    def without(self) -> int:
        """Users who get no run."""
        return self.users - self.runs

    def note_user(self, planned: Planned) -> None:
        """Count a user."""
        self.users += 1
        self.runs += planned.starts_run
        if planned.starts_run and planned.user.undo_holds:
            self.undo_count += 1
            self.undo_upns += [planned.user.upn][: NAMED - len(self.undo_upns)]
        if not planned.starts_run:
            self.without_run[planned.sentence] = self.without_run.get(planned.sentence, 0) + 1

    def note_failure(self, failure: Failure) -> None:
        """Count a run that fails as a whole."""
        self.failing[failure.what] = self.failing.get(failure.what, 0) + 1

    def note(
        self, row: PreviewedMeeting, movement: Movement | None, *, by_server: bool, parts: Collection[str] = ()
    ) -> None:
        """Count what becomes of one meeting; of ``parts`` see ``Outcome.mailed_parts``."""
        if row.code in NOT_THEIRS_TO_COME:
            return
        self.meetings += 1
        self.loses_dial_in += row.loses_dial_in
        self.updated += row.outcome == MeetingResult.Outcome.SUCCEEDED
        if row.recipients:
            self.messages += 1
            self.recipients += len(row.recipients)
            self.by_server += by_server
            mails = ServerMails(*self.server_mails)
            mails.note(parts)
            self.server_mails = [mails.whole, mails.occurrences]
        if row.outcome == MeetingResult.Outcome.SKIPPED:
            self.left[row.code] = self.left.get(row.code, 0) + 1
        elif row.outcome == MeetingResult.Outcome.FAILED:
            self.failed[row.code] = self.failed.get(row.code, 0) + 1
        if movement:
            counts = Counter({tuple(parts): count for *parts, count in self.movements})
            counts[tuple(movement)] += 1
            self.movements = [[*parts, count] for parts, count in counts.items()]


@dataclass(slots=True)
class Foretold:
    """One user with what becomes of the meetings to come."""

    planned: Planned
    meetings: list[PreviewedMeeting] = field(default_factory=list)
    failure: Failure | None = None


def foretell(planned: Planned, totals: Totals) -> Foretold:
    """Look at the user's meetings, and count all of it; only reads."""
    totals.note_user(planned)
    told = Foretold(planned)
    if planned.work is None:
        return told
    try:
        run = planned.work()
        by_server = bool(getattr(getattr(run, "mailbox", None), "tells_attendees", False))
        for outcome in run.foreseen():
            if outcome.result.code in NOT_THEIRS_TO_COME:
                continue
            row = foretold_meeting(planned.user, outcome)
            totals.note(row, movement_of(outcome.result), by_server=by_server, parts=outcome.mailed_parts)
            told.meetings.append(row)
        totals.organizers += any(row.outcome == MeetingResult.Outcome.SUCCEEDED for row in told.meetings)
    except Failure as failure:
        told.failure = failure
        if planned.starts_run:
            totals.note_failure(failure)
    return told


def foretell_all(planned: Iterable[Planned]) -> tuple[list[Foretold], Totals]:
    """The same of several users, for a page that is asked for now."""
    totals = Totals()
    return [foretell(each, totals) for each in planned], totals


def first_meetings(told: Sequence[Foretold]) -> dict[str, Any]:
    """What a page shows of each meeting: those that change first, and of very many only so many of them."""
    rows = [row for each in told for row in each.meetings]
    rows.sort(key=lambda row: (not row.loses_dial_in, row.outcome != MeetingResult.Outcome.SUCCEEDED))
    return {"foretold": rows[:LISTED], "unlisted": max(len(rows) - LISTED, 0), "is_of_many": len(told) > 1}


def foretold_meeting(user: ConferencingUser, outcome: Outcome) -> PreviewedMeeting:
    """What becomes of one meeting, as a row that is not saved."""
    result, facts, movement = outcome.result, join_facts(outcome), movement_of(outcome.result)
    return PreviewedMeeting(
        upn=user.upn,
        uid=result.uid,
        subject=result.subject,
        starts_at=result.starts_at,
        outcome=result.outcome,
        code=result.code,
        detail=result.detail,
        meeting_service=result.meeting_service,
        movement=movement.ahead if movement else "",
        join_url_before=result.join_url_before,
        join_url_after=result.join_url_after,
        loses_dial_in=facts.loses_dial_in,
        recipients=recipients_of(user, outcome),
        facts=[[fact.name, fact.before, fact.after] for fact in facts.facts],
        spans=pack(outcome.replaced) if outcome.replaced else None,
    )


def changes_of(row: PreviewedMeeting) -> list[Change]:
    """What would be replaced in the meeting, as people read it."""
    return compare(unpack(bytes(row.spans)), {FREE_ID: A_FREE_ONE}) if row.spans else []


def recipients_of(user: ConferencingUser, outcome: Outcome) -> list[str]:
    """The addresses that are told of the change, as the messages will be composed (R24)."""
    if outcome.write is None or not outcome.recipient_count:
        return []
    return [person.address for person in read(outcome.write.body, user.addresses, now=timezone.now()).recipients]


def seen_in_sum(users: QuerySet[ConferencingUser]) -> str:
    """One digest of all these users, for a page that is gone on from; see :func:`seen_of`."""
    digests = seen_of(list(users.order_by("pk")))
    return hashlib.blake2b(
        "\n".join(f"{pk} {digests[pk]}" for pk in sorted(digests)).encode(), digest_size=16
    ).hexdigest()


def seen_of(users: Sequence[ConferencingUser]) -> dict[int, str]:
    """A digest of each user's settings and mailbox as they are stored, by key: where it differs later, look anew.

    Takes the same few queries however many users there are.
    """
    digests = {user.pk: hashlib.blake2b(digest_size=16) for user in users}
    for user in users:
        digests[user.pk].update(
            f"{user.settings_fingerprint}\n{user.mailbox_id}\n{user.bridge_id}\n{user.undo_holds}\n".encode()
        )
    for rows in (CalendarObject.objects.all(), IndexedMeeting.objects.all()):
        for some in batched(sorted(digests)):
            found = rows.filter(user__in=some).order_by("user", "uid").values_list("user", "uid", "etag")
            for pk, uid, etag in cast("Iterable[tuple[int, str, str]]", found):
                digests[pk].update(f"{uid}\n{etag}\n".encode("utf-8", "surrogatepass"))
    return {pk: digest.hexdigest() for pk, digest in digests.items()}
