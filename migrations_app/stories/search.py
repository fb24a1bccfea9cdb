"""Finding meetings of a tenant, in mailboxes and in what runs have recorded, without looking at all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Case, Exists, F, OuterRef, Q, QuerySet, When
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext as _

from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.facts import occurrences
from migrations_app.mailboxes.base import AsOf
from migrations_app.mailboxes.upcoming import oldest_look
from migrations_app.models import CalendarObject, IndexedMeeting, MeetingResult
from migrations_app.rewriting.written_numbers import digit_rows
from tenants_app.bulk import batched
from tenants_app.folding import any_contains
from tenants_app.models import (
    ConferenceId,
    ConferencingUser,
    FormerConferenceId,
    InvitedNumber,
    MailboxConnection,
    Tenant,
)

MOST = 100
"""Meetings that are shown at once."""
MOST_ORGANIZERS = 20
"""Users whose meetings are looked through at once."""
_MOST_RESULTS = 1_000
"""Rows of what runs have recorded that are looked at for meetings which are in no mailbox any more."""
MOST_TEXTS = 1_000
"""Meetings whose texts are read to see whether they take place on a day, or show a conference ID."""
MOST_NEAR = 5_000
"""Meetings before now, and as many after, of which a subject alone is looked for where there are many users."""
FEW_USERS = 1_000
"""So many users' meetings are all looked at."""
_LEAST_DIGITS = 6
"""Of a number that is written without its country."""
_FIRST = datetime.min.replace(tzinfo=UTC)
NAMES = ("display_name", "upn", "sip_address")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is known of the meeting that is looked for; all that is given must be true of it."""

    subject: str = ""
    organizer: str = ""
    conference_id: str = ""
    number: str = ""
    uid: str = ""
    day: date | None = None

    def __bool__(self) -> bool:
        return any((self.subject, self.organizer, self.conference_id, self.number, self.uid, self.day))


@dataclass(slots=True)
class FoundMeeting:
    """One meeting of one user."""

    user: ConferencingUser
    uid: str
    subject: str
    starts_at: datetime | None
    attendee_count: int
    organizer: str = ""
    """As the mailbox has it, in lower case; empty where the meeting is in no mailbox any more."""
    is_in_mailbox: bool = True
    latest: MeetingResult | None = None
    """What the user's latest run made of it."""

    @property
    def is_copy(self) -> bool:
        """Whether somebody else organizes it, so that no run changes it here."""
        return bool(self.organizer) and self.organizer not in self.user.addresses


@dataclass(slots=True)
class Found:
    """What a search has found, or the sentence that says what it needs."""

    meetings: Sequence[FoundMeeting] = ()
    is_cut: bool = False
    """Whether there are more."""
    needs: str = ""
    """Why nothing was looked for, and what to do."""
    remarks: list[str] = field(default_factory=list)
    as_of: AsOf | None = None
    """How old what is known of mailboxes outside is; None where none were searched."""


class _NothingCanMatch(Exception):
    """One of the criteria leads to nothing; the argument is a sentence that says so."""


def find(tenant: Tenant, wanted: Wanted) -> Found:
    """The tenant's meetings of which all that is wanted is true; those to be changed here first, then by start."""
    if not (wanted.organizer or wanted.conference_id or wanted.uid or wanted.day):
        return Found(needs=_too_little(wanted) % {"tenant": tenant})
    found = Found()
    try:
        people = _organizers(tenant, wanted.organizer)
        if people is not None and len(people) > MOST_ORGANIZERS:
            needs = _("More than %(most)s users match the organizer: write more of the name.")
            return Found(needs=needs % {"most": MOST_ORGANIZERS})
        given = _by_id(tenant, wanted)
        whose = _whose(tenant, wanted, people, given)
    except _NothingCanMatch as nothing:
        found.remarks.append(str(nothing))
        return found
    # An ID that a meeting service gave stands in the texts alone, which are read of few meetings only.
    in_texts = _digits(wanted.conference_id) if wanted.conference_id and not given else ""
    is_narrow = bool(wanted.uid or given or people)
    rows = _Rows(tenant, wanted, whose, is_narrow, in_texts)
    meetings = _meetings(rows)
    if is_narrow and not in_texts:
        for row in _recorded(tenant, wanted, whose):
            meetings.setdefault((row["user"], row["uid"]), row)
    found.remarks += rows.remarks
    if MailboxConnection.objects.filter(tenant=tenant).exists():
        searched = ConferencingUser.objects.filter(tenant=tenant)
        found.as_of = oldest_look(searched.filter(pk__in=people) if people else searched)
    in_order = sorted(meetings.values(), key=_order)
    found.is_cut, found.meetings = len(in_order) > MOST, _complete(tenant, in_order[:MOST])
    return found


def _too_little(wanted: Wanted) -> str:
    if wanted.number and not wanted.subject:
        return _(
            "A number alone would take a look at every meeting of %(tenant)s: give the organizer, the day, the "
            "conference ID or the UID as well."
        )
    return _(
        "A subject alone would take a look at every meeting of %(tenant)s: give the organizer, the day, the "
        "conference ID or the UID as well."
    )


@dataclass(frozen=True, slots=True)
class Near:
    """Meetings to come that a subject alone has found."""

    meetings: Sequence[FoundMeeting]
    is_cut: bool
    """Whether there are more."""
    are_all_seen: bool
    """Whether all meetings to come were looked at, and not only those that begin near to now."""


def near(tenant: Tenant, subject: str, most: int) -> Near:
    """The tenant's meetings that are not over and have this in their subject, by start, without looking at too many."""
    users = ConferencingUser.objects.filter(tenant=tenant)
    are_few = not users.order_by()[FEW_USERS : FEW_USERS + 1].exists()
    found: list[Mapping[str, Any]] = []
    are_all_seen = are_few
    for model in (IndexedMeeting, CalendarObject):
        for some in _near_now(model, users, are_few):
            keys = some.values("pk")
            if are_few:
                are_all_seen = are_all_seen and not keys[2 * MOST_NEAR - 1 :].exists()
            of_tenant = ConferencingUser.objects.filter(pk=OuterRef("user"), tenant=tenant)
            rows = model._default_manager.filter(any_contains(subject, "subject"), Exists(of_tenant), pk__in=keys)
            rows = rows.filter(last_end__gt=timezone.now()).order_by(F("starts_at").asc(nulls_first=True), "pk")
            found += rows.values("user", "uid", "subject", "starts_at", "attendee_count", "organizer")[: most + 1]
    in_order = sorted(found, key=lambda row: (row["starts_at"] or _FIRST, row["uid"], row["user"]))
    return Near(_complete(tenant, in_order[:most]), len(in_order) > most, are_all_seen)


def _near_now(
    model: type[CalendarObject | IndexedMeeting], users: QuerySet[ConferencingUser], are_few: bool
) -> list[QuerySet[Any]]:
    """The rows to look at: by the index of few users, or from now on in both directions by that of starts."""
    now, rows = timezone.now(), model._default_manager.all()
    if are_few:
        return [rows.filter(user__in=users.order_by().values("pk"), last_end__gt=now).order_by()[: 2 * MOST_NEAR]]
    ahead, begun = rows.filter(starts_at__gte=now), rows.filter(starts_at__lt=now)
    return [ahead.order_by("starts_at")[:MOST_NEAR], begun.order_by("-starts_at")[:MOST_NEAR]]


def these(tenant: Tenant, whose: Q) -> Sequence[FoundMeeting]:
    """The tenant's meetings of which a condition on ``user`` and ``uid`` is true that an index answers."""
    wanted = Wanted()
    meetings = _meetings(_Rows(tenant, wanted, whose, is_narrow=True, in_texts=""))
    for row in _recorded(tenant, wanted, whose):
        meetings.setdefault((row["user"], row["uid"]), row)
    return _complete(tenant, sorted(meetings.values(), key=_order)[:MOST])


def _meetings(rows: _Rows) -> dict[tuple[int, str], Mapping[str, Any]]:
    """What is in mailboxes of both kinds, by user and UID."""
    return {(row["user"], row["uid"]): row for model in (IndexedMeeting, CalendarObject) for row in rows.of(model)}


def _organizers(tenant: Tenant, typed: str) -> list[int] | None:
    """The keys of users whose name or address matches, one more than are looked through; None where nobody asked."""
    if not typed:
        return None
    users = ConferencingUser.objects.filter(tenant=tenant)
    exact = list(users.with_upns(tenant, [typed]).values_list("pk", flat=True))
    pks = exact or list(
        users.filter(any_contains(typed, *NAMES)).order_by("upn").values_list("pk", flat=True)[: MOST_ORGANIZERS + 1]
    )
    if not pks:
        nobody = _("No user of %(tenant)s has “%(typed)s” in their name or address.")
        raise _NothingCanMatch(nobody % {"tenant": tenant, "typed": typed})
    return pks


def _digits(typed: str) -> str:
    return re.sub(r"[^0-9]", "", typed)


def _whose(tenant: Tenant, wanted: Wanted, people: Sequence[int] | None, given: Sequence[tuple[int, str]]) -> Q:
    """The condition on ``user`` and ``uid`` that follows from organizer, conference ID, number and UID."""
    condition = Q()
    if people is not None:
        condition &= Q(user__in=people)
    if wanted.uid:
        condition &= Q(uid=wanted.uid)
    if given:
        condition &= reduce(or_, (Q(user=user, uid=uid) if uid else Q(user=user) for user, uid in given))
    if wanted.number:
        numbers = _numbers(tenant, wanted.number)
        condition &= Q(Exists(InvitedNumber.objects.filter(user=OuterRef("user"), number__in=numbers)))
    return condition


def _by_id(tenant: Tenant, wanted: Wanted) -> list[tuple[int, str]]:
    """Users and UIDs that have the conference ID, or had it; an empty UID stands for all meetings of the user.

    None where MMS never gave it, and the texts of the organizer's meetings, or of those of the day, may show it.
    """
    if not wanted.conference_id:
        return []
    digits = _digits(wanted.conference_id)
    now = ConferenceId.objects.filter(bridge__in=list(tenant.bridges.values_list("pk", flat=True)), digits=digits)
    once = FormerConferenceId.objects.filter(user__tenant=tenant, digits=digits)
    pairs = [*now.values_list("user__pk", "meeting_uid"), *once.values_list("user__pk", "meeting_uid")[:MOST]]
    if not pairs and not (wanted.organizer or wanted.day):
        raise _NothingCanMatch(
            _(
                "MMS gave nobody the conference ID %(digits)s. One that a meeting service gave stands only in the "
                "invitation: give the organizer or the day as well."
            )
            % {"digits": wanted.conference_id}
        )
    return list(dict.fromkeys(pairs))


def _numbers(tenant: Tenant, typed: str) -> list[int]:
    """The tenant's service numbers that may be meant, also without the country or in its own way of writing."""
    digits = re.sub(r"\D", "", typed).removeprefix("00")
    end = digits.lstrip("0")
    pks = [
        pk
        for pk, number in tenant.service_numbers.values_list("pk", "number")
        if number[1:] == digits or (len(end) >= _LEAST_DIGITS and number.endswith(end))
    ]
    if not pks:
        raise _NothingCanMatch(
            _("No service number of %(tenant)s is %(number)s.") % {"tenant": tenant, "number": typed}
        )
    return pks


class _Rows:
    """The meetings in mailboxes of which all that is wanted is true."""

    def __init__(self, tenant: Tenant, wanted: Wanted, whose: Q, is_narrow: bool, in_texts: str) -> None:
        self.tenant, self.wanted, self.whose, self.in_texts = tenant, wanted, whose, in_texts
        self._is_narrow = is_narrow
        self.remarks: list[str] = []
        if wanted.day and not is_narrow:
            self.remarks.append(
                _("By the day alone only what is in a mailbox now is found: give the organizer as well to find others.")
            )

    def of(self, model: type[CalendarObject | IndexedMeeting]) -> list[dict[str, Any]]:
        """Those of one kind of mailbox; by the texts where MMS keeps them."""
        rows = self._found(model)
        reads = bool(self.wanted.day or self.in_texts)
        own = Q(organizer=Lower("user__upn")) | Q(organizer=Lower("user__sip_address")) | Q(organizer="")
        is_copy = Case(When(own, then=0), default=1)
        rows = rows.order_by(is_copy, F("starts_at").asc(nulls_first=True), "pk").annotate(is_copy=is_copy)
        names = ("user", "uid", "subject", "starts_at", "attendee_count", "organizer", "is_copy")
        found = list(rows.values("pk", *names)[: (MOST_TEXTS if reads else MOST) + 1])
        if not reads:
            return found
        if len(found) > MOST_TEXTS:
            found = found[:MOST_TEXTS]
            self._remark(
                _("Only %(most)s of the meetings that may match were looked at: give more of the meeting.")
                % {"most": intcomma(MOST_TEXTS)}
            )
        if self.in_texts and model is IndexedMeeting:
            # Rows of digits stand there in place of the text.
            keys = [row["pk"] for row in found]
            digits = IndexedMeeting.objects.filter(pk__in=keys, digits__contains=self.in_texts)
            showing = {pk for pk, shown in digits.values_list("pk", "digits") if self.in_texts in (shown or "").split()}
            return [row for row in found if row["pk"] in showing]
        return self._by_text(found) if model is CalendarObject else found

    def _found(self, model: type[CalendarObject | IndexedMeeting]) -> QuerySet[Any]:
        # The tenant as a condition on each row found, so that a database does not begin with all of its users.
        of_tenant = ConferencingUser.objects.filter(pk=OuterRef("user"), tenant=self.tenant)
        rows: QuerySet[Any] = model._default_manager.filter(self.whose, Exists(of_tenant))
        if self.wanted.day:
            begin, end = _bounds(self.wanted.day)
            if self._is_narrow:
                rows = rows.filter(starts_at__lt=end, last_end__gt=begin)
            else:
                on_that_day = Q(starts_at__gte=begin, starts_at__lt=end)
                rows = rows.filter(on_that_day | Q(pk__in=self._running(model, begin)))
        elif self.in_texts:
            rows = rows.filter(last_end__gt=timezone.now())
        if self.wanted.subject:
            rows = rows.filter(any_contains(self.wanted.subject, "subject"))
        return rows

    def _running(self, model: type[CalendarObject | IndexedMeeting], begin: datetime) -> list[int]:
        """Series that began before the day and end after it, as keys; none where there are too many to look at."""
        if model is IndexedMeeting and not (self.wanted.subject or self.in_texts):
            if MailboxConnection.objects.filter(tenant=self.tenant).exists():
                self._remark(_("Of mailboxes outside a series is found by its first day, or by day and subject."))
            return []
        # By users, whose index tells at once what is not over: most meetings that ever began are.
        users = ConferencingUser.objects.filter(tenant=self.tenant).values("pk")
        rows = model._default_manager.filter(user__in=users, starts_at__lt=begin, last_end__gt=begin).order_by()
        keys = list(rows.values_list("pk", flat=True)[: MOST_TEXTS + 1])
        if len(keys) > MOST_TEXTS:
            self._remark(
                _(
                    "More than %(most)s series run over this day, and were not looked at: give the organizer as well "
                    "to find them."
                )
                % {"most": intcomma(MOST_TEXTS)}
            )
            return []
        return keys

    def _by_text(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those that take place on the day, each with its start on it, and show the conference ID."""
        begin, end = _bounds(self.wanted.day) if self.wanted.day else (_FIRST, _FIRST)
        keys = [row["pk"] for row in rows if self.in_texts or row["starts_at"] < begin]
        matching = {row["pk"]: row for row in rows}
        for some in batched(keys, 200):
            for pk, body in CalendarObject.objects.filter(pk__in=some).values_list("pk", "body").iterator():
                row, text = matching[pk], bytes(body)
                if self.in_texts and self.in_texts not in digit_rows(text):
                    del matching[pk]
                elif self.wanted.day and row["starts_at"] < begin:
                    with suppress(UnreadableCalendar):
                        starts = [each.start for each in occurrences(text, begin, end) if each.start < end]
                        if starts:
                            row["starts_at"] = min(starts)
                        else:
                            del matching[pk]
        return list(matching.values())

    def _remark(self, sentence: str) -> None:
        if sentence not in self.remarks:
            self.remarks.append(sentence)


def _recorded(tenant: Tenant, wanted: Wanted, whose: Q) -> Iterator[Mapping[str, Any]]:
    """Meetings that runs have met, newest first, each once."""
    results = MeetingResult.objects.annotate(user=F("run__user")).filter(whose, run__tenant=tenant)
    if wanted.day:
        begin, end = _bounds(wanted.day)
        results = results.filter(starts_at__gte=begin, starts_at__lt=end)
    if wanted.subject:
        results = results.filter(any_contains(wanted.subject, "subject"))
    seen = set()
    rows = results.order_by("-pk").values("user", "uid", "subject", "starts_at", "attendee_count")
    for row in rows[:_MOST_RESULTS]:
        if (row["user"], row["uid"]) not in seen:
            seen.add((row["user"], row["uid"]))
            yield row


def _bounds(day: date) -> tuple[datetime, datetime]:
    begin = datetime.combine(day, time.min, timezone.get_current_timezone())
    return begin, begin + timedelta(days=1)


def _order(row: Mapping[str, Any]) -> tuple[int, datetime, str]:
    return row.get("is_copy", 2), row["starts_at"] or _FIRST, row["uid"]


def _complete(tenant: Tenant, rows: Sequence[Mapping[str, Any]]) -> list[FoundMeeting]:
    """The rows with their users, and what the users' latest runs made of them."""
    users = ConferencingUser.objects.in_bulk({row["user"] for row in rows})
    latest = MeetingResult.objects.filter(run__user__in=list(users), run__is_latest=True).defer("spans")
    found = {
        (result.run.user_id, result.uid): result
        for result in latest.filter(uid__in={row["uid"] for row in rows}).select_related("run")
    }
    return [
        FoundMeeting(
            users[row["user"]],
            row["uid"],
            row["subject"],
            row["starts_at"],
            row["attendee_count"],
            row.get("organizer", ""),
            "organizer" in row,
            found.get((row["user"], row["uid"])),
        )
        for row in rows
    ]
