"""The dial-in details of a user as their invitations show them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from migrations_app.invitations.content import InvitationSettings
from migrations_app.rewriting.block import render_text
from migrations_app.rewriting.labels import language_of
from migrations_app.rewriting.written_numbers import DialIn
from tenants_app.models import ConferenceId, ConferencingUser

EACH_ITS_OWN = "a different one for each meeting"
FROM_THE_SERVICE = "the one that the meeting service gave"
_SOME = "…"


@dataclass(frozen=True, slots=True)
class DialInDetails:
    """A meeting block without the rows of its frame, in a language of ``language_of``."""

    text: str
    language: str
    has_phone_part: bool


def known_dial_in(user: ConferencingUser) -> DialIn:
    """How people dial into the user's meetings, whatever the invitations say: the tenant's numbers, the user's IDs."""
    ids = ConferenceId.objects.filter(user=user, meeting_uid="")
    return DialIn(
        frozenset(user.tenant.service_numbers.values_list("number", flat=True)),
        frozenset(ids.values_list("digits", flat=True)),
    )


def dial_in_details(user: ConferencingUser) -> DialInDetails:
    """What the block of any meeting would say if the user's invitations were rewritten now.

    Where each meeting has its own, as the end of the join link and a private conference ID, the text says so.
    ``user.tenant`` and ``user.bridge`` should be loaded already. Raises ``Failure`` as a run would.
    """
    settings = InvitationSettings(user)
    block = settings.common_block
    bridge = user.bridge if settings.has_phone_part else None
    whose_ids = block.conference_id
    if bridge and not bridge.gives_conference_ids:
        whose_ids = FROM_THE_SERVICE
    elif bridge and not settings.has_public_id:
        whose_ids = EACH_ITS_OWN
    has_own_ids = whose_ids != block.conference_id
    block = dataclasses.replace(block, join_url=block.join_url + _SOME, conference_id=whose_ids)
    _, *lines, _ = render_text(block).split("\n")
    text = "\n".join(lines)
    if has_own_ids:
        text = text.replace(",,#>", f",,{_SOME}#>")
    return DialInDetails(text, language_of(block.language), block.has_phone)
