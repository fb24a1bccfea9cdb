"""What goes on step by step beside the runs."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from migrations_app.models.plans import Plan
from tenants_app.models import Bridge, ConferencingUser, MailboxConnection, ServiceNumber, Tenant
from tenants_app.sentence_fields import SentenceField, SentencesField


class NumberRelease(models.Model):
    """A service number on its way off a bridge, with the number that takes its place (R32 to R35)."""

    class State(models.TextChoices):
        WAITING = "Waiting", _("Waiting")
        MOVING = "Moving", _("Moving")
        UPDATING = "Updating", _("Updating")
        RELEASED = "Released", _("Released")
        CANCELLED = "Cancelled", _("Cancelled")

    OPEN = (State.WAITING, State.MOVING, State.UPDATING)
    """States in which it has not ended."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="number_releases")
    bridge = models.ForeignKey(Bridge, models.CASCADE, related_name="number_releases")
    number = models.ForeignKey(ServiceNumber, models.SET_NULL, null=True, related_name="releases")
    e164 = models.CharField(_("number"), max_length=16, help_text="Kept when the number itself is gone.")
    replacement = models.ForeignKey(ServiceNumber, models.SET_NULL, null=True, related_name="replacements")
    replacement_e164 = models.CharField(_("replacement"), max_length=16)
    state = models.CharField(max_length=9, choices=State.choices, default=State.WAITING)
    requested_by = models.CharField(max_length=200)
    created = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(help_text="When the first user may be moved; until then it can be cancelled.")
    plan = models.ForeignKey(
        Plan, models.RESTRICT, null=True, related_name="number_releases", help_text="Users are moved while it is open."
    )
    began_at = models.DateTimeField(null=True)
    moved_at = models.DateTimeField(null=True, help_text="When nobody had the number in their settings any more.")
    finished_at = models.DateTimeField(null=True)
    cursor = models.BigIntegerField(default=0, help_text="The last user, by key, that was looked at.")
    users = models.ManyToManyField(ConferencingUser, related_name="number_releases")
    looks_since = models.DateTimeField(
        null=True, help_text="Mailboxes outside are searched by what a look has found that began later."
    )
    searched_to = models.BigIntegerField(default=0, help_text="The last user, by key, whose meetings were searched.")
    searched_at = models.DateTimeField(null=True, help_text="When all users' meetings had been searched for it.")
    looked_again_to = models.BigIntegerField(
        default=0, help_text="The last meeting listed, by key, that was read again."
    )
    is_search_outdated = models.BooleanField(
        default=False, help_text="Something held the number since, so all meetings are searched once more at the end."
    )
    reason = models.CharField(max_length=500, blank=True, help_text="Why a person released it although it was held.")

    class Meta:
        ordering = ["-created", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["number"], condition=Q(state__in=["Waiting", "Moving", "Updating"]), name="one_open_release"
            ),
        ]
        indexes = [models.Index(fields=["tenant", "-created"], name="releases_by_time")]

    def __str__(self) -> str:
        return self.e164

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN


class ShownMeeting(models.Model):
    """A meeting to come that shows a number on its way off a bridge, and so holds it (R35)."""

    release = models.ForeignKey(NumberRelease, models.CASCADE, related_name="shown_meetings")
    user = models.ForeignKey(ConferencingUser, models.CASCADE, related_name="shown_meetings")
    uid = models.CharField(max_length=500)
    subject = models.CharField(max_length=255, blank=True)
    starts_at = models.DateTimeField(null=True)
    last_end = models.DateTimeField(help_text="When it is over, and holds nothing any more.")
    places = models.JSONField(help_text="Components and properties that show the number, in capital letters.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["release", "user", "uid"], name="one_row_per_shown_meeting")]

    def __str__(self) -> str:
        return self.subject or self.uid


class UserImport(models.Model):
    """A file of users that came in through the browser: first checked, then applied on request.

    One from a directory is read from there in the background first, and is a file like any other from then on.
    """

    class State(models.TextChoices):
        CHECKING = "Checking", _("Checking")
        CHECKED = "Checked", _("Checked")
        APPLYING = "Applying", _("Applying")
        APPLIED = "Applied", _("Applied")
        REFUSED = "Refused", _("Refused")
        DISCARDED = "Discarded", _("Discarded")

    WAITING = (State.CHECKING, State.APPLYING)
    """States in which the background service has something to do."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="user_imports")
    file_name = models.CharField(max_length=200)
    text = models.TextField(help_text="The file; emptied when it has been applied or discarded.")
    is_from_directory = models.BooleanField(default=False)
    connection = models.ForeignKey(
        MailboxConnection, models.SET_NULL, null=True, related_name="+", help_text="By which the directory is asked."
    )
    group = models.CharField(max_length=36, blank=True, help_text="The ID of the group whose members are asked for.")
    domain = models.CharField(max_length=253, blank=True, help_text="The domain whose users are asked for.")
    state = models.CharField(max_length=9, choices=State.choices, default=State.CHECKING)
    requested_by = models.CharField(max_length=200)
    skips_bad_rows = models.BooleanField(default=False)
    created = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)
    findings = SentencesField(default=dict, help_text="What the check found, or what applying it did.")
    problem = SentenceField(blank=True, help_text="Why the file as a whole was refused.")
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created", "-pk"]
        indexes = [models.Index(fields=["tenant", "-created"], name="user_imports_by_time")]

    def __str__(self) -> str:
        return self.file_name

    @property
    def source(self) -> str:
        """What the users come from, as sentences begin with it."""
        return "The directory" if self.is_from_directory else "The file"


class BulkAction(models.Model):
    """What was asked for many users at once, as it was confirmed, and how far it is."""

    class State(models.TextChoices):
        WAITING = "Waiting", _("Waiting")
        WORKING = "Working", _("Working")
        DONE = "Done", _("Done")
        STOPPED = "Stopped", _("Stopped")

    OPEN = (State.WAITING, State.WORKING)
    """States in which users are still to be done."""
    WITHOUT_RUNS = ("mark", "notify")
    """Kinds from which no run follows."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="bulk_actions")
    kind = models.CharField(max_length=20, help_text="What is done, by its name in the registry of such actions.")
    options = models.JSONField(default=dict, help_text="How it is done, as the action understands it.")
    plan = models.ForeignKey(
        Plan, models.RESTRICT, null=True, related_name="bulk_actions", help_text="It is done while this is open."
    )
    chosen_by = SentenceField(blank=True, help_text="The filter that found the users, in words.")
    state = models.CharField(max_length=7, choices=State.choices, default=State.WAITING)
    requested_by = models.CharField(max_length=200)
    channel = models.CharField(max_length=7, help_text="Through what it was asked for, as the audit has it.")
    created = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)
    user_count = models.PositiveIntegerField(default=0)
    done_count = models.PositiveIntegerField(default=0)
    refused_count = models.PositiveIntegerField(default=0, help_text="Users for whom it was not done.")
    missed = models.PositiveIntegerField(
        default=0, help_text="How many fewer users it is about than were shown before it was confirmed."
    )
    sentences = SentencesField(default=list, help_text="What was said of users, whether it was done, of how many.")

    class Meta:
        ordering = ["-created", "-pk"]
        indexes = [
            models.Index(fields=["tenant", "-created"], name="bulk_actions_by_time"),
            models.Index(
                fields=["tenant", "id"], condition=Q(state__in=["Waiting", "Working"]), name="open_bulk_actions"
            ),
        ]

    def __str__(self) -> str:
        return self.kind

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN

    @property
    def handled_count(self) -> int:
        """Users of whom it is known what became of them."""
        return self.done_count + self.refused_count


class BulkActionUser(models.Model):
    """One of the users whom it is about, and what became of it for them."""

    class State(models.TextChoices):
        WAITING = "Waiting", _("Waiting")
        DONE = "Done", _("Done")
        REFUSED = "NotDone", _("Not done")

    action = models.ForeignKey(BulkAction, models.CASCADE, related_name="users", db_index=False)
    user = models.ForeignKey(ConferencingUser, models.SET_NULL, null=True, related_name="bulk_actions")
    upn = models.CharField(max_length=320, help_text="Kept when the user is gone.")
    state = models.CharField(max_length=7, choices=State.choices, default=State.WAITING)
    sentence = SentenceField(blank=True)

    class Meta:
        ordering = ["pk"]
        indexes = [
            models.Index(fields=["action", "id"], name="bulk_action_users"),
            models.Index(fields=["action", "state", "id"], name="bulk_action_users_by_state"),
        ]

    def __str__(self) -> str:
        return self.upn
