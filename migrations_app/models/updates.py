"""The outbox: messages on their way out, and those that tell attendees of changed meetings."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from migrations_app.failures import describe
from migrations_app.models.runs import MeetingResult
from tenants_app.models import ServiceNumber, Tenant
from tenants_app.sentence_fields import SentenceField


class Outgoing(models.Model):
    """A message on its way out: who is still to be told, whose hands it is in, and what came of it.

    Kept by :mod:`mail.outbox` alone, whatever the message is about.
    """

    class State(models.TextChoices):
        QUEUED = "Queued", _("Queued")
        SENT = "Sent", _("Sent")
        FAILED = "Failed", _("Failed")
        SUPERSEDED = "Superseded", _("Not needed any more")
        BY_SERVER = "ByServer", _("Sent by the mailbox's server")

    IN_DOUBT = "mail-unconfirmed"
    """The code of a failed one that the mail server got whole, and did not say whether it took it."""

    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    recipients_left = models.JSONField(null=True, help_text=_("Addresses still to be told, where not all are."))
    recipients_in_doubt = models.JSONField(
        default=dict,
        help_text=_("Of those, the ones whose message the server got whole and said nothing to, with its Message-ID."),
    )
    recipients_refused = models.JSONField(
        default=dict, help_text=_("Of those, the ones whom the server refused, with its answer.")
    )
    queued_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveSmallIntegerField(default=0, help_text=_("Tries since the last recipient was told."))
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    error_code = models.CharField(max_length=40, blank=True)
    error_detail = SentenceField(blank=True)

    class Meta:
        abstract = True


class Update(Outgoing):
    """What tells a changed meeting's attendees. One row per changed meeting.

    Committed together with the mailbox write; delivered later, as often as it takes. The message itself is
    composed from the mailbox when it is sent, so that it is stored only once. Guests of single occurrences get messages
    of their own, under the same row. Of a meeting that a run has left as it is, the row is the one message that asks
    its organizer to look at it.
    """

    CUT_OFF = "meeting-changed-while-cut-off"
    """The code of one that was not sent: somebody may have changed the meeting since, and told the attendees."""
    FOR_A_PERSON = (Outgoing.IN_DOUBT, CUT_OFF)
    """Codes of failed ones about which a person decides whether attendees were told."""

    result = models.OneToOneField(MeetingResult, models.CASCADE, primary_key=True)
    tenant = models.ForeignKey(
        Tenant,
        models.CASCADE,
        null=True,
        db_index=False,
        related_name="+",
        help_text=_(
            "Whose mail server it goes through; empty for one that had come to its end before tenants had any."
        ),
    )
    recipient_count = models.PositiveIntegerField()

    class Meta:
        indexes = [
            # The key comes last, as in the order in which messages are claimed.
            models.Index(fields=["due_at", "result"], condition=Q(state="Queued"), name="waiting_updates"),
            models.Index(
                fields=["tenant", "due_at", "result"], condition=Q(state="Queued"), name="waiting_updates_by_tenant"
            ),
            models.Index(fields=["due_at"], condition=Q(state="Failed"), name="failed_updates_by_due_time"),
            models.Index(fields=["sent_at", "tenant"], condition=Q(sent_at__isnull=False), name="updates_by_sent_time"),
        ]

    def __str__(self) -> str:
        return f"update {self.result_id}"

    @property
    def asks_organizer(self) -> bool:
        """Whether it asks the organizer to look at a meeting that was left, instead of telling of a change."""
        # The server of a mailbox tells attendees, also of a meeting that came out otherwise than it was to be.
        return self.result.outcome != MeetingResult.Outcome.SUCCEEDED and self.state != self.State.BY_SERVER

    @property
    def error_message(self) -> str:
        return describe(self.error_code, self.error_detail) if self.error_code else ""


class UpdateText(models.Model):
    """The meeting that an update is about, where it stands in no mailbox that MMS can read (R38).

    It goes when the update was sent or is not needed any more. With one that failed it stays as long as the history
    does, so that it can be sent again.
    """

    update = models.OneToOneField(Update, models.CASCADE, primary_key=True, related_name="text")
    body = models.BinaryField(help_text="The calendar object, with the block that attendees are told of.")
    language = models.CharField(max_length=35, help_text="In which the message is written.")

    def __str__(self) -> str:
        return f"text of {self.update}"


class UntoldNumber(models.Model):
    """A service number that an update takes out of attendees' hands, as long as not all of them were told.

    While there is one, the database keeps the number (R35). It goes when the update was sent or is not needed any
    more; a newer update of the same meeting takes it over; for one that was given up a person may accept that.
    """

    update = models.ForeignKey(Update, models.CASCADE, related_name="untold_numbers")
    number = models.ForeignKey(ServiceNumber, models.PROTECT, related_name="untold_numbers")
    meeting_ends_at = models.DateTimeField(help_text="From then on nobody dials it any more, told or not.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["update", "number"], name="one_row_per_update_and_number")]

    def __str__(self) -> str:
        return f"{self.number} until {self.update} is sent"
