"""Join links: finding them in text, taking off the wrappers mail filters put around them, telling whose they are."""

import base64
import re
from collections.abc import Collection
from functools import lru_cache
from itertools import chain, islice
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

KEY = re.compile(r"[A-Z0-9]{8}")
"""What identifies a meeting: the last path segment of a Skype for Business or own join link."""

SKYPE_MARKER = re.compile(r"\[!OC\(\[[0-9A-Fa-f]{4,5}\]\)!\]")

# An apostrophe is part of a link (…/o'brien/…) unless it may be the quote that ends it, or ends an attribute.
_APOSTROPHE = r"'(?=[\w%]|/[^>])(?![\w:-]++\s*+=)"
_URL = re.compile(rf"""https?://(?:[^\s<>"'\\^`|]++|{_APOSTROPHE})++""")
_URL_IN_ANY_CASE = re.compile(_URL.pattern, re.IGNORECASE)
_TRAILING = frozenset(".,;:!?)]}")
_BRACKETS = {")": "(", "]": "[", "}": "{"}
_WRAPPER_HOST = re.compile(
    r"https?://(?:[\w.-]{1,200}\.safelinks\.|urldefense\.|statics\.teams\.|www\.google\.|linkprotect\.cudasvc\.)",
    re.IGNORECASE,
)
_WRAPPED_IN_PARAMETER = re.compile(
    r"https?://(?:[\w.-]{1,200}\.safelinks\.protection\.(?:outlook|office365)\.\w+/"
    r"|statics\.teams\.cdn\.office\.net/[^?#]{0,200}atp-safelinks\.html"
    r"|www\.google\.com/url|linkprotect\.cudasvc\.com/url)",
    re.IGNORECASE,
)
_PROOFPOINT_2 = re.compile(r"https?://urldefense(?:\.proofpoint)?\.com/v2/", re.IGNORECASE)
_PROOFPOINT_3 = re.compile(r"https?://urldefense(?:\.proofpoint)?\.(?:com|us)/v3/__(.+?)__;([\w=+/-]*)!", re.IGNORECASE)
_PROOFPOINT_REPLACED = re.compile(r"\*(?:\*([A-Za-z0-9_-]))?")
_PROOFPOINT_RUNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
"""After two stars: how many characters in a row were replaced, from two on."""
# A link inside a link: percent-encoded once or twice, as it is, or in base64 ("https://" and "http://" begin so).
_INNER_LINK = re.compile(r"(?<=.)https?(:|%3a|%253a)(//|(?:%2f|%252f){2})", re.IGNORECASE)
_INNER_BASE64 = re.compile(r"(?<![A-Za-z0-9+_-])aHR0c(?:HM6|Dov)[A-Za-z0-9+/_-]{16,}")
_LONGEST_WRAPPED = 8_000
_MOST_INNER = 3
_END_OF_ENCODED = re.compile(r"[/?&#]")
_PRINTABLE = re.compile(r"[!-~]*")

_TEAMS = re.compile(
    r"https?://(?:[a-z0-9-]+\.)*teams\.(?:microsoft\.(?:com|us)|microsoftonline\.cn|live\.com|cloud\.microsoft)"
    r"/(?:(?:v2/?)?(?:\?[^#]{0,300})?(?:[#_]+/)?l/meetup-join/|meet/[^/?#]*\d|dl/launcher/[^#]{0,300}meetup-join)",
    re.IGNORECASE,
)
# What names a meeting in such a link, decoded: the thread and the message in it, or the meeting's number.
_TEAMS_MEETING = re.compile(r"meetup-join/([^/?#&]+(?:/[^/?#&]*)?)|/meet/([^/?#]*)", re.IGNORECASE)
_TEAMS_THREAD = re.compile(r"19[:_]([A-Za-z0-9_+=:-]{1,200}?)(?:@|-)thread", re.IGNORECASE)
_TEAMS_PLACE = re.compile(r"meetup-join/(19:[^/?#\s\"]{1,300})/(\d{1,18})(?=[/?#]|$)")
_TEAMS_DIRECTORY = re.compile(r'"?Tid"?\s*:\s*"?([0-9a-f-]{36})', re.IGNORECASE)
_TEAMS_NUMBER = re.compile(r"/meet/(\d{6,20})(?=[/?#]|$)", re.IGNORECASE)
_TEAMS_ORGANIZER = re.compile(r'"?Oid"?\s*:\s*"?([0-9a-f-]{36})', re.IGNORECASE)

# host, user, key; web app links carry ?sl=1
_SKYPE = re.compile(r"https?://([^/?#@]{1,255})/(?:[^?#]*/)?([^/?#]+)/([A-Z0-9]{8})/?(\?sl=1)?", re.IGNORECASE)
_SKYPE_WEB_APP = re.compile(r"(https?://[^?#]+)\?sl=1", re.IGNORECASE)
_WEB_APP = "?sl=1"
_NOT_SKYPE_HOST = re.compile(
    r"(?:^|\.)(?:dialin\.[^:]*|officeredir\.microsoft\.com|go\.microsoft\.com|join\.skype\.com|aka\.ms|zoom\.us"
    r"|meetup\.com|support\.office\.com|support\.microsoft\.com|teams\.[^:]*|pexip\.me)(?::\d+)?$"
)
_SKYPE_HOST = re.compile(r"(?:^|\.)(?:meet|lync|lyncweb|sfb|skype|meeting|webconf)[\w-]*\.", re.IGNORECASE)

_OTHER_PROVIDER = re.compile(
    r"zoom(?:gov)?\.(?:us|com)/(?:j|my|w|s)/|meet\.google\.com/[a-z]|bluejeans\.com/\d|gotomeet(?:ing)?\.(?:com|me)/"
    r"|webex\.com/(?:meet|join)(?:/|\b)|webex\.com/[^\s<>\"']{0,300}j\.php|join\.skype\.com/",
    re.IGNORECASE,
)
_PROVIDERS = {
    "zoom": "Zoom",
    "meet.google": "Google Meet",
    "bluejeans": "BlueJeans",
    "gotomeet": "GoTo Meeting",
    "webex": "Webex",
    "join.skype": "Skype (consumer)",
}
_LOCAL_NUMBERS = re.compile(r"https?://dialin\.[^?#\s]{1,200}\?id=\d", re.IGNORECASE)
_PUBLIC_SUFFIX = re.compile(r"(?:ac|co|com|edu|go|gov|ne|net|or|org)\.[a-z]{2}")
_IN_NOTES = rf"""(?:[^\s<>"'\\]|{_APOSTROPHE})"""
_SHARED_NOTES = re.compile(
    rf"\bonenote:{_IN_NOTES}++|https?://(?:[\w-]+\.)*onenote\.com/{_IN_NOTES}++"
    rf"|https?://[\w-]+(?:\.[\w-]+)*\.sharepoint\.com/{_IN_NOTES}{{0,500}}\.one(?:toc2)?\b{_IN_NOTES}*+",
    re.IGNORECASE,
)


class SkypeLink(NamedTuple):
    """A join link in the shape of Skype for Business: …/<user>/<key>."""

    url: str
    host: str
    user: str
    key: str
    web_app: bool


def links_in(text: str) -> list[str]:
    """Return the http(s) links of a text in their order, unwrapped, each once."""
    # A pattern that ignores case looks at every character; hardly anybody writes HTTP.
    usual = text.count("://") == text.count("https://") + text.count("http://")
    found = (_URL if usual else _URL_IN_ANY_CASE).findall(text)
    return list(dict.fromkeys(unwrapped(without_punctuation(url)) for url in found))


def without_punctuation(url: str) -> str:
    """Return a link without what belongs to the sentence around it; a bracket that it opens itself is its own."""
    if url[-1] not in _TRAILING:
        return url
    end = len(url)
    surplus = {closing: url.count(closing) - url.count(opening) for closing, opening in _BRACKETS.items()}
    while end and (last := url[end - 1]) in _TRAILING:
        if last in surplus:
            if surplus[last] <= 0:
                break
            surplus[last] -= 1
        end -= 1
    return url[:end]


@lru_cache(maxsize=512)
def unwrapped(url: str) -> str:
    """Return the link that a mail filter wrapped up.

    Known are Safe Links, URL Defense 2 and 3, Barracuda and Google; of any other filter a link into a meeting or to its
    notes is found that its link contains. Other links come back as they are.
    """
    for _ in range(3):  # filters of two companies wrap each other's links
        if not _WRAPPER_HOST.match(url):
            inner = _contained(url)
        elif _WRAPPED_IN_PARAMETER.match(url):
            inner = next(filter(None, (_query_value(url, name) for name in ("url", "q", "a"))), "")
        elif _PROOFPOINT_2.match(url):
            inner = unquote(_query_value(url, "u").replace("-", "%").replace("_", "/"))
        elif (found := _PROOFPOINT_3.match(url)) is not None:
            inner = _proofpoint_3(found[1], found[2])
        else:
            inner = _contained(url)
        if not inner:
            break
        url = inner
    return url


def _contained(url: str) -> str:
    """Return the link into a meeting, or the wrapped one, that another kind of link contains; "" for most."""
    if len(url) > _LONGEST_WRAPPED or not ("aHR0c" in url or _INNER_LINK.search(url)) or _leads_to_meeting(url):
        return ""
    written = map(_as_written, islice(_INNER_LINK.finditer(url), _MOST_INNER))
    encoded = map(_from_base64, islice(_INNER_BASE64.finditer(unquote(url)), _MOST_INNER))
    inner = (link for link in chain(written, encoded) if _leads_to_meeting(link) or _WRAPPER_HOST.match(link))
    return next(inner, "")


def _as_written(found: re.Match[str]) -> str:
    """Return the link that begins at a place of another link, decoded."""
    rest = found.string[found.start() :]
    if found[2] != "//":
        rest = _END_OF_ENCODED.split(rest, maxsplit=1)[0]
    elif found[1] != ":":
        rest = rest.partition("&")[0]
    else:
        return rest.partition("___")[0]
    for _ in range(3):
        if _URL_IN_ANY_CASE.match(rest):
            break
        rest = unquote(rest)
    return rest


def _from_base64(found: re.Match[str]) -> str:
    text = found[0].replace("-", "+").replace("_", "/")
    whole = text[: len(text) - (len(text) % 4 == 1)]
    decoded = base64.b64decode(whole + "=" * (-len(whole) % 4)).decode("utf-8", "replace")
    printable = _PRINTABLE.match(decoded)
    return printable[0] if printable else ""


def _leads_to_meeting(url: str) -> bool:
    """Tell whether an unwrapped link is one that a meeting block has for its own meeting."""
    is_known = is_teams(url) or skype_link(url) is not None or "/meetingoptions/" in url.lower()
    return is_known or _LOCAL_NUMBERS.match(url) is not None or _SHARED_NOTES.match(url) is not None


def _query_value(url: str, name: str) -> str:
    try:
        return parse_qs(urlsplit(url).query, max_num_fields=50).get(name, [""])[0]
    except ValueError:
        return ""


def _proofpoint_3(url: str, replaced: str) -> str:
    try:
        characters = iter(base64.urlsafe_b64decode(replaced + "=" * (-len(replaced) % 4)).decode("utf-8"))
    except ValueError:
        return url

    def put_back(found: re.Match[str]) -> str:
        count = _PROOFPOINT_RUNS.index(found[1]) + 2 if found[1] else 1
        return "".join(next(characters, "*") for _ in range(count))

    return _PROOFPOINT_REPLACED.sub(put_back, url)


@lru_cache(maxsize=512)
def is_teams(url: str) -> bool:
    """Tell whether an unwrapped link joins a Teams meeting."""
    return _TEAMS.match(url) is not None


@lru_cache(maxsize=512)
def skype_link(url: str) -> SkypeLink | None:
    """Return the parts of an unwrapped link in the shape of Skype for Business; None for any other."""
    found = _SKYPE.fullmatch(url)
    if found is None or not KEY.fullmatch(found[3]) or _NOT_SKYPE_HOST.search(found[1].lower()):
        return None
    return SkypeLink(url.removesuffix(found[4] or ""), found[1].lower(), unquote(found[2]), found[3], bool(found[4]))


def web_app_link(url: str) -> str:
    """Return the join link whose web app twin (?sl=1) this is; "" for any other link."""
    found = _SKYPE_WEB_APP.fullmatch(url) if url[-len(_WEB_APP) :].lower() == _WEB_APP else None
    return found[1] if found else ""


def is_surely_skype(link: SkypeLink) -> bool:
    """Tell whether a link is one of Skype for Business even where no frame around it says so."""
    if link.key.isdigit() and not link.web_app:
        return False  # many a page of minutes has an address that ends in a date
    return link.web_app or "/meet/" in link.url.lower() or _SKYPE_HOST.search(link.host) is not None


@lru_cache(maxsize=512)
def key_of(url: str) -> str:
    """Return the meeting key, the last path segment of a join link; "" when it has not the shape of a key."""
    last = url.partition("?")[0].rstrip("/").rpartition("/")[2]
    return last if KEY.fullmatch(last) else ""


@lru_cache(maxsize=512)
def owner_of(url: str) -> str:
    """Return whose join link it is: the path segment before the key, with @ and the domain where the path names one.

    Returns "" where there is no such segment.
    """
    _, *path = url.partition("://")[2].partition("?")[0].rstrip("/").split("/")
    if len(path) < 2:
        return ""
    domain = next((segment for segment in path[:-2] if "." in segment), "")
    return unquote(path[-2]) + (f"@{domain.lower()}" if domain else "")


def is_of_organization(url: str, domains: Collection[str]) -> bool:
    """Tell whether the server of a join link, or the organization that its path names, has one of the domains.

    In the cloud all organizations share a server, and the path begins with their names: meet.lync.com/contoso/….
    """
    host, *path = url.partition("://")[2].partition("?")[0].lower().split("/")
    host = host.partition(":")[0]
    if any(f".{host}".endswith(f".{domain}") for domain in domains):
        return True
    names = {*domains, *(domain.partition(".")[0] for domain in domains)}
    return not names.isdisjoint(path[:-2])


def domain_of(url: str) -> str:
    """Return the domain that a server's name belongs to: the name without its first part, where enough is left."""
    host = url.partition("://")[2].partition("/")[0].partition(":")[0].lower()
    domain = host.partition(".")[2]
    return domain if "." in domain and not _PUBLIC_SUFFIX.fullmatch(domain) else host


def same_place(one: str, other: str) -> bool:
    """Tell whether two join links are the same up to the key, that is, whether one user has both on one server."""
    return one.rstrip("/").rpartition("/")[0].lower() == other.rstrip("/").rpartition("/")[0].lower()


def other_form(one: str, other: str) -> bool:
    """Tell whether two Teams links name their meetings in different ways, so that they cannot be compared.

    The short form (…/meet/<number>) says nothing of the thread that the long one (…/l/meetup-join/…) names.
    """
    both = is_teams(unwrapped(one)) and is_teams(unwrapped(other))
    return both and is_short_teams(one) != is_short_teams(other)


def is_short_teams(url: str) -> bool:
    """Tell whether a Teams link has the short form, which names a number."""
    return "meetup-join" not in unquote(unwrapped(url)).lower()


@lru_cache(maxsize=512)
def comparable(url: str) -> str:
    """Return a join link in a form in which links to the same meeting are equal.

    Parameters of a Teams link (passcode, context, tracking) do not tell meetings apart, nor does the server of a
    Skype for Business link.
    """
    unwrapped_url = unwrapped(url.strip())
    plain = unquote(unwrapped_url).lower()
    link = skype_link(unwrapped_url)
    if link is not None:
        return f"skype:{link.user.lower()}/{link.key}"
    if is_teams(unwrapped_url) and (found := _TEAMS_MEETING.search(unquote(plain))) is not None:
        return f"teams:{found[1] or found[2]}"
    return plain.rstrip("/").removesuffix("?sl=1").rstrip("/")


@lru_cache(maxsize=512)
def teams_thread(text: str) -> str:
    """Return the meeting's thread in a Teams link or property; "" when it names none."""
    found = _TEAMS_THREAD.search(unquote(text))
    # Colons have become underscores where the thread is part of a path or a parameter.
    return found[1].replace(":", "_").lower() if found else ""


def teams_place(url: str) -> tuple[str, int] | None:
    """Return the thread of a Teams join link, exactly as it is named there, and the message; None without them."""
    found = _TEAMS_PLACE.search(unquote(url))
    return (found[1], int(found[2])) if found else None


def teams_number(url: str) -> str:
    """Return the meeting ID that a Teams link of the short form names; "" for any other link."""
    found = _TEAMS_NUMBER.search(url) if is_teams(url) else None
    return found[1] if found else ""


def teams_directory(url: str) -> str:
    """Return the directory (tenant) ID in a Teams join link; "" when it names none."""
    found = _TEAMS_DIRECTORY.search(unquote(url))
    return found[1].lower() if found else ""


def teams_organizer(url: str) -> str:
    """Return the organizer's object ID in a Teams join link; "" when it names none."""
    found = _TEAMS_ORGANIZER.search(unquote(url))
    return found[1].lower() if found else ""


@lru_cache(maxsize=512)
def meeting_options(url: str) -> tuple[str, str] | None:
    """Return (organizer's object ID, thread) of a Teams "Meeting options" link; None for any other link."""
    if "/meetingoptions/" not in url.lower():
        return None
    return _query_value(url, "organizerId").lower(), teams_thread(_query_value(url, "threadId"))


def names_other_provider(lowered: str) -> bool:
    """Tell whether a text in lower case names another provider."""
    return any(map(lowered.__contains__, _PROVIDERS))


def has_other_provider(lowered: str) -> bool:
    """Tell whether a text in lower case holds a join link of another provider."""
    return names_other_provider(lowered) and _OTHER_PROVIDER.search(lowered) is not None


def other_provider(lowered: str) -> str:
    """Return the name of the first other provider whose join link a text in lower case holds; "" when none."""
    found = _OTHER_PROVIDER.search(lowered) if names_other_provider(lowered) else None
    return next((name for word, name in _PROVIDERS.items() if word in found[0]), "") if found else ""


def shared_notes_in(text: str) -> str:
    """Return the first link to shared notes (OneNote) that can be told by its address alone; "" when none."""
    found = _SHARED_NOTES.search(text)
    return without_punctuation(found.group()) if found else ""
