"""Options of the commands that make and change mailbox connections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from tenants_app.certificates import is_pem
from tenants_app.management.arguments import at_least, one_of, read_text, to_time, truth
from tenants_app.models import MailboxConnection, Tenant

_FIELDS = (
    "address",
    "username",
    "cloud",
    "directory_id",
    "sign_in_by",
    "autodiscover",
    "secret_expires_at",
    "path_template",
    "calendars",
    "ca_certificates",
    "who_tells",
    "most_requests",
)


def add_connection_options(parser: CommandParser) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument(
        "--address",
        metavar="URL",
        help="caldav, exchange: where the server is, such as https://dav.contoso.com/ or "
        "https://mail.contoso.com/EWS/Exchange.asmx",
    )
    parser.add_argument(
        "--username",
        metavar="NAME",
        help="of the service account (caldav: none, where each user signs in themselves); graph: the application "
        "(client) ID",
    )
    parser.add_argument(
        "--secret-file",
        metavar="FILE|-",
        help="a file, or - for standard input, that holds the account's password; graph: the client secret, or the "
        "private key and its certificate (PEM)",
    )
    parser.add_argument(
        "--secret-expires",
        dest="secret_expires_at",
        metavar="DATE",
        type=to_time,
        help="graph: when the client secret ends, to be warned of it; of a certificate MMS reads it",
    )
    parser.add_argument(
        "--cloud",
        metavar="|".join(MailboxConnection.Cloud.values),
        type=one_of(MailboxConnection.Cloud.values, gettext_noop("one of Microsoft's clouds")),
        help="graph: in which of Microsoft's clouds the organization is (default: global)",
    )
    parser.add_argument(
        "--directory", dest="directory_id", metavar="ID", help="graph: the directory (tenant) ID, or one of its domains"
    )
    parser.add_argument(
        "--sign-in-by",
        metavar="|".join(MailboxConnection.SignInBy.values),
        type=one_of(MailboxConnection.SignInBy.values, gettext_noop("a way to sign in")),
        help="exchange: how the service account signs in (default: ntlm)",
    )
    parser.add_argument(
        "--autodiscover",
        metavar="true|false",
        type=truth,
        help="exchange: ask the users' domain where the server is, instead of --address (default: false)",
    )
    parser.add_argument(
        "--path-template",
        metavar="T",
        help="where a user's calendars are: a path with {upn}, {local} and {domain}, such as /calendars/{upn}/",
    )
    parser.add_argument("--calendars", metavar="NAMES", help="look only at these calendars, separated by commas")
    parser.add_argument(
        "--ca-file", metavar="FILE", help="certificates (PEM) to trust beside the public authorities' ones"
    )
    parser.add_argument(
        "--who-tells",
        metavar="detect|server|mms",
        type=one_of(MailboxConnection.WhoTells.values, gettext_noop("known")),
        help="who mails attendees about changed meetings: as the server says (detect), the server, or MMS",
    )
    parser.add_argument(
        "--most-requests", metavar="N", type=at_least(1), help="how many workers may ask the server at the same time"
    )
    parser.add_argument("--default", action="store_true", help="for all users who have no other mailbox")


def connection_values(options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are given."""
    given = dict(options)
    if options["ca_file"] is not None:
        given["ca_certificates"] = read_text(options["ca_file"]) if options["ca_file"] else ""
    return {name: given[name] for name in _FIELDS if given.get(name) is not None}


def secret_of(options: Mapping[str, Any]) -> str | None:
    """The password from the file; the line break at its end is none of it. Only a certificate has more lines."""
    if options["secret_file"] is None:
        return None
    password = read_text(options["secret_file"]).rstrip("\r\n")
    if not password or ("\n" in password and not is_pem(password)):
        raise CommandError(
            _("%(secret_file)s must hold the password on one line: correct the file.")
            % {"secret_file": options["secret_file"]}
        )
    return password


def connection_named(tenant: Tenant, name: str) -> MailboxConnection:
    """The tenant's connection of that name."""
    found = MailboxConnection.objects.filter(tenant=tenant, name__iexact=name.strip()).first()
    if found is None:
        raise CommandError(
            _("%(name)s has no mailbox connection %(name2)s: get_mailbox_connection lists them.")
            % {"name": tenant.name, "name2": name}
        )
    found.tenant = tenant
    return found
