"""The legacy endpoint: clients of Group Chat go on without a change on the desktop, because the new pool answers under
the address that they know (R126). For Persistent Chat only: with another target old clients cannot go on.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import transaction

from migrations_app.chat import step_rows
from migrations_app.models import ChatEvidence, ChatPlan, ChatStep, ChatTarget
from migrations_app.rollouts.measuring import measure
from migrations_app.rollouts.probes.answers import Outcome
from migrations_app.rollouts.probes.parameters import Unusable
from tenants_app.audit import Actor, entry
from tenants_app.models import ConferencingUser
from tenants_app.sentences import Sentence, english, one_after_the_other, sentence

LOOKUP = "ocschat"
"""The name of the lookup account where nobody chose another."""
SCHEME = "sip:"
SECONDS = 8.0
"""How long the pool may take to answer."""
POOL, ADDRESS = "pool", "lookup"
"""Options of the target."""

URI, OPTIONS, NOBODY = "endpoint-uri", "endpoint-options", "no-old-clients"

_POOL = re.compile(r"(?=.{1,253}\Z)(?!-)[A-Za-z0-9-]{1,63}(?:\.(?!-)[A-Za-z0-9-]{1,63})+")
_ADDRESS = re.compile(r"(?:sip:)?[^\s@'\"<>:;]{1,200}@[^\s@'\"<>:;]{1,250}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Item:
    """Something that shows whether old clients go on."""

    key: str
    title: Sentence
    what: Sentence
    """What is to be done to know it."""
    answer: ChatStep | None = None
    is_measured: bool = False
    """Whether MMS finds it out: :func:`compare` and :func:`ask_pool`."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How the endpoint of a plan stands."""

    is_possible: bool
    """Whether old clients can go on at all."""
    warning: Sentence
    commands: Sequence[str]
    items: Sequence[Item]


def endpoint_of(plan: ChatPlan) -> Endpoint:
    """What is to be run, and what is known so far."""
    if plan.target.kind != ChatTarget.Kind.PCHAT:
        told = sentence(
            "Clients of Group Chat and of Persistent Chat cannot open rooms at this target: give people its own "
            "client before the old system goes."
        )
        return Endpoint(False, told, [], [])
    said = step_rows.said_of(plan)
    items = [
        Item(key, title, what, said.get(key), key in {URI, OPTIONS}) for key, (title, what) in _items(plan).items()
    ]
    return Endpoint(True, WARNING, commands_of(plan), items)


def commands_of(plan: ChatPlan) -> list[str]:
    """The lines that give the new pool the old address, with the names filled in as far as they are known."""
    address, pool = _in_powershell(address_of(plan)), _in_powershell(pool_of(plan))
    return [
        f"Get-CsUser -Identity {address} | Format-List SipAddress, DistinguishedName",
        f"Disable-CsUser -Identity {address}",
        "Remove-ADUser -Identity '<the distinguished name that the first line has printed>' -Confirm",
        f"New-CsPersistentChatEndpoint -SipAddress {address} -PersistentChatPoolFqdn {pool}",
        f"Get-CsPersistentChatEndpoint -PersistentChatPoolFqdn {pool} | Format-List SipAddress, PersistentChatPoolFqdn",
    ]


def address_of(plan: ChatPlan) -> str:
    """The SIP URI of the lookup account: as the target says, else with the domain of the tenant's users."""
    told = str(plan.target.options.get(ADDRESS, "")).strip()
    if told:
        return told if told.casefold().startswith(SCHEME) else f"{SCHEME}{told}"
    upn = ConferencingUser.objects.filter(tenant=plan.tenant).order_by("pk").values_list("upn", flat=True).first()
    domain = upn.rsplit("@", 1)[-1] if upn else "<domain>"
    return f"{SCHEME}{LOOKUP}@{domain}"


def pool_of(plan: ChatPlan) -> str:
    return str(plan.target.options.get(POOL, "")).strip() or "<pool>"


# --- what is checked ----------------------------------------------------------------------------------


def difference(before: str, after: str) -> Sentence | None:
    """How two addresses differ, character by character; None where they do not. Nothing is forgiven: a client asks for
    exactly what it was set to."""
    if before == after:
        return None
    at = next((i for i, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), None)
    if at is None:
        at = min(len(before), len(after))
    return sentence(
        "The addresses differ at character %(at)s: %(before)s was there before, and %(after)s is there now. Remove the "
        "new endpoint, and make it anew with the identical address.",
        at=str(at + 1),
        before=_named(before, at),
        after=_named(after, at),
    )


def compare(plan: ChatPlan, actor: Actor, before: str, after: str) -> ChatStep:
    """Note that the endpoint has the address that the lookup account had, both as they were printed.

    Raises ``ValidationError`` where they are not identical, or are no addresses.
    """
    _possible(plan)
    before, after = before.strip("\r\n"), after.strip("\r\n")
    for field, given in (("before", before), ("after", after)):
        if not given.strip():
            raise ValidationError({field: sentence("Give the address as it was printed.")})
    differs = difference(before, after)
    if differs is not None:
        raise ValidationError({"after": differs})
    if not _ADDRESS.fullmatch(before):
        raise ValidationError(
            {"before": sentence("%(address)s is no address such as sip:ocschat@contoso.com.", address=before)}
        )
    told = sentence("Before and now: %(address)s, identical character by character.", address=before)
    return _noted(plan, actor, URI, english(told))


def ask_pool(plan: ChatPlan, actor: Actor) -> ChatStep:
    """Send OPTIONS to the pool (R71), and note its answer. Raises ``ValidationError`` where it is not as expected."""
    _possible(plan)
    pool = pool_of(plan)
    if not _POOL.fullmatch(pool):
        raise ValidationError(
            sentence("Say in the target's option pool what the new pool is called, such as pcpool.contoso.com.")
        )
    try:
        answer = measure("sip", {"host": pool, "transport": "tls"}, hosts=[pool], seconds=SECONDS)
    except Unusable as unusable:
        raise ValidationError(str(unusable)) from unusable
    if answer.outcome != Outcome.PASSED:
        told = {"what": OPTIONS, "outcome": answer.outcome.value, "found": answer.sentence}
        entry(plan.tenant, actor, "check chat endpoint", str(plan), {}, told).save()
        raise ValidationError(answer.sentence)
    return _noted(plan, actor, OPTIONS, english(answer.sentence))


def answer_client(
    plan: ChatPlan, actor: Actor, key: str, evidence: str = "", file: ChatEvidence | None = None
) -> ChatStep:
    """A person says what a client of that kind did, or that there is none any more. Raises ``ValidationError``."""
    _possible(plan)
    if key not in (*CLIENTS, NOBODY):
        raise ValidationError(
            sentence(
                "There is no kind of client %(key)s. There are: %(keys)s.", key=key, keys=", ".join((*CLIENTS, NOBODY))
            )
        )
    return _noted(plan, actor, key, evidence, file)


@transaction.atomic
def take_back(plan: ChatPlan, actor: Actor, key: str) -> ChatStep:
    """What was found or answered does not count any more. Raises ``ValidationError``."""
    row = step_rows.take_back(plan, actor, key)
    entry(plan.tenant, actor, "take back chat step", str(plan), step_rows.told(row)).save()
    return row


def why_not_ported(plan: ChatPlan, said: Mapping[str, ChatStep]) -> Sentence | None:
    """Why the step that ports the endpoint cannot be ticked yet."""
    if plan.target.kind != ChatTarget.Kind.PCHAT or URI in said or NOBODY in said:
        return None
    return sentence(
        "Have MMS compare the address of the new endpoint with that of the lookup account, or say that nobody uses an "
        "old client any more."
    )


@transaction.atomic
def _noted(plan: ChatPlan, actor: Actor, key: str, evidence: str, file: ChatEvidence | None = None) -> ChatStep:
    """What MMS has measured replaces what it had measured before."""
    row = step_rows.note(plan, actor, key, evidence=evidence, file=file, replaces=key in {URI, OPTIONS})
    entry(plan.tenant, actor, "check chat endpoint", str(plan), {}, step_rows.told(row)).save()
    return row


def _possible(plan: ChatPlan) -> None:
    endpoint = endpoint_of(plan)
    if not endpoint.is_possible:
        raise ValidationError(endpoint.warning)


def _items(plan: ChatPlan) -> Mapping[str, tuple[Sentence, Sentence]]:
    return {
        URI: (
            sentence("The new endpoint has the identical address"),
            sentence(
                "Give both as they were printed: what the lookup account had, and what Get-CsPersistentChatEndpoint "
                "says now. They must be equal character by character."
            ),
        ),
        OPTIONS: (
            sentence("The pool answers"),
            sentence("After the start MMS sends an OPTIONS request to %(pool)s.", pool=pool_of(plan)),
        ),
        **{key: (title, _OPEN_A_ROOM) for key, title in CLIENTS.items()},
        NOBODY: (
            sentence("Nobody uses an old client any more"),
            sentence("Only where that is so: say how you know, and no endpoint is needed."),
        ),
    }


CLIENTS: Mapping[str, Sentence] = {
    "client-2007-r2": sentence("A client of Group Chat 2007 R2 opens a room"),
    "client-2010": sentence("A client of Lync 2010 Group Chat opens a room"),
    "client-2013": sentence("A client of Lync 2013 opens a room"),
    "client-2015": sentence("A client of Skype for Business opens a room"),
}
_OPEN_A_ROOM = sentence(
    "Without changing its settings, open a room with it, read the last messages and write one. Say who did so, and "
    "what was seen; where there is no such client, say that."
)
WARNING = one_after_the_other(
    sentence("Clients of Lync 2013 neither show nor post files in rooms; those of Group Chat do."),
    sentence("Before the new services start, the lookup account must be gone and the endpoint must have its address."),
)
KEYS = (URI, OPTIONS, *CLIENTS, NOBODY)


def _named(text: str, at: int) -> str:
    if at >= len(text):
        return sentence("nothing")
    character = text[at]
    name = unicodedata.name(character, "")
    return f"“{character}” (U+{ord(character):04X} {name})" if name else f"U+{ord(character):04X}"


def _in_powershell(text: str) -> str:
    """In quotation marks in which nothing means anything else; PowerShell takes curly ones for straight ones, too."""
    quotes = dict.fromkeys(map(ord, "\u2018\u2019\u201a\u201b'"), "''")
    return f"'{''.join(each for each in text if each.isprintable()).translate(quotes)}'"
