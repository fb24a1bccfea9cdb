"""Whose a join link is: the organizer's, another user's, or one of a meeting that MMS remembers."""

from __future__ import annotations

from migrations_app.meeting_services.link import LinkService, meeting_key
from migrations_app.meeting_services.remembered import Remembered
from migrations_app.rewriting import links
from migrations_app.rewriting.own import Own
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


class Owners:
    """What is known of the join links of one user's meetings before their texts are read (R39, R41)."""

    def __init__(self, user: ConferencingUser) -> None:
        tenant = user.tenant
        self.remembered = Remembered(user)
        self._slug = tenant.slug
        self._place = LinkService(user).place if user.meeting_url else ""
        self._names = frozenset(name_in_links(address) for address in user.addresses)
        hosts = {links.domain_of(self._place)} if self._place else set()
        self._domains = frozenset({tenant.domain, *(each.partition("@")[2] for each in user.addresses), *hosts} - {""})
        self._colleagues = Colleagues(user)

    def own_of(self, uid: str) -> Own:
        """What is known of the meeting with this UID."""
        return Own(
            key=meeting_key(self._slug, uid),
            place=self._place,
            names=self._names,
            domains=self._domains,
            remembered=self.remembered.of(uid),
            remembered_as_link=self.remembered.of_link(uid),
            is_of_another_meeting=lambda name: self.remembered.is_of_another(uid, name),
            belongs_to_someone_else=self._colleagues.have,
        )

    def own_of_text(self) -> Own:
        """What is known of a text without its meeting."""
        return Own(
            place=self._place,
            names=self._names,
            domains=self._domains,
            belongs_to_someone_else=self._colleagues.have,
        )


def name_in_links(address: str) -> str:
    """What the join links of the person with this address call them."""
    return address.partition("@")[0].lower()
