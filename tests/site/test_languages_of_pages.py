"""Every page can be told in every language: nothing was forgotten to be marked, nor to be translated.

``MMS_PAGES=/contoso/users/ pytest …`` looks at the pages alone whose address begins so.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User
from django.db.models import CharField
from django.test import Client

from migrations_app.models import ChatArchive, ChatRoom, ChatTarget, Rollout, Wave
from tenants_app.models import Bridge, ConferencingUser, Deployment, MailboxConnection, ServiceNumber, Tenant
from tests.screens.test_every_page import HOSTILE, PAGES, fill  # noqa: F401 - a fixture
from tests.support.actors import ACTOR
from tests.support.marked import everything_marked, forgotten_on, said_on

NAMES = (
    *("MMS", "Meeting Migration Service", "Meeting Migration", "Meeting Migration Tool", "Django", "JavaScript"),
    *("Microsoft", "Microsoft 365", "Microsoft Teams", "Microsoft Entra", "Microsoft Graph", "Teams", "Entra"),
    *("Exchange", "Exchange Online", "Skype for Business", "SkypeForBusiness", "Outlook", "CalDAV", "Radicale"),
    *("CSV", "JSON", "UPN", "SIP", "UID", "UTC", "URL", "DKIM", "SPF", "DMARC", "TLS", "STARTTLS", "PIN", "ETag"),
    *("Matrix", "Persistent Chat", "SHA-256"),
    *("HTML", "iCalendar", "SMTP", "NTLM", "English", "Español", "Italiano", "Esc", "Enter", "Tab"),
)
"""Which are the same in every language."""
CODES = ("Undo", "caldav", "graph", "global", "mgc-tables:gc", "All")
"""As history and audit have them: types of runs, and kinds; and sources and levels of archives of chat."""
ENGLISH = re.compile(
    r"\b(the|and|of|is|was|were|has|have|not|with|this|that|which|whose|who|they|their|them|its|from|been|will|would|are|"
    r"each|every|where|there|what|when|than|then|only|you|your|does|did|for|but|nothing|nobody|any|more|again|by|at)\b",
    re.IGNORECASE,
)
"""Words that no sentence in English does without, and none in Spanish or Italian has."""
LOOKED_AT = [each for each in PAGES if each.startswith(os.environ.get("MMS_PAGES", "/"))]


def names_of_the_data() -> Iterator[str]:
    """What people have typed, and what is made of it."""
    yield from (
        HOSTILE,
        ascii(HOSTILE)[1:-1],
        HOSTILE[:100],
        HOSTILE[:200],
        "Budget meeting-0",
        "The user moved to the bridge New bridge.",
        "once more",
        "Costa",
        "meeting-0",
        ACTOR.name,
        "script",
        "alert",
        "u202egnitirw",
        "egnitirw",
        "nobody-of-that-name",
        "Costa_Rica",
    )
    of_chat = (ChatArchive, ChatRoom, ChatTarget)
    of_rollouts = (Deployment, Rollout, Wave)
    for model in (Bridge, ConferencingUser, MailboxConnection, ServiceNumber, Tenant, User, *of_rollouts, *of_chat):
        fields = [field.name for field in model._meta.fields if type(field) is CharField and not field.choices]
        for row in model._base_manager.values_list(*fields):
            yield from (value for value in row if value and len(value) > 2)
    for hosts in Deployment.objects.values_list("meeting_hosts", flat=True):
        yield from hosts


def test_everything_on_a_page_is_marked(
    alice: Client,
    tenant: Tenant,
    fill: Callable[[str], str],  # noqa: F811
    subtests: pytest.Subtests,
) -> None:
    addresses = {address: fill(address) for address in LOOKED_AT}
    names = {*NAMES, *CODES, *names_of_the_data()}
    with everything_marked():
        for address, filled in addresses.items():
            with subtests.test(address):
                forgotten = forgotten_on(alice.get(filled).content.decode(), names)
                assert not forgotten, "\n".join(["", *forgotten])


@pytest.mark.parametrize("language", ["es", "it"])
def test_no_english_is_left_on_a_page(
    alice: Client,
    tenant: Tenant,
    fill: Callable[[str], str],  # noqa: F811
    language: str,
    subtests: pytest.Subtests,
) -> None:
    addresses = {address: fill(address) for address in LOOKED_AT}
    names = {*NAMES, *CODES, *names_of_the_data()}
    for address, filled in addresses.items():
        with subtests.test(address):
            page = alice.get(filled, headers={"accept-language": language}).content.decode()
            assert f'<html lang="{language}"' in page
            english = [text for text in said_on(page, names) if ENGLISH.search(text)]
            assert not english, "\n".join(["", *english])
