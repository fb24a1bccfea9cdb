"""Whose name stands in a join link."""

from __future__ import annotations

from urllib.parse import unquote

from tenants_app.models import ConferencingUser, is_address


class Colleagues:
    """The other users of a user's tenant, asked for by the user segment of a join link; answers are kept."""

    def __init__(self, user: ConferencingUser) -> None:
        self._user = user
        self._answers: dict[str, bool] = {}

    def have(self, segment: str) -> bool:
        """Whether another user of the tenant has this name in their join links."""
        if segment not in self._answers:
            domain = self._user.sip_address.partition("@")[2]
            address = f"{unquote(segment)}@{domain}".lower()
            self._answers[segment] = (
                is_address(address)
                and address not in self._user.addresses
                and ConferencingUser.objects.filter(tenant=self._user.tenant_id, sip_address=address).exists()
            )
        return self._answers[segment]
