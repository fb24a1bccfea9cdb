"""Options of the commands that make and change mailbox connections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser

from tenants_app.management.arguments import at_least, one_of, read_text
from tenants_app.models import MailboxConnection, Tenant

_FIELDS = ("address", "username", "path_template", "calendars", "ca_certificates", "who_tells", "most_requests")


def add_connection_options(parser: CommandParser) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--address", metavar="URL", help="where the server is, such as https://dav.contoso.com/")
    parser.add_argument(
        "--username", metavar="NAME", help="of the service account; none: each user signs in themselves"
    )
    parser.add_argument(
        "--secret-file", metavar="FILE|-", help="a file that holds the account's password, or - for standard input"
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
        type=one_of(MailboxConnection.WhoTells.values, "known"),
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
    """The password from the file; the line break at its end is none of it."""
    if options["secret_file"] is None:
        return None
    password = read_text(options["secret_file"]).rstrip("\r\n")
    if not password or "\n" in password:
        raise CommandError(f"{options['secret_file']} must hold the password on one line: correct the file.")
    return password


def connection_named(tenant: Tenant, name: str) -> MailboxConnection:
    """The tenant's connection of that name."""
    found = MailboxConnection.objects.filter(tenant=tenant, name__iexact=name.strip()).first()
    if found is None:
        raise CommandError(f"{tenant.name} has no mailbox connection {name}: get_mailbox_connection lists them.")
    found.tenant = tenant
    return found
