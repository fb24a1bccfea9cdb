"""Users, licences and the organization (user-list, user-get, user-list-licensedetails, subscribedsku-list)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.graph_stand_in.errors import JSON, Refusal, Reply, words
from tests.support.graph_stand_in.odata import Fields, parse
from tests.support.graph_stand_in.reading import Reading
from tests.support.graph_stand_in.world import AUDIO_CONFERENCING_PLAN, User, World

_USUAL = words(
    "businessPhones displayName givenName jobTitle mail mobilePhone officeLocation preferredLanguage surname "
    "userPrincipalName id"
)
"""What a user has without ``$select`` (resource user)."""
_FURTHER = words("accountEnabled assignedLicenses assignedPlans proxyAddresses userType usageLocation otherMails")
_OFFICE = {"skuId": "05e9a617-0261-4cee-bb44-138d3ef5d965", "skuPartNumber": "SPE_E3"}
_AUDIO = {"skuId": "0c266dff-15dd-4b49-8397-2bb16070ed52", "skuPartNumber": "MCOMEETADV"}
_TEAMS_PLAN = "57ff2da0-773e-42df-b2af-ffb7a2317929"
_FIELDS = Fields(
    {
        "userPrincipalName": ("String", lambda u: u.upn),
        "mail": ("String", lambda u: u.mail),
        "displayName": ("String", lambda u: u.name),
        "id": ("String", lambda u: u.id),
        "accountEnabled": ("Boolean", lambda u: u.enabled),
        "userType": ("String", lambda u: "Member"),
        "preferredLanguage": ("String", lambda u: u.language),
    },
    frozenset([*_USUAL, *_FURTHER]),
    frozenset({"startswith"}),
)


def plans(user: User) -> Sequence[tuple[str, str, str]]:
    """Service plans: id, name, service."""
    found = [(_TEAMS_PLAN, "TEAMS1", "TeamspaceAPI")]
    if user.licensed:
        found.append((AUDIO_CONFERENCING_PLAN, "MCOMEETADV", "MicrosoftCommunicationsOnline"))
    return found


def _whole(user: User) -> JSON:
    given, _, surname = user.name.rpartition(" ")
    skus = [_OFFICE, _AUDIO] if user.licensed else [_OFFICE]
    return {
        "businessPhones": [],
        "displayName": user.name,
        "givenName": given or None,
        "jobTitle": None,
        "mail": user.mail or None,
        "mobilePhone": None,
        "officeLocation": None,
        "preferredLanguage": user.language,
        "surname": surname or None,
        "userPrincipalName": user.upn,
        "id": user.id,
        "accountEnabled": user.enabled,
        "assignedLicenses": [{"disabledPlans": [], "skuId": sku["skuId"]} for sku in skus],
        "assignedPlans": [
            {
                "assignedDateTime": "2026-01-01T00:00:00Z",
                "capabilityStatus": "Enabled",
                "service": service,
                "servicePlanId": plan,
            }
            for plan, _, service in plans(user)
        ],
        "proxyAddresses": [f"SMTP:{user.mail}", f"smtp:{user.upn}"] if user.mail else [],
        "userType": "Member",
        "usageLocation": "DE",
        "otherMails": [],
    }


class Users:
    def __init__(self, world: World, reading: Reading) -> None:
        self.world = world
        self.reading = reading

    def list(self, query: Mapping[str, str]) -> Reply:
        """``/users``: 100 on a page, 999 at most (user-list)."""
        names = self._selected(query)
        found = list(self.world.users.values())
        if "$filter" in query:
            try:
                test = parse(query["$filter"], _FIELDS)
            except Refusal as refusal:
                raise Refusal(400, "Request_UnsupportedQuery", refusal.message) from refusal
            found = [user for user in found if test(user)]
        most = 999
        if query.get("$top", "1").isdigit() and int(query.get("$top", "1")) > most:
            raise Refusal(400, "Request_UnsupportedQuery", "Invalid page size specified. Must be between 1 and 999.")
        return self.reading.page("/users", found, query, 0, lambda user: self._shown(user, names), usual=100, most=most)

    def in_group(self, name: str, query: Mapping[str, str]) -> Reply:
        """``/groups/{id}/transitiveMembers``: directory objects (group-list-transitivemembers)."""
        if name not in self.world.groups:
            message = (
                f"Resource '{name}' does not exist or one of its queried reference-property objects are not present."
            )
            raise Refusal(404, "Request_ResourceNotFound", message)
        found = self.world.groups[name]
        path = f"/groups/{name}/transitiveMembers"
        return self.reading.page(
            path,
            found,
            query,
            0,
            lambda member: {"@odata.type": "#microsoft.graph.user", "id": member},
            usual=100,
            most=999,
        )

    def one(self, user: User, query: Mapping[str, str]) -> Reply:
        return Reply(200, self._shown(user, self._selected(query)))

    def licences(self, user: User) -> Reply:
        """``/users/{id}/licenseDetails``."""
        skus: list[tuple[dict[str, str], Sequence[Any]]] = [(_OFFICE, plans(user)[:1])]
        if user.licensed:
            skus.append((_AUDIO, plans(user)[1:]))
        value = [
            {
                "id": str(uuid.uuid5(uuid.UUID(user.id), sku["skuId"])),
                **sku,
                "servicePlans": [
                    {
                        "servicePlanId": plan,
                        "servicePlanName": name,
                        "provisioningStatus": "Success",
                        "appliesTo": "User",
                    }
                    for plan, name, _ in inside
                ],
            }
            for sku, inside in skus
        ]
        return Reply(200, {"value": value})

    def skus(self) -> Reply:
        """``/subscribedSkus``."""
        count = len(self.world.users)
        return Reply(
            200,
            {
                "value": [
                    {
                        "id": f"{self.world.tenant}_{sku['skuId']}",
                        **sku,
                        "capabilityStatus": "Enabled",
                        "appliesTo": "User",
                        "consumedUnits": count,
                        "prepaidUnits": {"enabled": count, "suspended": 0, "warning": 0},
                        "servicePlans": [
                            {
                                "servicePlanId": plan,
                                "servicePlanName": name,
                                "provisioningStatus": "Success",
                                "appliesTo": "User",
                            }
                        ],
                    }
                    for sku, plan, name in (
                        (_OFFICE, _TEAMS_PLAN, "TEAMS1"),
                        (_AUDIO, AUDIO_CONFERENCING_PLAN, "MCOMEETADV"),
                    )
                ]
            },
        )

    def organization(self) -> Reply:
        domains = sorted(self.world.domains)
        verified = [
            {"name": name, "isDefault": n == 0, "isInitial": "onmicrosoft" in name} for n, name in enumerate(domains)
        ]
        value = {"id": self.world.tenant, "displayName": "Contoso", "verifiedDomains": verified}
        return Reply(200, {"value": [value]})

    @staticmethod
    def _selected(query: Mapping[str, str]) -> Sequence[str]:
        names = [name.strip() for name in query.get("$select", "").split(",") if name.strip()] or _USUAL
        for name in names:
            if name not in _USUAL and name not in _FURTHER:
                message = f"Parsing OData Select and Expand failed: Could not find a property named '{name}'."
                raise Refusal(400, "Request_BadRequest", message)
        return names

    @staticmethod
    def _shown(user: User, names: Sequence[str]) -> JSON:
        whole = _whole(user)
        return {name: whole[name] for name in names}
