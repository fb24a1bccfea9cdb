"""What a tenant's administrators are told while they are away, and what became of telling them."""

from __future__ import annotations

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from migrations_app.failures import describe
from migrations_app.models.rollouts import RolloutEvent
from tenants_app.local_times import DailyWindow
from tenants_app.models import Sealed, Tenant
from tenants_app.sentence_fields import SentenceField, SentencesField


class AlertSettings(Sealed):
    """Whom a tenant's alerts go to, about what, and when. The password is the secret that signs the webhook."""

    class BreaksQuiet(models.TextChoices):
        """What is told during the quiet hours all the same."""

        NOTHING = "nothing", _("Nothing")
        SILENCE = "silent-cluster", _("That the background service was silent")

    tenant = models.OneToOneField(Tenant, models.CASCADE, related_name="alert_settings")
    recipients = models.TextField(
        _("mail addresses"), blank=True, max_length=6000, help_text=_("One on each line, at most 20. Empty: no mail.")
    )
    webhook_url = models.CharField(
        _("webhook address"),
        max_length=500,
        blank=True,
        help_text=_("Where alerts are posted as JSON, signed, such as https://hooks.contoso.com/mms. Empty: nowhere."),
    )
    watched = models.JSONField(
        default=dict, editable=False, help_text="What is told, by kind, and since when it is watched for."
    )
    pause_minutes = models.PositiveSmallIntegerField(
        _("minutes between two messages"),
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(1440)],
        help_text=_("What happens within this time comes as one message."),
    )
    quiet_from = models.TimeField(
        null=True, blank=True, help_text=_("In the tenant's time zone, such as 22:00. Empty: no quiet hours.")
    )
    quiet_until = models.TimeField(
        null=True, blank=True, help_text=_("Such as 07:00. Then one message sums up what was held back.")
    )
    quiet_weekends = models.BooleanField(
        _("quiet on Saturdays and Sundays"), default=False, help_text=_("All day, in the tenant's time zone.")
    )
    breaks_quiet = models.CharField(
        _("what is told all the same"), max_length=14, choices=BreaksQuiet.choices, default=BreaksQuiet.NOTHING
    )
    looked_at = models.DateTimeField(null=True, editable=False, help_text="When it was looked last what has happened.")
    last_alert_at = models.DateTimeField(null=True, editable=False)
    webhook_off_at = models.DateTimeField(
        null=True, editable=False, help_text="When the receiver said that it is gone for good (410)."
    )
    mail_given_up_at = models.DateTimeField(
        null=True, editable=False, help_text="When an alert by mail was given up; empty once one has arrived since."
    )
    webhook_given_up_at = models.DateTimeField(null=True, editable=False, help_text="The same of the webhook.")

    def __str__(self) -> str:
        return f"alerts of {self.tenant}"

    @classmethod
    def of(cls, tenant: Tenant) -> AlertSettings:
        """The tenant's; where none are stored, as they are without."""
        found = cls.objects.filter(tenant=tenant).first() or cls()
        found.tenant = tenant
        return found

    @property
    def addresses(self) -> list[str]:
        return self.recipients.split()

    @property
    def quiet_hours(self) -> DailyWindow | None:
        """The quiet hours of each day; None where there are none."""
        if self.quiet_from is None or self.quiet_until is None:
            return None
        return DailyWindow(self.quiet_from, self.quiet_until)

    @property
    def has_webhook(self) -> bool:
        """Whether alerts are posted: there is an address, and it has not said that it is gone."""
        return self.webhook_url != "" and self.webhook_off_at is None

    @property
    def reaches_anybody(self) -> bool:
        return bool(self.addresses) or self.has_webhook


class AlertEvent(models.Model):
    """Something that happened and is to be told, once; and for what lasts, once more that it is over.

    ``thing`` and ``object_id`` name the row that it is about, ``at`` tells two occurrences of the same one apart. What
    is said of it is read from that row when the alert is put together.
    """

    class Thing(models.TextChoices):
        RUN = "run", _("Run")
        LEFT_MEETING = "left", _("Left Meeting")
        CONNECTION = "connection", _("Connection")
        SILENCE = "silence", _("Silence")
        BULK_ACTION = "bulk-action", _("Bulk Action")
        USER_IMPORT = "import", _("User Import")
        NUMBER_RELEASE = "release", _("Number Release")
        PREVIEW = "preview", _("Preview")
        CREDENTIAL = "credential", _("Credential")
        WAVE_STOP = "wave-stop", _("Stop of a wave")
        CHAT_STOP = "chat-stop", _("Stop of an import of chat")
        CHAT_IMPORT = "chat-import", _("Import of chat")

    tenant = models.ForeignKey(Tenant, models.CASCADE, db_index=False, related_name="+")
    thing = models.CharField(max_length=11, choices=Thing.choices)
    object_id = models.BigIntegerField()
    at = models.DateTimeField()
    noted_at = models.DateTimeField(default=timezone.now, help_text="When it, or that it is over, was noticed.")
    facts = SentencesField(default=dict, help_text="Of what does not last: name, code and detail of a connection.")
    ended_at = models.DateTimeField(null=True, help_text="When what lasts was over.")
    told_at = models.DateTimeField(null=True, help_text="When it went into an alert, or needed none any more.")
    end_told_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "thing", "object_id", "at"], name="one_event_per_occurrence")
        ]
        indexes = [
            models.Index(
                fields=["tenant"],
                condition=Q(told_at=None) | Q(end_told_at=None, ended_at__isnull=False),
                name="alert_events_to_be_told",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.thing} {self.object_id}"


class Alert(models.Model):
    """One message to the tenant's administrators, or to the people of a rollout; what it says stays as it was when it
    was put together."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, db_index=False, related_name="alerts")
    created = models.DateTimeField(default=timezone.now)
    content = SentencesField(help_text="As the webhook gets it; docs/alerts.md has the schema.")
    rollout_event = models.OneToOneField(
        RolloutEvent,
        models.CASCADE,
        null=True,
        related_name="alert",
        help_text="What the people of its rollout are told of; empty: it is for the tenant's administrators.",
    )

    class Meta:
        ordering = ["-created", "-pk"]
        indexes = [models.Index(fields=["tenant", "-created"], name="alerts_by_time")]

    def __str__(self) -> str:
        title = str(self.content.get("title", ""))
        return title[:1].upper() + title[1:]


class AlertDelivery(models.Model):
    """An alert on its way to one mail address or to the webhook."""

    class Channel(models.TextChoices):
        MAIL = "mail", _("Mail")
        WEBHOOK = "webhook", _("Webhook")

    class State(models.TextChoices):
        QUEUED = "Queued", _("Queued")
        SENT = "Sent", _("Sent")
        FAILED = "Failed", _("Failed")

    alert = models.ForeignKey(Alert, models.CASCADE, related_name="deliveries")
    channel = models.CharField(max_length=7, choices=Channel.choices)
    delivery_id = models.UUIDField(default=uuid.uuid4, unique=True, help_text=_("The same however often it is tried."))
    state = models.CharField(max_length=6, choices=State.choices, default=State.QUEUED)
    recipient = models.CharField(
        max_length=320, blank=True, help_text=_("The mail address; each gets a mail of its own.")
    )
    queued_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    error_code = models.CharField(max_length=40, blank=True)
    error_detail = SentenceField(blank=True)

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["due_at"], condition=Q(state="Queued"), name="queued_alerts_by_due_time")]

    def __str__(self) -> str:
        return f"{self.alert} to {self.recipient or self.channel}"

    @property
    def error_message(self) -> str:
        return describe(self.error_code, self.error_detail) if self.error_code else ""


class WorkerSilence(models.Model):
    """The background service gave no sign of life from then until then, as it found when it was back."""

    began = models.DateTimeField(unique=True)
    ended = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(ended__gt=F("began")), name="silence_ends_after_it_began")]

    def __str__(self) -> str:
        return f"{self.began} to {self.ended}"
