"""Whose calendar the tool migrates, and what its invitations are to say: a user's settings, or those given by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from migrations_app.tool.errors import Refused
from tenants_app.models import Bridge, ConferenceId, ConferencingUser, ServiceNumber, Tenant
from tenants_app.validators import is_address, validate_e164, validate_language, validate_one_line

NOBODY = 0
"""The key of who is no user of the tenant: no row has it, so nothing is found, and nothing can be stored."""
_DIGITS = re.compile(r"[0-9]{4,12}")


@dataclass(frozen=True, slots=True)
class ByHand:
    """What is given by hand, beside a user's settings or instead of them. Empty: as the settings have it."""

    display_name: str = ""
    language: str = ""
    meeting_service: str = ""
    """One of ``MeetingService``: where meetings are made anew, if any are."""
    has_dial_in: bool = True
    """Whether invitations show a phone part at all, if the settings have one."""
    bridge: Bridge | None = None
    """One of the tenant's."""
    toll_number: str = ""
    """In E.164 form, of the bridge or of any provider."""
    toll_free_number: str = ""
    place: str = ""
    """Of a toll number that is no service number of the tenant, as invitations show it."""
    conference_id: str = ""
    former_ids: tuple[str, ...] = ()
    """IDs in the old invitations that give way to it (R43)."""

    @property
    def gives_phone(self) -> bool:
        return bool(self.bridge or self.toll_number)

    @property
    def words(self) -> dict[str, str]:
        """What was given, for the audit."""
        told = {
            "DisplayName": self.display_name,
            "Language": self.language,
            "MeetingService": self.meeting_service,
            "Bridge": str(self.bridge or ""),
            "TollNumber": self.toll_number,
            "TollFreeNumber": self.toll_free_number,
            "ConferenceId": self.conference_id,
            "FormerConferenceIds": " ".join(self.former_ids),
            "DialIn": "" if self.has_dial_in else "none",
        }
        return {name: value for name, value in told.items() if value}


def is_of_tenant(user: ConferencingUser) -> bool:
    """Whether it is a user of the tenant, and not somebody whose settings were all given by hand."""
    return user.pk != NOBODY


def settings_of(user: ConferencingUser, by_hand: ByHand) -> ConferencingUser:
    """The user as the tool migrates them, which is never saved. Raises ``Refused``.

    What keeps MMS from serving them (R15 to R17) is out of the way: the calendar is at hand wherever the mailbox and
    its owner are. But numbers that MMS does not know must be given, or it would print others that lead elsewhere (R16).
    ``user.tenant``, ``bridge`` and the numbers should be loaded already.
    """
    made = copy(user)
    made._state = copy(user._state)
    made._state.fields_cache = dict(user._state.fields_cache)
    made.mailbox_location = made.hosting = ConferencingUser.Hosting.ONLINE
    provider, made.conferencing_provider = made.conferencing_provider, ""
    is_told = by_hand.gives_phone or not by_hand.has_dial_in
    if provider and not is_told:
        # With or without a licence of Microsoft's: the invitations show the provider's numbers, and people dial them.
        raise Refused(
            _(
                "%(provider)s provides the conferencing of %(upn)s, and MMS does not know its numbers: give "
                "the toll number that the invitations are to show, or the bridge, or choose to leave the "
                "dial-in details out."
            )
            % {"provider": provider, "upn": user.upn}
        )
    if made.bridge is not None:
        has_phone = made.audio_conferencing_license and made.audio_conferencing_enabled
        if made.bridge.provider and not has_phone and not is_told:
            raise Refused(
                _(
                    "The bridge %(bridge)s belongs to %(provider)s, and %(upn)s has no audio conferencing here: "
                    "give the bridge or the toll number that the invitations are to show, or choose to leave the "
                    "dial-in details out."
                )
                % {"bridge": made.bridge, "provider": made.bridge.provider, "upn": user.upn}
            )
        made.bridge = _microsofts(made.bridge)
    _apply(made, by_hand)
    return made


def settings_by_hand(tenant: Tenant, addresses: Sequence[str], by_hand: ByHand) -> ConferencingUser:
    """Settings of somebody who is no user of the tenant, and never saved. Raises ``Refused``."""
    addresses = [address.strip() for address in addresses if address.strip()]
    wrong = [address for address in addresses if not is_address(address)]
    if wrong or not addresses:
        if wrong:
            told = _("%(address)s is no address: give the organizer's address, such as anna@contoso.com.")
            raise Refused(told % {"address": repr(wrong[0][:100])})
        raise Refused(_("give the organizer's address, such as anna@contoso.com."))
    if len(addresses) > 2:
        raise Refused(
            _("An organizer has at most two addresses, that of sign-in and that of SIP: leave out the others.")
        )
    users = ConferencingUser.objects.filter(tenant=tenant, sip_address__in=[each.lower() for each in addresses])
    known = users.first() or ConferencingUser.objects.with_upns(tenant, addresses).first()
    if known:
        raise Refused(
            _("%(upn)s is a user of %(name)s with this address: choose the user instead.")
            % {"upn": known.upn, "name": tenant.name}
        )
    if by_hand.has_dial_in and not by_hand.gives_phone:
        raise Refused(
            _(
                "Say how people dial in: give the toll number or the bridge that the invitations are to "
                "show, or choose to leave the dial-in details out."
            )
        )
    made = ConferencingUser(
        pk=NOBODY,
        tenant=tenant,
        upn=addresses[0],
        sip_address=addresses[-1],
    )
    _apply(made, by_hand)
    return made


def _apply(user: ConferencingUser, by_hand: ByHand) -> None:
    if by_hand.display_name:
        user.display_name = _checked(by_hand.display_name, validate_one_line)[:200]
    if by_hand.language:
        user.language = _checked(by_hand.language, validate_language)
    if by_hand.meeting_service:
        user.meeting_service = by_hand.meeting_service
    for digits in filter(None, (by_hand.conference_id, *by_hand.former_ids)):
        if not _DIGITS.fullmatch(digits):
            raise Refused(_("%(digits)s is no conference ID: give its 4 to 12 digits.") % {"digits": repr(digits[:50])})
    if not by_hand.has_dial_in:
        if by_hand.gives_phone or by_hand.conference_id:
            raise Refused(_("Without dial-in details no bridge, number or conference ID can be shown: leave them out."))
        user.audio_conferencing_enabled = False
        return
    if by_hand.toll_free_number and not by_hand.gives_phone:
        raise Refused(_("A toll-free number alone does not do: give the toll number too."))
    if by_hand.gives_phone:
        _give_phone(user, by_hand)
    if by_hand.conference_id:
        _give_id(user, by_hand.conference_id)


def _give_phone(user: ConferencingUser, by_hand: ByHand) -> None:
    """The bridge and the numbers that were given take the place of the user's own."""
    own_bridge = user.bridge_id if is_of_tenant(user) else None
    user.audio_conferencing_license = user.audio_conferencing_enabled = True
    user.toll_number = user.toll_free_number = None
    known = {
        row.number: row
        for row in ServiceNumber.objects.filter(
            tenant=user.tenant_id, number__in=[by_hand.toll_number, by_hand.toll_free_number]
        ).select_related("bridge")
    }
    bridge = by_hand.bridge
    if bridge is None and by_hand.toll_number in known:
        bridge = known[by_hand.toll_number].bridge
    if bridge is None:
        # Numbers of a provider that MMS does not know: the IDs in the invitations are that provider's too.
        user.bridge = Bridge(
            tenant=user.tenant,
            name=_("numbers given by hand"),
            conference_ids_from=Bridge.ConferenceIdsFrom.SERVICE,
        )
    else:
        user.bridge = _microsofts(bridge)
        if bridge.gives_conference_ids and bridge.pk != own_bridge and not by_hand.conference_id:
            raise Refused(
                _(
                    "The invitations are to show numbers of the bridge %(bridge)s, and the user has no "
                    "conference ID there: give the conference ID too."
                )
                % {"bridge": bridge}
            )
    public = ConferencingUser.ConferenceIdType.PUBLIC
    if bridge is None or bridge.pk != own_bridge:
        user.conference_id_type = public
    for field, number, kind in (
        ("toll_number", by_hand.toll_number, ServiceNumber.Kind.TOLL),
        ("toll_free_number", by_hand.toll_free_number, ServiceNumber.Kind.TOLL_FREE),
    ):
        if number:
            setattr(user, field, _number(user.tenant, bridge, known.get(number), number, kind, by_hand.place))


def _number(
    tenant: Tenant, bridge: Bridge | None, known: ServiceNumber | None, number: str, kind: str, place: str
) -> ServiceNumber:
    if known is not None and bridge is not None and known.bridge_id == bridge.pk:
        if known.kind != kind:
            told = {"number": number, "bridge": bridge}
            raise Refused(
                _("%(number)s is a toll number of the bridge %(bridge)s: give a toll-free one.") % told
                if known.kind == ServiceNumber.Kind.TOLL
                else _("%(number)s is a toll-free number of the bridge %(bridge)s: give a toll one.") % told
            )
        return known
    if bridge is not None:
        raise Refused(
            _("%(number)s is no number of the bridge %(bridge)s: give one of its numbers, or another bridge.")
            % {"number": number, "bridge": bridge}
        )
    _checked(number, validate_e164)
    return ServiceNumber(
        tenant=tenant,
        number=number,
        kind=kind,
        city=_checked(place, validate_one_line)[:100] if kind == ServiceNumber.Kind.TOLL else "",
    )


def _give_id(user: ConferencingUser, digits: str) -> None:
    if user.bridge is None:
        raise Refused(_("A conference ID needs numbers to be dialled: give the toll number or the bridge too."))
    user.bridge.conference_ids_from = Bridge.ConferenceIdsFrom.MMS
    user.conference_id_type = ConferencingUser.ConferenceIdType.PUBLIC
    row = ConferenceId(bridge=user.bridge, digits=digits, user=user)
    # As if it had been read: settings that are given by hand have no rows.
    user._prefetched_objects_cache = {"conference_ids": [row]}  # type: ignore[attr-defined]


def _microsofts(bridge: Bridge) -> Bridge:
    """The bridge as if it were Microsoft's: whoever has it, its numbers are known (R16). Never saved."""
    made = copy(bridge)
    made._state = copy(bridge._state)
    made.provider = ""
    return made


def _checked(value: str, check: Callable[[str], object]) -> str:
    try:
        check(value)
    except ValidationError as error:
        raise Refused(" ".join(error.messages)) from error
    return value
