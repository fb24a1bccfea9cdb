"""Conferencing bridges and their service numbers."""

from __future__ import annotations

from collections.abc import Callable

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from tenants_app.models.deployments import Deployment
from tenants_app.models.tenants import Tenant
from tenants_app.validators import validate_e164, validate_one_line


class Bridge(models.Model):
    """A conferencing bridge. An empty provider is Microsoft; any other is a third party's (R16)."""

    class ConferenceIdsFrom(models.TextChoices):
        MMS = "mms", _("MMS")
        SERVICE = "service", _("The meeting service")

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="bridges")
    name = models.CharField(max_length=100, validators=[validate_one_line])
    is_default = models.BooleanField(default=False)
    provider = models.CharField(
        max_length=100, blank=True, validators=[validate_one_line], help_text=_("Empty: Microsoft.")
    )
    conference_ids_from = models.CharField(
        _("conference IDs from"),
        max_length=7,
        choices=ConferenceIdsFrom.choices,
        default=ConferenceIdsFrom.MMS,
        help_text=_(
            "Who hands out conference IDs. MMS may only where the bridge learns them from MMS. Where the "
            "meeting service does, invitations keep the IDs that it gave."
        ),
    )
    deployment = models.ForeignKey(
        Deployment,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="bridges",
        help_text=_("Which deployment it belongs to. Empty: none."),
    )

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint("tenant", Lower("name"), name="one_bridge_per_name"),
            models.UniqueConstraint(
                fields=["tenant"], condition=Q(is_default=True), name="one_default_bridge_per_tenant"
            ),
        ]

    get_absolute_url: Callable[[], str]
    """Where its page is; the site says where that is (ABSOLUTE_URL_OVERRIDES)."""

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """The deployment is the tenant's."""
        if self.deployment and self.deployment.tenant_id != self.tenant_id:
            raise self.deployment.not_of(self.tenant)

    @property
    def gives_conference_ids(self) -> bool:
        """Whether MMS hands out its conference IDs (R43); otherwise the meeting service does."""
        return self.conference_ids_from == self.ConferenceIdsFrom.MMS

    @property
    def default_number(self) -> ServiceNumber | None:
        """The toll number of users who have none of their own; by ``numbers``, where these are loaded already."""
        return next((number for number in self.numbers.all() if number.is_default), None)


class ServiceNumber(models.Model):
    """A toll or toll-free number of a bridge. A bridge's default is one of its own toll numbers, by constraint."""

    class Kind(models.TextChoices):
        TOLL = "toll", _("Toll")
        TOLL_FREE = "toll-free", _("Toll-free")

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="service_numbers")
    bridge = models.ForeignKey(Bridge, models.PROTECT, related_name="numbers")
    number = models.CharField(max_length=16, validators=[validate_e164])
    kind = models.CharField(max_length=10, choices=Kind.choices)
    is_default = models.BooleanField(default=False)
    country = models.CharField(max_length=100, blank=True, validators=[validate_one_line])
    city = models.CharField(max_length=100, blank=True, validators=[validate_one_line])
    is_leaving = models.BooleanField(
        default=False, editable=False, help_text="On its way off the bridge, so nobody is given it any more (R35)."
    )

    class Meta:
        ordering = ["number"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "number"], name="one_service_number_per_tenant"),
            models.UniqueConstraint(
                fields=["bridge"], condition=Q(is_default=True), name="one_default_number_per_bridge"
            ),
            models.CheckConstraint(condition=Q(is_default=False) | Q(kind="toll"), name="default_number_is_toll"),
        ]

    get_absolute_url: Callable[[], str]
    """Where its page is; the site says where that is (ABSOLUTE_URL_OVERRIDES)."""

    def __str__(self) -> str:
        return self.number

    @property
    def place(self) -> str:
        return ", ".join(part for part in (self.country, self.city) if part)


class FormerNumber(models.Model):
    """A number that was taken off its bridge, or went with it: nothing may print it again, unless it is back on one."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="former_numbers")
    number = models.CharField(max_length=16)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "number"], name="one_row_per_former_number")]

    def __str__(self) -> str:
        return self.number
