"""When a set of runs may begin."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tenants_app.local_times import DailyWindow
from tenants_app.models import Tenant


class Plan(models.Model):
    """An earliest start, and perhaps a daily window, that what is done for many users and its runs wait for (R37).

    The job (:class:`BulkAction` or :class:`NumberRelease`) asks for its runs once the plan is open; a run of the plan
    begins, and is tried again, only while it is open. ``opens_at`` and ``closes_at`` say when that is, or is next.
    """

    class State(models.TextChoices):
        PLANNED = "Planned", _("Planned")
        BEGUN = "Begun", _("Begun")
        DONE = "Done", _("Done")
        CANCELLED = "Cancelled", _("Cancelled")

    OPEN = (State.PLANNED, State.BEGUN)
    """States in which something may still begin."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="plans")
    state = models.CharField(max_length=9, choices=State.choices, default=State.PLANNED)
    not_before = models.DateTimeField(_("earliest start"))
    window_from = models.TimeField(
        null=True, help_text="In the tenant's time zone: runs begin only from here each day …"
    )
    window_to = models.TimeField(null=True, help_text="… to here, on the next day where this is earlier.")
    opens_at = models.DateTimeField(help_text="Since when runs may begin, or from when they may next.")
    closes_at = models.DateTimeField(null=True, help_text="From when they may not until it opens again.")
    requested_by = models.CharField(max_length=200)
    created = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, help_text="When all of it had ended, also where it was cancelled.")
    cancelled_by = models.CharField(max_length=200, blank=True)
    waits_for_notices = models.BooleanField(
        default=False, help_text="Nothing begins before each notice to an organizer is handed over or given up."
    )
    wants_notice = models.BooleanField(default=False, help_text="Organizers are told in advance.")
    tells_cancellation = models.BooleanField(default=False, help_text="Who was told is told where it is cancelled.")

    class Meta:
        ordering = ["-created", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(window_from=None, window_to=None)
                | Q(window_from__isnull=False, window_to__isnull=False) & ~Q(window_from=F("window_to")),
                name="plan_has_a_whole_window_or_none",
            ),
            models.CheckConstraint(
                condition=Q(closes_at=None) | Q(closes_at__gt=F("opens_at")), name="plan_opens_before_it_closes"
            ),
        ]
        indexes = [
            models.Index(fields=["tenant", "-created"], name="plans_by_time"),
            models.Index(fields=["tenant", "opens_at"], condition=Q(state__in=["Planned", "Begun"]), name="open_plans"),
        ]

    def __str__(self) -> str:
        return f"{self.not_before:%Y-%m-%d %H:%M} UTC"

    @property
    def is_ahead(self) -> bool:
        """Whether something of it may still begin."""
        return self.state in self.OPEN

    @property
    def window(self) -> DailyWindow | None:
        """The daily window; None where runs may begin at any time from the earliest start on."""
        if self.window_from is None or self.window_to is None:
            return None
        return DailyWindow(self.window_from, self.window_to)

    def is_open(self, now: datetime) -> bool:
        """Whether its runs may begin at that moment."""
        is_open = self.opens_at <= now and (self.closes_at is None or now < self.closes_at)
        return is_open and not self.waits_for_notices


def is_open(now: datetime, plan: str = "") -> Q:
    """Plans whose runs may begin at that moment; ``plan`` is the prefix of the fields of whatever has one."""
    not_closed = Q(**{f"{plan}closes_at": None}) | Q(**{f"{plan}closes_at__gt": now})
    return Q(not_closed, **{f"{plan}opens_at__lte": now, f"{plan}waits_for_notices": False})


def runs_may_begin(now: datetime) -> Q:
    """Runs of no plan, and those whose plan is open and waits for no notice."""
    return Q(plan=None) | is_open(now, "plan__")
