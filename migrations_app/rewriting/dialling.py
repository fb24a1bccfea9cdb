"""Telephone numbers and conference IDs as blocks show and dial them, and the places that numbers belong to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import NamedTuple

import phonenumbers

from migrations_app.rewriting.block import PhoneNumber

# Narrow blanks and marks of direction among them.
_BLANK = r"(?:[ \xa0\u2000-\u2015\u202a-\u202f\u205f-\u2069\u3000().\-/]{0,3})"
SHOWN = re.compile(rf"\+\(?\d(?:{_BLANK}\d){{6,16}}(?!\d)")
"""A number as people read it, written internationally."""
SHOWN_AT_HOME = re.compile(rf"\(?\d(?:{_BLANK}\d){{5,14}}\s*\Z")
"""A number as people of its country read it, at the end of a text."""

_SPACE = r"(?:[ \xa0]|%20)"
TARGET = re.compile(
    rf"\s*tel:{_SPACE}*(?P<plus>\+|%2[Bb])?(?P<number>\(?\d(?:(?:[().\-/]|%2[89DdEe]|{_SPACE}){{0,4}}\d)*)"
    rf"(?P<pauses>(?:{_SPACE}|[,;pPwW]|%2[Cc]|%3[Bb])*)(?P<id>(?<=[,;pPwWCcBb0\x20])\d{{3,15}})?(?P<end>(?:\#|%23)?)\s*",
    re.IGNORECASE,
)
"""What a tel: link dials: a number, pauses, a conference ID and what ends it. Commas may be percent-encoded."""
MARKS = r"\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
"""Of a pattern's class: what is not seen, such as marks of direction."""
DIALLED_AFTER = re.compile(rf"[ \xa0{MARKS}]{{0,3}},{{1,4}}[ \xa0]?(?P<id>\d{{3,15}})(?:[ \xa0]?#)?")
"""What is dialled after a number, as people read it."""

_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
_NOT_DIGITS = re.compile(r"\D+")
_IN_GROUPS = re.compile(r"\d(?:[ \xa0-]?\d)*+")
_BETWEEN_GROUPS = re.compile(r"[ \xa0-]")


def digits_of(text: str) -> str:
    """Return the digits of a text, which has no percent-encoded ones."""
    return _NOT_DIGITS.sub("", _ESCAPED.sub("", text))


@lru_cache(maxsize=4096)
def e164(text: str) -> str:
    """Return a number that is written internationally as E.164; "" where it is none that there can be."""
    try:
        parsed = phonenumbers.parse(f"+{digits_of(text)}" if text[:1] == "+" else text)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_possible_number(parsed):
        return ""
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(maxsize=4096)
def is_toll_free(number: str) -> bool:
    """Tell whether calls to an E.164 number are free, by the numbering plan of its country."""
    try:
        kind = phonenumbers.number_type(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False
    return bool(kind == phonenumbers.PhoneNumberType.TOLL_FREE)


def id_spans(text: str, digits: str) -> Iterator[tuple[int, int]]:
    """Yield where a conference ID stands by itself, its digits together or in groups."""
    for found in _IN_GROUPS.finditer(text):
        start, end = found.span()
        if text[start - 1 : start] != "." and _BETWEEN_GROUPS.sub("", found[0]) == digits:
            yield start, end


def grouped_like(digits: str, old: str) -> str:
    """Return digits in groups as long as those of `old`, where that has groups."""
    groups = re.split(r"[ \xa0-]", old)
    if len(groups) < 2:
        return digits
    size, sign = len(groups[0]), old[len(groups[0])]
    return sign.join(digits[at : at + size] for at in range(0, len(digits), size))


# --- places ---------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """A place beside a number: where it stands in the text around it, and how it is made up."""

    start: int
    end: int
    has_country: bool
    has_city: bool
    is_country_first: bool = False


@cache
def _names_of_countries() -> Mapping[str, Mapping[str, str]]:
    """What each country is called, by language.

    Of phonenumbers, but its package ``geodata`` loads the places of all numbers with it, 100 MB for each worker. So the
    module is loaded by itself.
    """
    spec = spec_from_file_location(
        "phonenumbers.geodata.locale", Path(phonenumbers.__file__).parent / "geodata" / "locale.py"
    )
    if spec is None or spec.loader is None:
        raise ImportError("phonenumbers has no names of countries")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    names: Mapping[str, Mapping[str, str]] = module.LOCALE_DATA
    return names


@lru_cache(maxsize=1024)
def country_names(number: str) -> frozenset[str]:
    """Return what the countries of an E.164 number's calling code are called, in every language, in lower case."""
    code = phonenumbers.parse(number).country_code or 0
    regions = phonenumbers.region_codes_for_country_code(code)
    if len(regions) > 1:  # of a calling code that many countries share, the number's own and the largest
        regions = tuple({phonenumbers.region_code_for_number(phonenumbers.parse(number)) or regions[0], regions[0]})
    called = _names_of_countries()
    names = {name.casefold() for region in regions for name in called.get(region, {}).values() if name[:1] != "*"}
    return frozenset(names | {alias for region in regions for alias in _ALIASES.get(region, ())})


_ALIASES = {"US": ("usa", "u.s.a.", "us", "ee. uu.", "vs"), "GB": ("uk", "great britain", "großbritannien")}


def place_in(text: str, number: str, entered: str = "") -> Place | None:
    """Return the place of an E.164 number in a short text beside it; None where none can be told.

    A place holds the name of the number's country in any language, or is what was `entered` for it: it reaches from
    bracket to bracket, or from blanks to the end.
    """
    if not text.strip():
        return None
    for found in re.finditer(r"[^()\[\]|\n]+", text):
        for part in re.finditer(r"\S+(?:[ \xa0]{1,2}\S+)*", found[0]):
            words = [word.strip().casefold() for word in part[0].split(",")]
            start = found.start() + part.start()
            names = country_names(number)
            has_country = not names.isdisjoint(words)
            if has_country or (entered and part[0].casefold() in {entered.casefold(), _turned(entered).casefold()}):
                has_city = len(words) > 1 or not has_country
                return Place(start, start + len(part[0]), has_country, has_city, words[0] in names)
    return None


def _turned(place: str) -> str:
    city, comma, country = place.rpartition(", ")
    return country + comma + city


@lru_cache(maxsize=4096)
def place_of(number: PhoneNumber, language: str, like: Place) -> str:
    """Return the place of a number in a language, made up like another; "" where none is known.

    phonenumbers knows countries in many languages, and some cities; what it does not know stands as entered.
    """
    city, _, country = number.place.rpartition(", ")
    if not city and country.casefold() not in country_names(number.e164):
        city, country = country, ""
    country = country_of(number.e164, language) or country
    city = _city(number.e164, city, language) if city else ""
    if not like.has_city:
        return country
    if not like.has_country:
        return city or country
    return ", ".join(filter(None, [country, city] if like.is_country_first else [city, country]))


def country_of(number: str, language: str) -> str:
    """Return what the country of an E.164 number is called in a language; "" where it may be one of several."""
    parsed = phonenumbers.parse(number)
    regions = phonenumbers.region_codes_for_country_code(parsed.country_code or 0)
    if len(regions) > 1:
        regions = tuple(region for region in regions if phonenumbers.is_valid_number_for_region(parsed, region))
    names = _names_of_countries().get(regions[0], {}) if len(regions) == 1 else {}
    name = names.get(language, "")
    return names.get(name[1:], "") if name[:1] == "*" else name  # * before the language that has the same name


def _city(number: str, entered: str, language: str) -> str:
    if language in {"", "en"}:  # as it is entered
        return entered
    from phonenumbers import geocoder  # loads the places of all numbers

    parsed = phonenumbers.parse(number)
    if geocoder.description_for_valid_number(parsed, "en").partition(",")[0] == entered:
        known = geocoder.description_for_valid_number(parsed, language).partition(",")[0]
        return entered if known == country_of(number, language) else known or entered
    return entered
