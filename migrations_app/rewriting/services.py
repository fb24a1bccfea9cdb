"""Who hosts the online meeting behind an invitation (R39), by its join link alone; the frame around it says nothing."""

from collections.abc import Iterable
from enum import StrEnum

from migrations_app.rewriting import links
from tenants_app.sentences import Sentence, sentence


class Service(StrEnum):
    """A meeting service whose meetings MMS knows its way around."""

    SKYPE = "SkypeForBusiness"
    TEAMS = "Teams"
    LINK = "Link"

    @property
    def product(self) -> Sentence:
        """What people call it."""
        return _TITLES[self]


_TITLES = {
    Service.SKYPE: sentence("Skype for Business"),
    Service.TEAMS: sentence("Teams"),
    Service.LINK: sentence("Link"),
}


def service_of(join_urls: Iterable[str], key: str, remembered: frozenset[str]) -> Service:
    """Return whose meeting some join links lead into.

    `key` is the one that MMS derives for the meeting, `remembered` are the `comparable` links of its Link meetings: a
    link is `Link` only with one of these, and every other link of that shape is one of Skype for Business.
    """
    for url in join_urls:
        if links.is_teams(links.unwrapped(url)):
            return Service.TEAMS
        if links.comparable(url) in remembered or (key and links.key_of(links.unwrapped(url)) == key):
            return Service.LINK
    return Service.SKYPE
