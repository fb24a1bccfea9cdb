"""What runs and messages have left for a person."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from migrations_app.failures import describe
from migrations_app.models.runs import Run
from migrations_app.models.updates import Update
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.sentence_fields import SentenceField
from tenants_app.sentences import Sentence


class LeftMeeting(models.Model):
    """A meeting that needs a person: a run has left it as it is, or its attendees could not be told.

    One row per user and meeting that is left *now* (``runs.left`` keeps it so), and one per message that was given up.
    It goes when a run finds the meeting in order or gone, and does not count any more once the meeting is over.
    """

    class State(models.TextChoices):
        OPEN = "Open", _("Open")
        ASSIGNED = "Assigned", _("Assigned")
        DEALT_WITH = "DealtWith", _("Dealt with")

    tenant = models.ForeignKey(Tenant, models.CASCADE, db_index=False, related_name="left_meetings")
    user = models.ForeignKey(ConferencingUser, models.CASCADE, related_name="left_meetings")
    uid = models.CharField(max_length=500)
    subject = models.CharField(max_length=255, blank=True)
    starts_at = models.DateTimeField(null=True)
    last_end = models.DateTimeField(help_text=_("When it is over, and needs nobody any more."))
    attendee_count = models.PositiveIntegerField(default=0)
    code = models.CharField(max_length=40, help_text=_("Why it needs a person."))
    detail = SentenceField(blank=True)
    etag = models.CharField(max_length=300, blank=True, help_text=_("Of the text that was left."))
    run = models.ForeignKey(
        Run, models.SET_NULL, null=True, related_name="still_left", help_text=_("The last one that left it.")
    )
    message = models.OneToOneField(
        Update, models.CASCADE, null=True, related_name="left_meeting", help_text=_("The message that was given up.")
    )
    request = models.ForeignKey(
        Update, models.SET_NULL, null=True, related_name="+", help_text=_("The message that asks the organizer.")
    )
    state = models.CharField(max_length=9, choices=State.choices, default=State.OPEN)
    note = models.CharField(max_length=500, blank=True)
    by = models.CharField(max_length=200, blank=True, help_text=_("Who assigned it, or dealt with it."))
    at = models.DateTimeField(null=True)
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "uid"], condition=Q(message=None), name="one_left_row_per_meeting")
        ]
        indexes = [
            models.Index(fields=["tenant", "state", "last_end"], name="left_meetings_by_state"),
            models.Index(fields=["tenant", "starts_at"], name="left_meetings_by_start"),
        ]

    def __str__(self) -> str:
        return self.subject or self.uid

    @property
    def noted(self) -> Sentence:
        """The note: a person's own words, or a sentence of ours."""
        return Sentence(self.note)

    @property
    def reason(self) -> str:
        """What happened and what to do, from the catalogue (R31)."""
        return describe(self.code, self.detail)
