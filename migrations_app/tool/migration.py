"""One use of the tool: the calendars that were given, migrated by the engine of the runs (R38)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from django.db import transaction
from django.utils import timezone
from django.utils.text import get_text_list
from django.utils.translation import gettext as _

from migrations_app.failures import Failure, describe
from migrations_app.mailboxes.base import Listed
from migrations_app.meeting_services.of_user import service_of
from migrations_app.models import MeetingResult, Run
from migrations_app.preview.join_facts import join_facts
from migrations_app.runs.outcomes import Outcome, Outcomes, in_batches
from migrations_app.targets import ALL_CURRENT, Targets
from migrations_app.tool.calendar_files import CalendarFiles
from migrations_app.tool.errors import Refused
from migrations_app.tool.reading import Given
from migrations_app.tool.settings import ByHand, is_of_tenant
from tenants_app import fingerprints
from tenants_app.audit import Actor, entry
from tenants_app.bulk import batched
from tenants_app.changes.conference_ids import release_private_conference_ids
from tenants_app.changes.locking import wait_for_others
from tenants_app.models import ConferencingUser, ServiceNumber
from tenants_app.wording import grouped


@dataclass(slots=True)
class Counts:
    """How many meetings became what, and how many messages and recipients there are."""

    changed: int = 0
    skipped: int = 0
    failed: int = 0
    loses_dial_in: int = 0
    """Of the changed ones, those into which people could dial and cannot any more."""
    messages: int = 0
    recipients: int = 0
    by_code: Counter[str] = field(default_factory=Counter)

    @property
    def all(self) -> int:
        return self.changed + self.skipped + self.failed


class Migration:
    """What becomes of the calendars of one organizer.

    Nothing of it is stored before :meth:`note` is called, but for what must be remembered before an invitation names
    it: online meetings that are made or found (R41) and conference IDs that are given out.
    """

    def __init__(
        self,
        user: ConferencingUser,
        given: Given,
        targets: Targets = ALL_CURRENT,
        by_hand: ByHand | None = None,
        *,
        most_meetings: int = 0,
    ) -> None:
        """``user`` is as :mod:`migrations_app.tool.settings` makes it; at most ``most_meetings`` are taken, if any
        number is given. Raises ``Refused``."""
        self.user, self.targets = user, targets
        self.by_hand = by_hand or ByHand()
        if targets.services - {service_of(user)}:
            raise Refused(
                _("%(services)s is not the user's meeting service: make it theirs, or choose the target Current.")
                % {"services": get_text_list(sorted(targets.services), _("and"))}
            )
        if targets.services and not is_of_tenant(user):
            raise Refused(
                _(
                    "Online meetings are made for users of the tenant alone, because MMS remembers them with the "
                    "user: bring the user in with import_users, or choose the target Current."
                )
            )
        self.mailbox = CalendarFiles(user, given.sources)
        self.passed_over = given.passed_over
        if most_meetings and len(self.mailbox) > most_meetings:
            raise Refused(
                _(
                    "There are %(count)s meetings, and %(most_meetings)s go at once on this page: use the "
                    "command migrate_calendar, or divide the files."
                )
                % {"count": grouped(len(self.mailbox)), "most_meetings": grouped(most_meetings)}
            )
        if not len(self.mailbox):
            raise Refused(_("There is no meeting in what was given: choose calendars with events."))
        self.run = Run(
            tenant=user.tenant,
            user=user,
            targets=targets.stored,
            migration_type=targets.migration_type,
            due_at=timezone.now(),
            started_at=timezone.now(),
            is_latest=False,
        )
        try:
            self.outcomes = Outcomes(self.run, self.mailbox, user=user, former_ids=self.by_hand.former_ids)
        except Failure as failure:
            raise Refused(describe(failure.code, failure.detail)) from failure
        self.done: list[Outcome] = []
        """One for each meeting, in the order of their start."""
        self.without_dial_in: set[str] = set()
        """UIDs of meetings that lose their dial-in part."""

    def work(self, *, ahead: bool = False) -> None:
        """Migrate all of it; ``ahead`` only looks: no online meeting is made and no conference ID given out."""
        todo, settled = self.outcomes.select()
        self.done += settled
        for meetings in in_batches(todo):
            self.done += self._migrate(meetings, ahead=ahead)
        self.done.sort(key=lambda each: (each.result.starts_at is None, each.result.starts_at or 0, each.result.uid))

    def _migrate(self, meetings: list[Listed], *, ahead: bool) -> list[Outcome]:
        found = self.outcomes.of([meeting.uid for meeting in meetings], ahead=ahead)
        self.mailbox.write([outcome.write for outcome in found if outcome.write])
        # As a run does: a later meeting with the link of an earlier one shows a copied block.
        seen = [each for outcome in found for each in outcome.seen]
        remembered = self.outcomes.remembered
        if ahead or not is_of_tenant(self.user):
            remembered.learn(seen)
        else:
            with transaction.atomic():
                remembered.remember(seen)
        for outcome in found:
            if join_facts(outcome).loses_dial_in:
                self.without_dial_in.add(outcome.result.uid)
            # The text is in the files, what was replaced is packed in the result, and there may be 20,000 of them.
            outcome.write = outcome.examined = None
            outcome.replaced = ()
        return found

    @property
    def changed(self) -> Iterator[Outcome]:
        return (outcome for outcome in self.done if outcome.is_change)

    def counts(self) -> Counts:
        """What became of the meetings."""
        counts = Counts(loses_dial_in=len(self.without_dial_in))
        for outcome in self.done:
            kind = outcome.result.outcome
            counts.changed += outcome.is_change
            counts.skipped += kind == MeetingResult.Outcome.SKIPPED
            counts.failed += kind == MeetingResult.Outcome.FAILED
            counts.messages += bool(outcome.recipient_count)
            counts.recipients += outcome.recipient_count
            if outcome.result.code:
                counts.by_code[outcome.result.code] += 1
        return counts

    def note(self, actor: Actor, consequence: str) -> None:
        """Remember what has to be remembered, with an entry of the audit, in one transaction."""
        with transaction.atomic():
            wait_for_others(self.user.tenant)
            if is_of_tenant(self.user):
                self._remember()
            counts = self.counts()
            after = self.by_hand.words | {
                "Meetings": counts.all,
                "Changed": counts.changed,
                "Skipped": counts.skipped,
                "Failed": counts.failed,
                **({"LoseDialIn": counts.loses_dial_in} if counts.loses_dial_in else {}),
            }
            entry(self.user.tenant, actor, "use migration tool", self.user.upn, {}, after, consequence).save()

    def _remember(self) -> None:
        user, settings = self.user, self.outcomes.settings
        if any(outcome.has_own_blocks for outcome in self.changed):
            fingerprints.note_own_blocks(user)
        if any(self.changed):
            # Deleting a number that the migrated invitations show is asked about first (R35).
            shown = ServiceNumber.objects.filter(pk__in=[key for key in settings.number_keys if key])
            fingerprints.add_numbers(user, list(shown.values_list("pk", flat=True)))
        useless = [
            each.result.uid for each in self.done if not each.is_change and each.result.uid in settings.newly_numbered
        ]
        for some in batched(useless):
            release_private_conference_ids(user, some)
