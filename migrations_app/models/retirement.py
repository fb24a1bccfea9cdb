"""Taking a wave back, what cannot go back, and what shows that a legacy deployment may be retired (R83 to R90)."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from migrations_app.failures import describe
from migrations_app.models.notices import Notice
from migrations_app.models.rollouts import Wave
from tenants_app.models import ConferencingUser, Deployment, Tenant
from tenants_app.sentence_fields import SentenceField, SentencesField


class Rollback(models.Model):
    """A wave, or chosen members of it, on the way back to the legacy deployment, and what came of it (R83, R84)."""

    wave = models.ForeignKey(Wave, models.CASCADE, related_name="rollbacks")
    is_whole = models.BooleanField(help_text="All members; otherwise those who were chosen.")
    members = models.PositiveIntegerField(help_text="How many were to move back.")
    asked_at = models.DateTimeField(default=timezone.now)
    asked_by = models.CharField(max_length=200)
    reason = models.CharField(max_length=500, blank=True)
    ended_at = models.DateTimeField(null=True)
    returned = models.PositiveIntegerField(default=0, help_text="Members who are back.")
    failed = models.PositiveIntegerField(default=0, help_text="Members who could not be moved back, or undone.")

    class Meta:
        ordering = ["-asked_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["wave"], condition=Q(ended_at=None), name="one_open_rollback_per_wave")
        ]

    def __str__(self) -> str:
        return f"rollback of {self.wave}"


class MeetingSearch(models.Model):
    """A search of mailboxes for meetings to come that show certain hosts or numbers.

    Of a wave, its members' mailboxes are searched for the new deployment's meeting hosts (R85); without one, all of the
    tenant's for what only the legacy deployment has (R88). It goes on where it was, some users a step.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="meeting_searches")
    deployment = models.ForeignKey(Deployment, models.CASCADE, related_name="searches", help_text="Whose hosts.")
    wave = models.ForeignKey(Wave, models.CASCADE, null=True, related_name="searches")
    hosts = models.JSONField(default=list)
    numbers = models.JSONField(default=list, help_text="In E.164.")
    asked_at = models.DateTimeField(default=timezone.now)
    asked_by = models.CharField(max_length=200)
    looks_since = models.DateTimeField(
        null=True, help_text="Mailboxes outside are searched by what a look has found that began later."
    )
    searched_to = models.BigIntegerField(default=0, help_text="The last user, by key, whose meetings were searched.")
    due_at = models.DateTimeField(default=timezone.now, help_text="When the next step may be done.")
    searched_users = models.PositiveIntegerField(default=0)
    searched_meetings = models.PositiveIntegerField(default=0)
    searched_at = models.DateTimeField(null=True, help_text="When all had been searched.")

    class Meta:
        ordering = ["-asked_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["wave"], condition=Q(searched_at=None, wave__isnull=False), name="one_open_search_per_wave"
            ),
            models.UniqueConstraint(
                fields=["deployment"],
                condition=Q(searched_at=None, wave__isnull=True),
                name="one_open_search_per_deployment",
            ),
        ]

    def __str__(self) -> str:
        return f"search for {self.deployment}"


class FoundMeeting(models.Model):
    """A meeting to come that a search has found."""

    search = models.ForeignKey(MeetingSearch, models.CASCADE, related_name="meetings")
    user = models.ForeignKey(ConferencingUser, models.CASCADE, related_name="+")
    uid = models.CharField(max_length=500)
    subject = models.CharField(max_length=255, blank=True)
    starts_at = models.DateTimeField(null=True)
    last_end = models.DateTimeField(help_text=_("End of the last occurrence; the year 9999 stands for no end."))
    attendee_count = models.PositiveIntegerField(default=0, help_text=_("Organizer included."))
    attendees = models.JSONField(default=list, help_text="Their addresses; of very many the first.")
    shows = models.JSONField(default=list, help_text="The hosts and numbers that it shows.")
    join_url = models.CharField(max_length=2000, blank=True, help_text="The first link to one of these hosts.")
    notice = models.ForeignKey(
        Notice, models.SET_NULL, null=True, related_name="+", help_text="What told the organizer: once."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["search", "user", "uid"], name="one_row_per_found_meeting")]
        indexes = [models.Index(fields=["search", "starts_at"], name="found_meetings_by_start")]

    def __str__(self) -> str:
        return self.subject or self.uid


class UnreadMailbox(models.Model):
    """A mailbox that a search could not read, and why: nothing is known of its meetings."""

    search = models.ForeignKey(MeetingSearch, models.CASCADE, related_name="unread")
    user = models.ForeignKey(ConferencingUser, models.CASCADE, related_name="+")
    code = models.CharField(max_length=40)
    detail = SentenceField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["search", "user"], name="one_row_per_unread_mailbox")]

    def __str__(self) -> str:
        return str(self.why)

    @property
    def why(self) -> str:
        """What happened and what to do."""
        return describe(self.code, self.detail)


class AcceptedMeeting(models.Model):
    """A meeting that may go on showing what the legacy deployment has: an exception by name (R88)."""

    deployment = models.ForeignKey(Deployment, models.CASCADE, related_name="accepted_meetings")
    user = models.ForeignKey(ConferencingUser, models.CASCADE, related_name="+")
    uid = models.CharField(max_length=500)
    subject = models.CharField(max_length=255, blank=True)
    at = models.DateTimeField(default=timezone.now)
    by = models.CharField(max_length=200)
    reason = models.CharField(max_length=500)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["deployment", "user", "uid"], name="one_acceptance_per_found_meeting")
        ]

    def __str__(self) -> str:
        return self.subject or self.uid


class TakenListing(models.Model):
    """A list that somebody took from a legacy deployment, as evidence of its retirement; appended, never changed (R88).

    An entry is an account, or a conference directory with its owner before and after.
    """

    class Kind(models.TextChoices):
        ACCOUNTS = "accounts", _("Accounts")
        DIRECTORIES = "directories", _("Conference directories")

    deployment = models.ForeignKey(Deployment, models.CASCADE, related_name="taken_listings")
    kind = models.CharField(max_length=11, choices=Kind.choices)
    at = models.DateTimeField(default=timezone.now)
    by = models.CharField(max_length=200)
    source = models.CharField(max_length=200, blank=True, help_text="The name of the file, or of the program.")
    count = models.PositiveIntegerField(help_text="Entries in it.")
    open_count = models.PositiveIntegerField(help_text="Accounts, or directories that were not moved.")
    entries = models.JSONField(default=list, help_text="Of very many the first, those that are open before others.")

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["deployment", "kind", "-at"], name="taken_listings_by_time")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.deployment}"


class Retirement(models.Model):
    """A legacy deployment was retired: what was shown then, and whether it was taken back (R89)."""

    deployment = models.ForeignKey(Deployment, models.CASCADE, related_name="retirements")
    at = models.DateTimeField(default=timezone.now)
    by = models.CharField(max_length=200)
    reason = models.CharField(max_length=500, blank=True)
    evidence = SentencesField(default=list, help_text="Of each condition its name and what showed it.")
    taken_back_at = models.DateTimeField(null=True)
    taken_back_by = models.CharField(max_length=200, blank=True)
    taken_back_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["deployment"], condition=Q(taken_back_at=None), name="one_retirement_that_holds"
            )
        ]

    def __str__(self) -> str:
        return f"retirement of {self.deployment}"
