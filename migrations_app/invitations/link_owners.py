"""Whether a join link carries the name of another user."""

from __future__ import annotations

from tenants_app.models import ConferencingUser
from tenants_app.validators import is_address


class Colleagues:
    """Finds the other users of a user's tenant by the name in a join link, and remembers each answer."""

    def __init__(self, user: ConferencingUser) -> None:
        self._user = user
        self._answers: dict[str, bool] = {}

    def have(self, owner: str) -> bool:
        """Whether another user of the tenant has this name in their join links.

        A name without a domain may be the one of the tenant's own domain or of the user's.
        """
        if owner not in self._answers:
            self._answers[owner] = self._is_someone_else(owner.lower())
        return self._answers[owner]

    def _is_someone_else(self, owner: str) -> bool:
        domains = [self._user.tenant.domain, self._user.sip_address.partition("@")[2].lower()]
        addresses = [owner] if "@" in owner else [f"{owner}@{domain}" for domain in dict.fromkeys(domains)]
        if not set(addresses).isdisjoint(self._user.addresses):
            return False
        theirs = list(filter(is_address, addresses))
        users = ConferencingUser.objects.filter(tenant=self._user.tenant_id, sip_address__in=theirs)
        return bool(theirs) and users.exclude(pk=self._user.pk).exists()
