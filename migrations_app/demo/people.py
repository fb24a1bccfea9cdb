"""The people, bridges and service numbers of the Contoso demo tenant.

Everybody here is invented, and so is every number: they lie in the ranges that the numbering plans set
aside for films and books (555-01xx, +44 20 7946 0xxx, +49 30 23125 xxx) or look like them.
"""

from __future__ import annotations

import itertools
import random
import unicodedata
from dataclasses import dataclass
from typing import Literal

Place = Literal["online", "on-premises"]


@dataclass(frozen=True)
class DemoTenant:
    """The organization itself and the texts an administrator would have written for its invitations."""

    slug: str
    name: str
    domain: str
    meeting_url: str
    local_numbers_url: str
    help_url: str
    legal_url: str
    logo_url: str
    footer_text: str


@dataclass(frozen=True)
class DemoBridge:
    """A conferencing bridge. ``provider`` is "" for Microsoft, else the conferencing provider's name."""

    name: str
    provider: str
    is_default: bool


@dataclass(frozen=True)
class DemoNumber:
    """A service number on a bridge. ``is_default``: the bridge's default, always a toll number."""

    e164: str
    bridge: str
    kind: Literal["toll", "toll-free"]
    country: str
    city: str
    is_default: bool


@dataclass(frozen=True)
class DemoUser:
    """One organizer. ``sip_address`` comes without "sip:"; ``provider`` is "" for Microsoft.

    ``conference_id`` has 7 digits and belongs to nobody else in the tenant. ``toll_number`` and
    ``toll_free_number`` are E.164 numbers of the user's own bridge, or "". ``meeting_service`` is "" for the tenant's.
    """

    upn: str
    sip_address: str
    display_name: str
    language: str
    hosting: Place
    mailbox_location: Place
    licensed: bool
    enabled: bool
    provider: str
    bridge: str
    conference_id_type: Literal["public", "private"]
    conference_id: str
    toll_number: str
    toll_free_number: str
    meeting_service: str = ""


CONTOSO = DemoTenant(
    slug="contoso",
    name="Contoso",
    domain="contoso.com",
    meeting_url="https://meet.contoso.com",
    local_numbers_url="https://dialin.contoso.com",
    help_url="https://help.contoso.com/meetings",
    legal_url="https://www.contoso.com/legal/online-meetings",
    logo_url="https://www.contoso.com/images/contoso-meetings.png",
    footer_text=(
        "Meetings at Contoso may be recorded by the organizer, who will say so at the start. "
        "If you cannot get in, call the service desk on extension 4357."
    ),
)

LONDON_POOL = "London pool"
NEW_POOL = "New pool"
"""The two deployments of the rollout: London's users leave the one for the other, wave by wave."""

LEGACY = "Contoso Legacy"
CLOUD = "Contoso Cloud"
BRANCH = "Contoso Branch"
ACP = "Fabrikam Conferencing"

BRIDGES = (
    DemoBridge(LEGACY, provider="", is_default=True),
    DemoBridge(CLOUD, provider="", is_default=False),
    # The branch office is being set up: nobody has bought a number for it yet.
    DemoBridge(BRANCH, provider="", is_default=False),
    DemoBridge(ACP, provider=ACP, is_default=False),
)

NUMBERS = (
    DemoNumber("+14255550101", LEGACY, "toll", "United States", "Redmond", is_default=True),
    DemoNumber("+442079460101", LEGACY, "toll", "United Kingdom", "London", is_default=False),
    DemoNumber("+34910555101", LEGACY, "toll", "Spain", "Madrid", is_default=False),
    DemoNumber("+390655550101", LEGACY, "toll", "Italy", "Rome", is_default=False),
    DemoNumber("+493023125101", LEGACY, "toll", "Germany", "Berlin", is_default=False),
    DemoNumber("+18005550101", LEGACY, "toll-free", "United States", "", is_default=False),
    DemoNumber("+448081570101", LEGACY, "toll-free", "United Kingdom", "", is_default=False),
    DemoNumber("+14255550171", CLOUD, "toll", "United States", "Seattle", is_default=True),
    DemoNumber("+442079460171", CLOUD, "toll", "United Kingdom", "London", is_default=False),
    DemoNumber("+34910555171", CLOUD, "toll", "Spain", "Madrid", is_default=False),
    DemoNumber("+390655550171", CLOUD, "toll", "Italy", "Rome", is_default=False),
    DemoNumber("+493023125171", CLOUD, "toll", "Germany", "Berlin", is_default=False),
    DemoNumber("+18885550171", CLOUD, "toll-free", "United States", "", is_default=False),
    DemoNumber("+448081570171", CLOUD, "toll-free", "United Kingdom", "", is_default=False),
    DemoNumber("+34900555171", CLOUD, "toll-free", "Spain", "", is_default=False),
    DemoNumber("+39800555171", CLOUD, "toll-free", "Italy", "", is_default=False),
    DemoNumber("+498005550171", CLOUD, "toll-free", "Germany", "", is_default=False),
    DemoNumber("+14255550151", ACP, "toll", "United States", "Bellevue", is_default=True),
)

# The two whose run fails: the first has a bridge without a number to print, the second a damaged calendar
# object in the mailbox (`invitations.damaged_invitation`).
BRANCH_USER_UPN = "noemi.castellani@contoso.com"
DAMAGED_MAILBOX_USER_UPN = "tobias.gruenewald@contoso.com"


def is_in_london(user: DemoUser) -> bool:
    """Whether the user is in London's pool: who speaks British English, and the one whose mailbox is damaged. Who has
    another conferencing provider is not."""
    return not user.provider and (user.language == "en-GB" or user.upn == DAMAGED_MAILBOX_USER_UPN)


@dataclass(frozen=True)
class _Origin:
    """Given and family names that belong together, and how many people have them."""

    language: str
    country: str
    count: int
    given: tuple[str, ...]
    family: tuple[str, ...]


# Names in another script are written "native=ascii".
_ORIGINS = (
    _Origin(
        "en-US",
        "United States",
        44,
        (
            *(
                "Abigail",
                "Andre",
                "Brooke",
                "Caleb",
                "Dana",
                "Derek",
                "Elena",
                "Grant",
                "Jasmine",
                "Keisha",
                "Logan",
            ),
            *("Marcus", "Nolan", "Paige", "Priya", "Sierra", "Travis", "Wendy"),
        ),
        (
            *("Abbott", "Barlow", "Castillo", "Draper", "Ellison", "Fairbanks", "Gupta", "Hollis", "Iverson"),
            *(
                "Kowalski",
                "Langford",
                "Mercer",
                "Nguyen",
                "O'Dell",
                "Prescott",
                "Ramsey",
                "Sutherland",
                "Whitlock",
            ),
        ),
    ),
    _Origin(
        "en-GB",
        "United Kingdom",
        26,
        (
            *(
                "Alistair",
                "Bronwen",
                "Callum",
                "Daphne",
                "Eilidh",
                "Fergus",
                "Gemma",
                "Harriet",
                "Imogen",
                "Niall",
            ),
            *("Rhiannon", "Siobhán", "Zoë"),
        ),
        (
            *(
                "Ainsworth",
                "Blackwood",
                "Cartwright",
                "Davenport",
                "Fitzgerald",
                "Greaves",
                "Hathaway",
                "Llewellyn",
            ),
            *("MacLeod", "Okonkwo", "Pemberton", "Thistlewood"),
        ),
    ),
    _Origin(
        "es-ES",
        "Spain",
        24,
        (
            *(
                "Álvaro",
                "Begoña",
                "Concepción",
                "Íñigo",
                "Jesús",
                "Lucía",
                "Martín",
                "Nuria",
                "Óscar",
                "Rocío",
            ),
            *("Sofía", "Ximena"),
        ),
        (
            *(
                "Álvarez Cano",
                "Bermúdez",
                "Castaño",
                "Domínguez",
                "Echeverría",
                "Gutiérrez",
                "Ibáñez",
                "Muñoz",
            ),
            *("Núñez de Lara", "Peñalver", "Quiñones", "Sáenz"),
        ),
    ),
    _Origin(
        "it-IT",
        "Italy",
        19,
        ("Alessia", "Benedetta", "Cosimo", "Elisabetta", "Fabrizio", "Giosuè", "Ilaria", "Niccolò", "Teresa"),
        (
            "Bonaventura",
            "Cerutti",
            "D'Angelo",
            "Lo Cicero",
            "Mantovani",
            "Nardò",
            "Pellegrini",
            "Quagliarella",
        ),
    ),
    _Origin(
        "de-DE",
        "Germany",
        17,
        (
            "Anneliese",
            "Björn",
            "Dörte",
            "Götz",
            "Hannelore",
            "Jürgen",
            "Käthe",
            "Matthias",
            "Rüdiger",
            "Sören",
        ),
        ("Bäcker", "Großmann", "Hölderle", "Jäger", "Königsfeld", "Lüttich", "Müllner", "Schäfer", "Weiß"),
    ),
    _Origin(
        "fr-FR",
        "France",
        12,
        ("Anaïs", "Benoît", "Chloé", "Françoise", "Gaël", "Hélène", "Jérôme", "Loïc"),
        ("Beauchêne", "Chéreau", "D'Aubigné", "Lefèvre", "Maître", "Noël", "Préjean", "Tréville"),
    ),
    _Origin(
        "ar-SA",
        "Saudi Arabia",
        8,
        ("أحمد=ahmad", "فاطمة=fatima", "خالد=khalid", "ليلى=layla", "يوسف=yusuf", "نورة=noura"),
        (
            "الحربي=alharbi",
            "القحطاني=alqahtani",
            "الزهراني=alzahrani",
            "العتيبي=alotaibi",
            "الشمري=alshammari",
        ),
    ),
    _Origin(
        "he-IL",
        "Israel",
        8,
        ("אבי=avi", "דנה=dana", "יעל=yael", "נועם=noam", "רחל=rachel", "שירה=shira"),
        ("אברהמי=avrahami", "ברקוביץ'=berkovich", "גולדשטיין=goldstein", "לביא=lavi", "מזרחי=mizrahi"),
    ),
)

_LETTERS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "ae", "Ö": "oe", "Ü": "ue"})


def _for_address(name: str, language: str) -> str:
    """The name as it is written in an address: lower-case ASCII letters, German umlauts spelt out."""
    if language == "de-DE":
        name = name.translate(_LETTERS)
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return "".join(letter for letter in folded.lower() if letter.isalpha())


def _names(chance: random.Random) -> list[tuple[str, str, _Origin]]:
    """Everybody's address, display name and origin, in an order that mixes the origins."""
    found = []
    for origin in _ORIGINS:
        for pair in chance.sample(list(itertools.product(origin.given, origin.family)), origin.count):
            shown, spelt = zip(*(part.split("=") if "=" in part else (part, part) for part in pair), strict=True)
            local_part = ".".join(_for_address(part, origin.language) for part in spelt)
            found.append((f"{local_part}@{CONTOSO.domain}", " ".join(shown), origin))
    chance.shuffle(found)
    return found


def number_for(bridge: str, country: str, kind: Literal["toll", "toll-free"]) -> str:
    """The bridge's number for the country; without one its default for toll, "" for toll-free."""
    on_bridge = [number for number in NUMBERS if number.bridge == bridge and number.kind == kind]
    chosen = [number.e164 for number in on_bridge if number.country == country]
    chosen += [number.e164 for number in on_bridge if number.is_default]
    return chosen[0] if chosen else ""


# What is special about some users, and how many of each there are; "on-premises" has the mailbox and the user there,
# "on-premises mailbox" the mailbox only, "moving" the user only. With the two named users 121 are plain "legacy".
_CASES = {
    "legacy": 120,
    "moving": 16,
    "moving, nobody makes meetings": 1,
    "on-premises": 2,
    "on-premises mailbox": 2,
    "cloud": 6,
    "cloud, switched off": 1,
    "unlicensed": 5,
    "provider": 5,
}
_BRIDGE_OF = {
    "branch": BRANCH,
    "cloud": CLOUD,
    "cloud, switched off": CLOUD,
    "unlicensed": CLOUD,
    "provider": ACP,
}  # all others are on the old one


def users(seed: int = 2016) -> list[DemoUser]:
    """The 160 people of Contoso, the same for the same seed.

    138 are on "Contoso Legacy" and can be migrated; moving them to "Contoso Cloud" is what sets the demo going. 17 of
    these move from on-premises to online at the same time, so that their Skype for Business meetings are made anew; for
    one of them no meeting service is named, so nobody can make them. The others are the cases an administrator meets:
    4 on the old bridge with a mailbox on-premises, 7 already on the new bridge (one with conferencing switched off), 5
    there without a licence, 5 with a third-party provider, and 1 on a bridge without numbers. Everybody's numbers are
    on their own bridge.
    """
    chance = random.Random(seed)  # noqa: S311 - it picks names and guards nothing
    names = _names(chance)
    cases = [case for case, count in _CASES.items() for _ in range(count)]
    chance.shuffle(cases)
    people = [
        (BRANCH_USER_UPN, "Noemi Castellani", "it-IT", "Italy", "branch"),
        (DAMAGED_MAILBOX_USER_UPN, "Tobias Grünewald", "de-DE", "Germany", "legacy"),
    ]
    people += [
        (upn, display_name, origin.language, origin.country, case)
        for (upn, display_name, origin), case in zip(names, cases, strict=True)
    ]
    conference_ids = chance.sample(range(1_000_000, 10_000_000), len(people))
    return [
        _user(*person, conference_id=str(digits), position=position)
        for position, (person, digits) in enumerate(zip(people, conference_ids, strict=True))
    ]


def _user(
    upn: str, display_name: str, language: str, country: str, case: str, *, conference_id: str, position: int
) -> DemoUser:
    bridge = _BRIDGE_OF.get(case, LEGACY)
    has_phone = case not in {"unlicensed", "branch"}
    return DemoUser(
        upn=upn,
        sip_address=upn,
        display_name=display_name,
        language=language,
        hosting="on-premises" if case == "on-premises" or case.startswith("moving") else "online",
        mailbox_location="on-premises" if case.startswith("on-premises") else "online",
        licensed=case != "unlicensed",
        enabled=case not in {"unlicensed", "cloud, switched off"},
        provider=ACP if case == "provider" else "",
        bridge=bridge,
        conference_id_type="private" if case == "legacy" and position % 8 == 7 else "public",
        conference_id=conference_id,
        toll_number=number_for(bridge, country, "toll") if has_phone else "",
        toll_free_number=number_for(bridge, country, "toll-free") if has_phone and position % 3 else "",
        meeting_service="none" if case == "moving, nobody makes meetings" else "",
    )
