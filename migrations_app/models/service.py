"""How the background service and what it depends on are."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants_app.models import Tenant
from tenants_app.sentence_fields import SentenceField


class Heartbeat(models.Model):
    """The last time the cluster did something; a silent one is stalled or gone."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Machine(models.Model):
    """A machine on which the background service runs, or ran a short while ago."""

    name = models.CharField(max_length=64, primary_key=True)
    workers = models.PositiveIntegerField(help_text=_("0: the service was stopped."))
    at = models.DateTimeField(help_text=_("When one of its workers last gave a sign of life."))

    def __str__(self) -> str:
        return self.name


class MailServer(models.Model):
    """Whether a mail server answers, as all workers know it: while it does not, none of them waits for it."""

    name = models.CharField(max_length=330, primary_key=True)
    failures = models.PositiveIntegerField(default=0, help_text=_("In a row."))
    failing_since = models.DateTimeField(null=True, help_text=_("The first failure of those in a row."))
    next_try_at = models.DateTimeField(
        null=True, help_text=_("Until then no message is tried, and one at this time; empty while messages go out.")
    )
    last_error = SentenceField(max_length=200, blank=True)
    held_until = models.DateTimeField(
        null=True,
        help_text=_("Until then it is given no message, because the limit of messages per minute is reached."),
    )
    turn_at = models.DateTimeField(
        null=True, help_text=_("When a worker turned to it last while others waited: who has waited longest is next.")
    )

    def __str__(self) -> str:
        return self.name

    @property
    def turns_away(self) -> bool:
        """Whether it does answer, but only to refuse: a sign-in, or any service at all."""
        return self.last_error.startswith("answer ")


class SentLately(models.Model):
    """What a mail server was given in the last minute, where that has a limit; all workers count here."""

    server = models.CharField(max_length=330)
    domain = models.CharField(max_length=253, blank=True, help_text="Recipients of this domain; empty: all messages.")
    seconds = models.JSONField(default=dict, help_text="How many in each second since 1970.")
    booked_until = models.DateTimeField(
        null=True, help_text="Up to when the room ahead is spoken for by those who were sent to sleep."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["server", "domain"], name="one_count_per_server_and_domain")]

    def __str__(self) -> str:
        return f"{self.server} {self.domain}".strip()


class Turn(models.Model):
    """When a run of the tenant was claimed last while runs of others waited too: who has waited longest is next."""

    tenant = models.OneToOneField(Tenant, models.CASCADE, related_name="turn")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.tenant} at {self.at}"


class Activity(models.Model):
    """That something was written which pages show, so that a page learns by one look whether it must be made anew.

    Triggers in the database write it (``monitoring.activity``), within the transaction of the change: whoever changes a
    row, and by which statement, cannot forget it. Each connection to the database has rows of its own, so that nobody
    ever waits for another because of them.
    """

    tenant_key = models.BigIntegerField(help_text="The tenant's; 0: what the pages of all tenants show.")
    writer = models.BigIntegerField(help_text="The connection that wrote.")
    value = models.BigIntegerField(help_text="Another one at each change, by chance.")
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant_key", "writer"], name="one_activity_per_tenant_and_writer")
        ]

    def __str__(self) -> str:
        return f"{self.tenant_key} by {self.writer}"


class Sample(models.Model):
    """How a tenant stood at ``at``, and what was done in the minutes before it: what charts and rates are made of.

    A minute that nobody measured has no row, and is told apart from one in which nothing happened.
    """

    MINUTE, HOUR = 1, 60

    tenant = models.ForeignKey(Tenant, models.CASCADE, db_index=False, related_name="samples")
    at = models.DateTimeField(help_text="The end of the stretch, a full minute or hour.")
    length = models.PositiveSmallIntegerField(default=MINUTE, help_text="Minutes: 1, or 60 for an hour that is over.")
    measured = models.PositiveSmallIntegerField(default=1, help_text="Minutes of these that were measured.")
    failed = models.PositiveIntegerField(default=0, help_text="Users by the state of their latest run (R29).")
    pending = models.PositiveIntegerField(default=0)
    in_progress = models.PositiveIntegerField(default=0)
    succeeded = models.PositiveIntegerField(default=0)
    left = models.PositiveIntegerField(default=0, help_text="Meetings that need a person.")
    waiting = models.PositiveIntegerField(default=0, help_text="Messages to be sent.")
    sent = models.PositiveIntegerField(default=0, help_text="Updates that were sent in the stretch.")
    runs_ended = models.PositiveIntegerField(default=0, help_text="In the stretch, well or not.")
    meetings = models.PositiveIntegerField(default=0, help_text="Of the runs that ended in the stretch.")
    failures = models.JSONField(default=dict, help_text="Runs that failed in the stretch, by code.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "length", "at"], name="one_sample_per_tenant_and_stretch")
        ]
        indexes = [models.Index(fields=["length", "at"], name="samples_by_time")]

    def __str__(self) -> str:
        return f"{self.tenant} at {self.at}"
