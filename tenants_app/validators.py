"""What a name, an address, a number or a language may look like.

Models load this, so what few values are checked with is loaded when one is.
"""

from __future__ import annotations

import ipaddress
import re
from difflib import get_close_matches
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tenants_app.local_times import time_zone_names

validate_slug = RegexValidator(
    r"^(?!(?:admin|accounts|static|healthz|metrics|jsi18n)\Z)[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?\Z",
    _("Use lower-case letters, digits and hyphens; some words, such as admin, are taken."),
)
validate_domain = RegexValidator(
    r"^(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]\Z",
    _("Give a domain name such as contoso.com."),
)
# ASCII, because not every mail server takes other addresses; labels as in RFC 1035.
validate_address = RegexValidator(
    r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z",
    _("Give an address such as anna@contoso.com, in ASCII letters."),
)
validate_conference_id = RegexValidator(
    r"^[1-9][0-9]{6}\Z", _("A conference ID is 7 digits and does not begin with 0.")
)
validate_language = RegexValidator(r"^[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*\Z", _("Give a language tag such as en-US."))
validate_web_address = RegexValidator(
    r"^https?://[^\s<>\"'\\\x00-\x1f\x7f-\x9f]+\Z", _("Give a web address that begins with https:// (or http://).")
)
# Plain http is taken for what is stored already; ``changes.tenants`` asks of a new one that it is https.
validate_meeting_url = RegexValidator(
    r"^https?://[^\s<>\"'\\\x00-\x1f\x7f-\x9f]+\Z",
    _("Give a web address that begins with https://, such as https://meet.contoso.com."),
)

# So that a name cannot begin a line of its own in a log, a mail or a report, nor steer a terminal.
validate_one_line = RegexValidator(
    r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*\Z", _("Write it on one line, without tabs or other control characters.")
)
validate_text = RegexValidator(r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*\Z", _("Write it without control characters."))


def validate_mailbox_address(text: str) -> None:
    """Where a mail server is: a web address with a host, and without a user name, which has a field of its own."""
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in {"https", "http"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or re.search(r"[\s<>\"'\\\x00-\x1f\x7f-\x9f]", text):
        raise ValidationError(_("Give the server's web address, such as https://dav.contoso.com/."))
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValidationError(_("Give a server and perhaps a path, without user name, ? and #."))


def validate_host(text: str) -> None:
    """The name of a machine, or an IP address without brackets."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        labels = text.removesuffix(".").split(".")
        if len(text) > 253 or not all(re.fullmatch(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", label) for label in labels):
            raise ValidationError(_("Give the name of a server, such as smtp.contoso.com, without port.")) from None


MOST_HOSTS = 50
"""As many hosts as a deployment may name in one list."""


def validate_hosts(hosts: object) -> None:
    """A list of names of servers, each once, in lower case."""
    if not isinstance(hosts, list) or not all(isinstance(host, str) for host in hosts):
        raise ValidationError(_("Give the names of servers, such as meet.contoso.com."))
    if len(hosts) > MOST_HOSTS:
        raise ValidationError(gettext("Give at most %(most)s names of servers.") % {"most": MOST_HOSTS})
    for host in hosts:
        validate_host(host)
    if len(set(hosts)) < len(hosts) or any(host != host.lower() for host in hosts):
        raise ValidationError(_("Give each server once, in lower case."))


def validate_program_name(name: str) -> None:
    """The name of a program in the directory of programs that MMS may run (R71), without a path."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise ValidationError(_("Give the name of a program, such as move-user, without a path."))


def validate_selectors(text: str) -> None:
    """Names of DKIM keys (RFC 6376 section 3.1), separated by commas; at most ten."""
    names = [name.strip() for name in text.split(",")]
    name = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
    if len(names) > 10 or not all(re.fullmatch(name, each) for each in names):
        raise ValidationError(_("Give at most ten selectors, such as s1, s2: letters, digits, dots and hyphens."))


def validate_time_zone(name: str) -> None:
    """The name of a time zone that exists, spelled as it is."""
    if name in time_zone_names():
        return
    by_folded = {each.casefold(): each for each in time_zone_names()}
    by_city: dict[str, str] = {}
    for each in time_zone_names():
        by_city.setdefault(each.rpartition("/")[2].casefold(), each)
    asked = name.strip().replace(" ", "_").casefold()[:100]
    near = get_close_matches(asked, by_folded, n=1, cutoff=0.75)
    near_city = get_close_matches(asked.rpartition("/")[2], by_city, n=1, cutoff=0.8)
    meant = by_folded[near[0]] if near else by_city[near_city[0]] if near_city else ""
    given = name.strip()[:100]
    if meant:
        raise ValidationError(
            gettext("There is no time zone “%(name)s”: did you mean “%(meant)s”?") % {"name": given, "meant": meant}
        )
    raise ValidationError(
        gettext("There is no time zone “%(name)s”: give a name such as Europe/Rome or UTC.") % {"name": given}
    )


def validate_path_template(text: str) -> None:
    """A path below the server, in which only ``{upn}``, ``{local}`` and ``{domain}`` stand in braces."""
    rest = re.sub(r"\{(upn|local|domain)\}", "", text)
    if not text.startswith("/") or re.search(r"[\s{}?#<>\"'\\\x00-\x1f\x7f-\x9f]", rest) or "/../" in f"{text}/":
        raise ValidationError(
            _(
                "Give a path that begins with /, such as /dav/calendars/user/{local}/; {upn}, {local} and "
                "{domain} stand for the user."
            )
        )


def validate_certificates(text: str) -> None:
    """Certificates in PEM form."""
    from cryptography.x509 import load_pem_x509_certificates

    try:
        load_pem_x509_certificates(text.encode())
    except ValueError:
        raise ValidationError(
            _("Give certificates in PEM form: lines between BEGIN CERTIFICATE and END CERTIFICATE.")
        ) from None


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
    import phonenumbers

    try:
        if not re.fullmatch(r"\+[1-9][0-9]{6,14}", number, re.ASCII):
            raise phonenumbers.NumberParseException(phonenumbers.NumberParseException.NOT_A_NUMBER, number)
        phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        raise ValidationError(
            _("Give the number in E.164 form with a country code that exists, such as +14255550100.")
        ) from None
