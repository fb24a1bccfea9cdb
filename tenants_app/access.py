"""Who may see and do what: every screen reaches a tenant's rows through :func:`access_for` and no other way."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from tenants_app.audit import Actor, Channel
from tenants_app.local_times import time_zone_names, zone_named
from tenants_app.models import Preferences, Role, Tenant

SECOND_FACTOR = "second_factor"
"""Of a session: that who signed in has shown a second factor. The site sets it when they do."""

_RANK = {Role.Name.VIEWER: 0, Role.Name.OPERATOR: 1, Role.Name.ADMIN: 2}


class SecondFactorNeeded(PermissionDenied):
    """The tenant is for those only who have signed in with a second factor. The site leads to where one is set up."""


@dataclass(frozen=True, slots=True)
class Access:
    """A tenant, and what the signed-in administrator may do in it."""

    tenant: Tenant
    role: Role.Name
    account: AbstractUser

    def allows(self, least: Role.Name) -> bool:
        return _RANK[self.role] >= _RANK[least]

    @property
    def may_operate(self) -> bool:
        """May start and retry runs."""
        return self.allows(Role.Name.OPERATOR)

    @property
    def may_administer(self) -> bool:
        """May also change settings and users."""
        return self.allows(Role.Name.ADMIN)

    @property
    def actor(self) -> Actor:
        """Who the audit says it was, acting on a screen."""
        return Actor(self.account.get_username(), Channel.SCREEN)

    def other_tenants(self) -> QuerySet[Tenant]:
        """A handful of other tenants to switch to."""
        return visible_tenants(self.account).exclude(pk=self.tenant.pk)[:8]


def visible_tenants(account: AbstractUser | AnonymousUser) -> QuerySet[Tenant]:
    """The tenants that the account has a role in; all of them for a superuser."""
    if account.is_superuser:
        return Tenant.objects.all()
    return Tenant.objects.filter(roles__account=account.pk)


def access_for(request: HttpRequest, slug: str, least: Role.Name = Role.Name.VIEWER) -> Access:
    """Fetch the tenant and authorise the signed-in administrator, who needs at least the role ``least``.

    From here on times are shown in the time zone that the account prefers, or else in the tenant's, and dates that are
    typed to search by are understood so, until the request has ended (``apps.py`` sees to that, also where the answer
    is streamed). Plans and windows are in the tenant's for everybody.

    Raises ``Http404`` for strangers, with the same answer whether the tenant exists or not,
    ``SecondFactorNeeded`` where the tenant asks for one, and ``PermissionDenied`` where the role is too small.
    """
    account = request.user
    if not isinstance(account, AbstractUser):
        raise Http404
    if account.is_superuser:
        tenant = Tenant.objects.filter(slug=slug).first()
        if tenant is None:
            raise Http404
        _ask_for_second_factor(request, tenant)
        use_time_zone(account, tenant)
        return Access(tenant, Role.Name.ADMIN, account)
    try:  # at most one: not first(), whose order takes longer to work out than the rest of the question
        role = Role.objects.select_related("tenant").get(tenant__slug=slug, account=account)
    except Role.DoesNotExist:
        raise Http404 from None
    _ask_for_second_factor(request, role.tenant)
    access = Access(role.tenant, Role.Name(role.name), account)
    if not access.allows(least):
        raise PermissionDenied(
            _(
                "This needs the role %(needed)s; yours in %(tenant)s is %(role)s. Ask an administrator of the tenant "
                "to do it, or to give you the role."
            )
            % {
                "needed": least.label.lower(),
                "tenant": role.tenant,
                "role": role.get_name_display().lower(),
            }
        )
    use_time_zone(account, access.tenant)
    return access


def _ask_for_second_factor(request: HttpRequest, tenant: Tenant) -> None:
    if tenant.second_factor_required and not request.session.get(SECOND_FACTOR):
        raise SecondFactorNeeded(
            _("%(tenant)s is for those only who sign in with a second factor: set one up.") % {"tenant": tenant}
        )


def use_time_zone(account: AbstractUser, tenant: Tenant | None = None) -> None:
    """Show times as the account prefers them, or else as the tenant has them, or the installation."""
    chosen = Preferences.of(account).time_zone
    if chosen in time_zone_names():
        timezone.activate(zone_named(chosen))
    elif tenant is not None:
        timezone.activate(tenant.zone)


def leave_time_zone(**of_signal: object) -> None:
    """Go back to the site's time zone: one thread answers requests of several tenants."""
    timezone.deactivate()
