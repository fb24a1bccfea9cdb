"""Options of the commands about deployments, and how a deployment is found (R60)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext_noop

from tenants_app.changes.deployments import SETTINGS, read_deployment
from tenants_app.management.arguments import MEETING_SERVICES, deployments_meeting_service, one_of
from tenants_app.models import Deployment, Tenant
from tenants_app.records import deployment_record
from tenants_app.sentences import sentence


def add_deployment_options(parser: CommandParser, *, is_new: bool) -> None:
    """The options of a deployment's settings, each kept under the name of its field."""
    parser.add_argument("name", metavar="NAME")
    if not is_new:
        parser.add_argument("--rename", metavar="NAME", help="give it another name")
    parser.add_argument(
        "--kind",
        required=is_new,
        metavar="on-premises|online",
        type=one_of(Deployment.Kind.values, gettext_noop("a kind of deployment")),
        help="how the users who are moved there are hosted",
    )
    parser.add_argument(
        "--role",
        required=is_new,
        metavar="legacy|new",
        type=one_of(Deployment.Role.values, gettext_noop("a role of a deployment")),
        help="users move from legacy to new",
    )
    parser.add_argument(
        "--meeting-host",
        dest="meeting_hosts",
        required=is_new,
        action="append",
        metavar="HOST",
        help="a server in its join links; repeat it for each",
    )
    parser.add_argument(
        "--meeting-service",
        metavar=f"{MEETING_SERVICES}|tenant",
        type=deployments_meeting_service,
        help="who hosts meetings of its users that are made anew (default: the tenant's service)",
    )
    parser.add_argument("--meeting-url", metavar="URL", help="where new join links begin (default: the tenant's)")
    parser.add_argument(
        "--check-host",
        dest="check_hosts",
        action="append",
        metavar="HOST",
        help="another server that checks may connect to; repeat it for each",
    )
    parser.add_argument(
        "--mover",
        metavar="record|command|list",
        type=one_of(Deployment.Mover.values, gettext_noop("a way to move accounts")),
        help="how accounts get there: somebody has moved them, a program does, or Move-CsUser by a list",
    )
    parser.add_argument("--mover-command", metavar="PROGRAM", help="the program that moves one user")
    parser.add_argument("--lowest-client-version", metavar="VERSION", help="the oldest client that works with it")
    parser.add_argument("--highest-client-version", metavar="VERSION", help="the newest client that works with it")


def values_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that were given."""
    return {name: options[name] for name in SETTINGS if name != "name" and options[name] is not None}


def record_of(deployment: Deployment) -> dict[str, Any]:
    return deployment_record(deployment, deployment.users.count())


def deployment_named(tenant: Tenant, name: str) -> Deployment:
    """The tenant's deployment of that name; ``CommandError`` where there is none."""
    found = deployment_or_none(tenant, name)
    if found is None:
        raise CommandError(sentence("“none” is no deployment: give the name of one."))
    return found


def deployment_or_none(tenant: Tenant, name: str) -> Deployment | None:
    """The same, and None for ``none``."""
    try:
        return read_deployment(tenant, name)
    except ValueError as error:
        raise CommandError(str(error)) from error
