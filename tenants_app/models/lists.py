"""How administrators like their lists: columns and rows of each, and filters under a name."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from tenants_app.models.tenants import Role, Tenant
from tenants_app.validators import validate_one_line


class ListLayout(models.Model):
    """Which columns of a list an account sees, in which order, and how many rows on a page; in every tenant."""

    account = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="list_layouts")
    of_list = models.CharField(max_length=40, help_text=_("The name of the list."))
    columns = models.JSONField(default=list, help_text=_("Names of columns, in order; empty: those of the list."))
    rows = models.PositiveSmallIntegerField(null=True, help_text=_("Rows on a page; empty: as many as is usual."))

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "of_list"], name="one_layout_per_account_and_list")]

    def __str__(self) -> str:
        return self.of_list


class SavedFilterQuerySet(models.QuerySet["SavedFilter"]):
    def of(self, tenant: Tenant, name: str, account: Any) -> SavedFilterQuerySet:
        """What the account may open on the list ``name``: its own and the shared ones, by name.

        Each says in ``is_default`` whether the account's list opens with it, and in ``is_owner_here`` whether who owns
        it may still come to the tenant.
        """
        owner = {"account": OuterRef("owner"), "account__is_active": True}
        defaults = DefaultFilter.objects.filter(account=account, saved=OuterRef("pk"))
        return (
            self.filter(Q(owner=account) | Q(is_shared=True), tenant=tenant, of_list=name)
            .annotate(
                is_default=Exists(defaults),
                is_owner_here=Q(owner__is_superuser=True, owner__is_active=True)
                | Exists(Role.objects.filter(tenant=tenant, **owner)),
            )
            .order_by("name", "pk")
        )


class SavedFilter(models.Model):
    """What a list shows, under a name: filter, sorting and columns, as the query of an address."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="saved_filters")
    of_list = models.CharField(max_length=40, help_text=_("The name of the list."))
    name = models.CharField(max_length=80, validators=[validate_one_line])
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="saved_filters",
        help_text=_("Empty where the account is gone; its own filters have gone with it."),
    )
    owner_name = models.CharField(max_length=200, help_text=_("Kept when the account is gone."))
    is_shared = models.BooleanField(default=False, help_text=_("Whether everybody of the tenant sees it."))
    query = models.CharField(max_length=2000, blank=True)
    created = models.DateTimeField(auto_now_add=True)

    objects = SavedFilterQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "of_list", "owner", "name"], name="one_filter_per_owner_and_name"
            ),
            models.UniqueConstraint(
                fields=["tenant", "of_list", "name"], condition=Q(is_shared=True), name="one_shared_filter_per_name"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class DefaultFilter(models.Model):
    """The filter with which a list opens for an account."""

    account = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="default_filters")
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="default_filters")
    of_list = models.CharField(max_length=40, help_text=_("The name of the list."))
    saved = models.ForeignKey(SavedFilter, models.CASCADE, related_name="default_of")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "tenant", "of_list"], name="one_default_filter_per_list")
        ]

    def __str__(self) -> str:
        return str(self.saved)
