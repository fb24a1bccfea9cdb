"""The numbers that people dial to join a tenant's meetings."""

from __future__ import annotations

from typing import Any

import phonenumbers

from tenants_app.models import ServiceNumber, Tenant


def phone_numbers(tenant: Tenant) -> list[dict[str, Any]]:
    """The tenant's numbers by country, as Jitsi Meet reads them, its default number first and marked.

    Numbers of third-party bridges and such as are on their way off a bridge (R35) are not among them.
    """
    rows = ServiceNumber.objects.filter(tenant=tenant, is_leaving=False, bridge__provider="").select_related("bridge")
    found = []
    for row in rows:
        number = phonenumbers.parse(row.number)
        country = phonenumbers.region_code_for_number(number)
        shown = {
            "countryCode": country or phonenumbers.region_code_for_country_code(number.country_code or 0),
            "tollFree": row.kind == ServiceNumber.Kind.TOLL_FREE,
            "formattedNumber": phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL),
        }
        if row.is_default and row.bridge.is_default:
            shown["default"] = True
        found.append(shown)
    return sorted(
        found,
        key=lambda each: (
            "default" not in each,
            each["countryCode"],
            each["tollFree"],
            each["formattedNumber"],
        ),
    )
