"""The dial-in details of a user as their invitations show them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from migrations_app.invitations.content import InvitationSettings, place_of_row
from migrations_app.rewriting.block import render_text
from migrations_app.rewriting.facts import KnownNumbers
from migrations_app.rewriting.labels import language_of
from migrations_app.rewriting.online_meeting import DialInFacts
from migrations_app.rewriting.written_numbers import DialIn
from tenants_app.changes.conference_ids import shared_conference_ids
from tenants_app.models import ConferencingUser, MeetingService, ServiceNumber, Tenant
from tenants_app.sentences import sentence
from tenants_app.wording import FREE_ID

HAS_ITS_OWN = sentence("each meeting keeps or gets its own")
EACH_ITS_OWN = sentence("a different one for each meeting")
FROM_THE_SERVICE = sentence("the one that the meeting service gave")
_SOME = "…"


@dataclass(frozen=True, slots=True)
class DialInDetails:
    """A meeting block without the rows of its frame, in a language of ``language_of``."""

    text: str
    language: str
    has_phone_part: bool


def known_numbers(tenant: Tenant) -> KnownNumbers:
    """The tenant's service numbers, for telling the kinds and places of those in old blocks."""
    rows = list(tenant.service_numbers.values_list("number", "kind", "city", "country"))
    toll_free = frozenset(number for number, kind, _, _ in rows if kind == ServiceNumber.Kind.TOLL_FREE)
    return KnownNumbers(
        toll_free=toll_free,
        toll=frozenset(number for number, *_ in rows) - toll_free,
        places={number: place_of_row(city, country) for number, _, city, country in rows},
    )


def known_dial_in(user: ConferencingUser, numbers: KnownNumbers) -> DialIn:
    """How people dial into the user's meetings, whatever the invitations say: the tenant's numbers, the user's IDs."""
    return DialIn(numbers.toll | numbers.toll_free, shared_conference_ids(user) - {FREE_ID})


def dial_in_details(user: ConferencingUser) -> DialInDetails:
    """What the block of any meeting would say if the user's invitations were rewritten now.

    Where each meeting has its own, as the join link and a private conference ID, the text says so.
    ``user.tenant`` and ``user.bridge`` should be loaded already. Raises ``Failure`` as a run would.
    """
    settings = InvitationSettings(user)
    block = settings.block
    whose_ids = block.conference_id
    if settings.has_phone_part and not settings.gives_ids:
        whose_ids = str(FROM_THE_SERVICE)
    elif settings.gives_private_ids:
        whose_ids = str(EACH_ITS_OWN)
    if settings.has_phone_part and user.effective_meeting_service == MeetingService.TEAMS:
        whose_ids = str(FROM_THE_SERVICE)
        if user.teams_dial_in:
            block = block.dialled(settings.phone_of(DialInFacts.of_meeting(user.teams_dial_in, "")))
    has_own_ids = whose_ids != block.conference_id
    block = dataclasses.replace(block, join_url=str(HAS_ITS_OWN), conference_id=whose_ids)
    _, *lines, _ = render_text(block).split("\n")
    text = "\n".join(lines)
    if has_own_ids:
        text = text.replace(",,#>", f",,{_SOME}#>")
    return DialInDetails(text, language_of(block.language), block.has_phone)
