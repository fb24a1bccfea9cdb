"""What a name, an address, a number or a language may look like."""

from __future__ import annotations

import re

import phonenumbers
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

validate_slug = RegexValidator(
    r"^(?!(?:admin|accounts|static|healthz|metrics|jsi18n)\Z)[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?\Z",
    "Use lower-case letters, digits and hyphens; some words, such as admin, are taken.",
)
validate_domain = RegexValidator(
    r"^(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]\Z",
    "Give a domain name such as contoso.com.",
)
# ASCII, because not every mail server takes other addresses; labels as in RFC 1035.
validate_address = RegexValidator(
    r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z",
    "Give an address such as anna@contoso.com, in ASCII letters.",
)
validate_conference_id = RegexValidator(r"^[1-9][0-9]{6}\Z", "A conference ID is 7 digits and does not begin with 0.")
validate_language = RegexValidator(r"^[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*\Z", "Give a language tag such as en-US.")
validate_web_address = RegexValidator(
    r"^https?://[^\s<>\"'\\\x00-\x1f\x7f-\x9f]+\Z", "Give a web address that begins with https:// (or http://)."
)
# Plain http is taken for what is stored already; ``changes.tenants`` asks of a new one that it is https.
validate_meeting_url = RegexValidator(
    r"^https?://[^\s<>\"'\\\x00-\x1f\x7f-\x9f]+\Z",
    "Give a web address that begins with https://, such as https://meet.contoso.com.",
)

# So that a name cannot begin a line of its own in a log, a mail or a report, nor steer a terminal.
validate_one_line = RegexValidator(
    r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\Z", "Write it on one line, without tabs or other control characters."
)
validate_text = RegexValidator(r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*\Z", "Write it without control characters.")


def is_address(text: str) -> bool:
    """Whether the text is an address that a user can have."""
    return bool(validate_address.regex.match(text))  # type: ignore[union-attr]


def is_conference_id(text: str) -> bool:
    """Whether the text is one that a bridge can give out."""
    return bool(validate_conference_id.regex.match(text))  # type: ignore[union-attr]


def validate_e164(number: str) -> None:
    """A number in E.164 form whose country code exists.

    Migrations name this function by its module, so it stays where it is, under this name.
    """
    try:
        if not re.fullmatch(r"\+[1-9][0-9]{6,14}", number, re.ASCII):
            raise phonenumbers.NumberParseException(phonenumbers.NumberParseException.NOT_A_NUMBER, number)
        phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        raise ValidationError(
            "Give the number in E.164 form with a country code that exists, such as +14255550100."
        ) from None
