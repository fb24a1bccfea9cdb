"""What a change of a user brings along that nobody asked for: a bridge, numbers, a provider; and how that is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenants_app.changes.numbers_by_country import number_after_move
from tenants_app.models import Bridge, ConferencingUser, ServiceNumber, Tenant
from tenants_app.user_settings import acp_is_replaced
from tenants_app.wording import FREE_ID

NUMBERS = ("toll_number", "toll_free_number")
"""The fields of a user that are numbers of their bridge."""


def completed(
    user: ConferencingUser, values: Mapping[str, Any], tenant: Tenant, default_bridge: Bridge | None
) -> dict[str, Any]:
    """The change with what it brings along: Microsoft as provider (R14), a bridge, and no numbers of another bridge."""
    values = normalized(values)
    if acp_is_replaced(
        tenant.automatically_replace_acp_provider,
        values.get("conferencing_provider", user.conferencing_provider),
        had_license=user.audio_conferencing_license,
        has_license=values.get("audio_conferencing_license", user.audio_conferencing_license),
    ):
        values = _without_acp(user, values, default_bridge)
    if _needs_bridge(user, values):
        values["bridge"] = default_bridge
    return values | numbers_left_behind(user, values)


def numbers_left_behind(user: ConferencingUser, values: Mapping[str, Any]) -> dict[str, ServiceNumber | None]:
    """The user's numbers, where the change ``values`` moves the user to another bridge and does not choose them anew.

    Numbers belong to their bridge. Whoever leaves it gets a number of the new one in the same country, as
    ``number_after_move`` says; else its default toll number, and no toll-free one.
    """
    bridge = values.get("bridge", user.bridge)
    if user.bridge == bridge:
        return {}
    if bridge is None:
        return {name: None for name in NUMBERS if name not in values}
    default = user.bridge.default_number if user.bridge else None
    numbers = {
        "toll_number": number_after_move(user.toll_number, default, bridge),
        "toll_free_number": number_after_move(user.toll_free_number, None, bridge),
    }
    return {name: number for name, number in numbers.items() if name not in values}


def _without_acp(user: ConferencingUser, values: dict[str, Any], default_bridge: Bridge | None) -> dict[str, Any]:
    """The change with Microsoft as the provider, on a bridge of Microsoft's (R14)."""
    bridge = values.get("bridge", user.bridge)
    return {
        **values,
        "conferencing_provider": "",
        "bridge": default_bridge if bridge is None or bridge.provider else bridge,
    }


def _needs_bridge(user: ConferencingUser, values: Mapping[str, Any]) -> bool:
    """Whether a licence is being assigned to a user of Microsoft's who has no bridge: they get the default one."""
    provider = values.get("conferencing_provider", user.conferencing_provider)
    return bool(
        values.get("audio_conferencing_license") and not provider and user.bridge is None and not values.get("bridge")
    )


def chosen_by_itself(
    given: Mapping[str, Any], user: ConferencingUser, bridge_before: Bridge | None, after: Mapping[str, Any]
) -> str:
    """What the change chose by itself, in sentences."""
    told = []
    if "conferencing_provider" in after and "conferencing_provider" not in given:
        told.append("Microsoft becomes the provider, because a licence is assigned.")
    if "bridge" in after and "bridge" not in given:
        told.append(f"The user comes to the bridge {user.bridge}.")
    if user.bridge is not None and user.bridge != bridge_before:
        for name, kind in zip(NUMBERS, ("toll", "toll-free"), strict=True):
            number = getattr(user, name)
            if name in given:
                continue
            if number is not None:
                told.append(f"The new {kind} number is {number} ({number.place}), because the old one was there too.")
            elif name == "toll_number" and (default := user.bridge.default_number):
                place = f" ({default.place})" if default.place else ""
                told.append(f"The new toll number is {default}{place}, the default of {user.bridge}.")
            elif name in after:
                told.append(f"There is no toll-free number any more: {user.bridge} has none in that country.")
    if "conference_id" in after and "conference_id" not in given and after["conference_id"]:
        digits = after["conference_id"]
        free = "The new conference ID is a free one, chosen when the change is made."
        told.append(free if digits == FREE_ID else f"The new conference ID is {digits}.")
    return " ".join(told)


def normalized(values: Mapping[str, Any]) -> dict[str, Any]:
    """SIP addresses are kept in lower case and without their scheme, so that they can be looked up."""
    if "sip_address" not in values:
        return dict(values)
    return {**values, "sip_address": values["sip_address"].lower().removeprefix("sip:")}
