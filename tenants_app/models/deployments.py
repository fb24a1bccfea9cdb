"""Deployments: the systems that hold users and host their meetings; a tenant may run two side by side (R60)."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from tenants_app.models.tenants import MeetingService, Tenant
from tenants_app.sentences import sentence
from tenants_app.validators import validate_hosts, validate_meeting_url, validate_one_line, validate_program_name


class Deployment(models.Model):
    """A system that users belong to, which operators run. MMS records it, checks it, and moves users between two."""

    class Kind(models.TextChoices):
        """As ``ConferencingUser.Hosting``: what the users of the deployment are hosted as."""

        ON_PREMISES = "on-premises", _("On-premises")
        ONLINE = "online", _("Online")

    class Role(models.TextChoices):
        LEGACY = "legacy", _("Legacy")
        NEW = "new", _("New")

    class Mover(models.TextChoices):
        """How accounts get there (R63): MMS cannot move them itself."""

        RECORD = "record", _("Somebody has moved them")
        COMMAND = "command", _("A program moves them, one by one")
        LIST = "list", _("Move-CsUser moves them, by a list")

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="deployments")
    name = models.CharField(max_length=100, validators=[validate_one_line])
    kind = models.CharField(max_length=11, choices=Kind.choices, help_text=_("Users who move there are hosted so."))
    role = models.CharField(max_length=6, choices=Role.choices, help_text=_("Users move from legacy to new."))
    meeting_hosts = models.JSONField(
        _("meeting hosts"),
        default=list,
        validators=[validate_hosts],
        help_text=_("The names of servers in its join links, such as meet.contoso.com."),
    )
    meeting_service = models.CharField(
        _("meeting service"),
        max_length=5,
        blank=True,
        choices=MeetingService.choices,
        help_text=_("Who hosts meetings of its users that are made anew. Empty: the tenant's meeting service."),
    )
    meeting_url = models.CharField(
        _("meeting URL"),
        max_length=500,
        blank=True,
        validators=[validate_meeting_url],
        help_text=_("Where new join links of the Link service begin for its users. Empty: the tenant's meeting URL."),
    )
    check_hosts = models.JSONField(
        _("hosts for checks"),
        default=list,
        blank=True,
        validators=[validate_hosts],
        help_text=_("Which servers checks may connect to, besides the meeting hosts."),
    )
    mover = models.CharField(
        _("how accounts get there"),
        max_length=7,
        choices=Mover.choices,
        default=Mover.RECORD,
        help_text=_("MMS cannot move accounts itself: it records, calls a program, or writes a list and waits."),
    )
    mover_command = models.CharField(
        _("program that moves them"),
        max_length=100,
        blank=True,
        validators=[validate_program_name],
        help_text=_(
            "The name of a program that the operator of MMS allows. It gets one user principal name and the "
            "deployment, and may be called again for the same user."
        ),
    )
    lowest_client_version = models.CharField(
        _("lowest client version"),
        max_length=50,
        blank=True,
        validators=[validate_one_line],
        help_text=_("The oldest client that works with it, such as 16.0.4266. Empty: any."),
    )
    highest_client_version = models.CharField(
        _("highest client version"),
        max_length=50,
        blank=True,
        validators=[validate_one_line],
        help_text=_("The newest client that works with it. Empty: any."),
    )
    retired_at = models.DateTimeField(null=True, blank=True, editable=False)
    retired_by = models.CharField(max_length=200, blank=True, editable=False)
    numbers_released_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When a number of its bridges went after it was retired (R89)."
    )
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint("tenant", Lower("name"), name="one_deployment_per_name"),
            models.CheckConstraint(
                condition=Q(retired_at__isnull=True, retired_by="") | Q(retired_at__isnull=False) & ~Q(retired_by=""),
                name="deployment_says_who_retired_it",
            ),
        ]

    get_absolute_url: Callable[[], str]
    """Where its page is; the site says where that is (ABSOLUTE_URL_OVERRIDES)."""

    def __str__(self) -> str:
        return self.name

    @property
    def is_retired(self) -> bool:
        """Whether nobody can be moved to it any more (R89)."""
        return self.retired_at is not None

    @property
    def is_on_premises(self) -> bool:
        return self.kind == self.Kind.ON_PREMISES

    @property
    def hosts_in_reach(self) -> frozenset[str]:
        """The hosts that checks may address (R60)."""
        return frozenset({*self.meeting_hosts, *self.check_hosts})

    def clean(self) -> None:
        """What the settings ask of each other."""
        if not self.meeting_hosts:
            raise ValidationError({"meeting_hosts": _("Give at least one meeting host, such as meet.contoso.com.")})
        if self.mover == self.Mover.COMMAND and not self.mover_command:
            raise ValidationError({"mover_command": _("Name the program that moves the accounts.")})

    def not_of(self, tenant: Tenant) -> ValidationError:
        """What is told, of the field ``deployment``, where something of another tenant names it."""
        return ValidationError(
            {
                "deployment": sentence(
                    "%(tenant)s has no deployment %(deployment)s: choose one of its own.",
                    tenant=tenant.name,
                    deployment=self.name,
                )
            }
        )
