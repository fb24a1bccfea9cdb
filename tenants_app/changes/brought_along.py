"""What a change of a user brings along that nobody asked for: a bridge, numbers, a provider; and how that is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenants_app.changes.moves import NUMBERS, Route, Routes
from tenants_app.changes.numbers_by_country import number_after_move
from tenants_app.models import Bridge, ConferencingUser, ServiceNumber, Tenant
from tenants_app.sentences import one_after_the_other, sentence
from tenants_app.user_settings import acp_is_replaced
from tenants_app.wording import FREE_ID


def completed(
    user: ConferencingUser,
    values: Mapping[str, Any],
    tenant: Tenant,
    default_bridge: Bridge | None,
    route: Route | None = None,
) -> dict[str, Any]:
    """The change with what it brings along: Microsoft as provider (R14), a bridge, and no numbers of another bridge.

    ``route`` is that of a move to another deployment, which brings along hosting, bridge and numbers (R62).
    """
    values = normalized(values)
    if route is not None:
        values = route.values(user, values)
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


def left_behind(user: ConferencingUser, edited: Mapping[str, Any]) -> dict[str, Any]:
    """What the form of a user shows as chosen, where what was ``edited`` on it moves the user to another bridge or
    deployment. Raises ``ValidationError`` where nobody can be moved to that deployment."""
    route = Routes(user.tenant).of_change(user, edited)
    values = route.values(user, edited) if route is not None else dict(edited)
    moved = {name: value for name, value in values.items() if name not in edited}
    return moved | numbers_left_behind(user, values)


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
        told.append(sentence("Microsoft becomes the provider, because a licence is assigned."))
    if "bridge" in after and "bridge" not in given:
        told.append(
            sentence("The user comes to the bridge %(bridge)s.", bridge=user.bridge.name if user.bridge else "")
        )
    if "hosting" in after and "hosting" not in given:
        told.append(
            sentence("The user is hosted online there.")
            if user.hosting == user.Hosting.ONLINE
            else sentence("The user is hosted on-premises there.")
        )
    if user.bridge is not None and (user.bridge != bridge_before or "deployment" in after):
        for name in NUMBERS:
            number = getattr(user, name)
            if name in given or (user.bridge == bridge_before and name not in after):
                continue
            if number is not None and "deployment" in after:
                told.append(
                    sentence("The new toll number is %(number)s.", number=number.number)
                    if name == "toll_number"
                    else sentence("The new toll-free number is %(number)s.", number=number.number)
                )
            elif number is not None:
                told.append(
                    sentence(
                        "The new toll number is %(number)s (%(place)s), because the old one was there too.",
                        number=number.number,
                        place=number.place,
                    )
                    if name == "toll_number"
                    else sentence(
                        "The new toll-free number is %(number)s (%(place)s), because the old one was there too.",
                        number=number.number,
                        place=number.place,
                    )
                )
            elif name == "toll_number" and (default := user.bridge.default_number):
                where = f"{default} ({default.place})" if default.place else default.number
                told.append(
                    sentence(
                        "The new toll number is %(number)s, the default of %(bridge)s.",
                        number=where,
                        bridge=user.bridge.name,
                    )
                )
            elif name == "toll_free_number" and name in after:
                told.append(
                    sentence(
                        "There is no toll-free number any more: %(bridge)s has none in that country.",
                        bridge=user.bridge.name,
                    )
                )
    if "conference_id" in after and "conference_id" not in given and after["conference_id"]:
        digits = after["conference_id"]
        told.append(
            sentence("The new conference ID is a free one, chosen when the change is made.")
            if digits == FREE_ID
            else sentence("The new conference ID is %(digits)s.", digits=digits)
        )
    return one_after_the_other(*told)


def normalized(values: Mapping[str, Any]) -> dict[str, Any]:
    """SIP addresses are kept in lower case and without their scheme, so that they can be looked up."""
    if "sip_address" not in values:
        return dict(values)
    return {**values, "sip_address": values["sip_address"].lower().removeprefix("sip:")}
