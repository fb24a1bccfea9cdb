"""Which pages `make bench ARGS=lists` asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import NamedTuple
from urllib.parse import urlencode

from tests.bench.large_tenant import MANY, NOW, SUPERUSER, VIEWER

ADMIN_LIST, ADMIN_SEARCH, ADMIN_END = "Django admin, first page", "Django admin, search", "Django admin, last page"
HOME = "/lists/"


class Page(NamedTuple):
    """An address to ask for, and the row of the Django admin that it is measured against."""

    name: str
    path: str
    beside: str = ADMIN_LIST
    who: str = VIEWER
    is_fragment: bool = False
    has_rows: bool = True


def pages() -> list[Page]:
    """The addresses, which name rows that are there with few users as well as with many."""
    from migrations_app.models import BulkAction, NoticeRound, Plan, Preview, Rollout, Run
    from tenants_app.models import ConferencingUser, ServiceNumber

    user = ConferencingUser.objects.select_related("bridge").get(pk=51)
    number = ServiceNumber.objects.filter(bridge=user.bridge, is_default=False).first()
    run = Run.objects.get(user=user, is_latest=True)
    rollout = f"/lists/rollouts/{Rollout.objects.get().pk}"
    preview, plan, notices = (model.objects.order_by("pk").first() for model in (Preview, Plan, NoticeRound))
    action = BulkAction.objects.order_by("pk").first()
    assert number
    assert preview and plan and notices and action  # noqa: PT018 - one of each
    users, admin = f"{HOME}users/", "/admin/tenants_app/conferencinguser/"
    return [
        Page(ADMIN_LIST, admin, who=SUPERUSER),
        Page(ADMIN_SEARCH, f"{admin}?q=anna", who=SUPERUSER),
        Page(ADMIN_END, f"{admin}?p={MANY // 100}", who=SUPERUSER),
        Page("users, first page", users),
        Page("users, last page", f"{users}?page={MANY}", ADMIN_END),
        Page("users, 200 rows", f"{users}?rows=200"),
        Page("users, search: many", f"{users}?q=anna", ADMIN_SEARCH),
        Page("users, search: one", f"{users}?q={user.upn}", ADMIN_SEARCH),
        Page("users, search: nobody", f"{users}?q=nobody-goes-by-this", ADMIN_SEARCH, has_rows=False),
        Page("users, all of these", f"{users}?q=a&state=Succeeded&bridge={user.bridge_id}&out_of_date=yes"),
        Page("meetings that need a person", f"{HOME}left/?state=Open"),
        Page("meetings that need a person, undelivered", f"{HOME}left/?reason=mail-refused"),
        Page("meetings that need a person, search", f"{HOME}left/?user=weekly"),
        Page("failures", f"{HOME}failures/"),
        Page("failures, one group", f"{HOME}failures/mailbox-unavailable/"),
        Page("find a meeting, by organizer", f"{HOME}meetings/?organizer={user.upn}"),
        Page("find a meeting, by day", f"{HOME}meetings/?day={NOW + timedelta(days=18, hours=4):%Y-%m-%d}"),
        Page("search: a name", f"{HOME}search/?q=anna"),
        Page("search: a name, suggestions", f"{HOME}search/?q=anna", is_fragment=True),
        Page("search: one user", f"{HOME}search/?q={user.upn}"),
        Page("search: a number", f"{HOME}search/?q=(425)+555-0110"),
        Page("search: a subject", f"{HOME}search/?q=weekly"),
        Page("search: nothing", f"{HOME}search/?q=nobody-goes-by-this"),
        Page("dashboard", HOME),
        Page("dashboard, live part", HOME, is_fragment=True),
        Page("user", f"{users}{user.upn}/"),
        Page("user, meetings", f"{users}{user.upn}/meetings/"),
        Page("bridges", f"{HOME}bridges/"),
        Page("bridge", f"{HOME}bridges/{user.bridge_id}/"),
        Page("number", f"{HOME}bridges/{user.bridge_id}/numbers/{number.pk}/"),
        Page("history, first page", f"{HOME}migrations/"),
        Page("history, last page", f"{HOME}migrations/?page={MANY * 10}"),
        Page("history, search: many", f"{HOME}migrations/?user=anna"),
        Page("history, search: one", f"{HOME}migrations/?user={user.upn}"),
        Page("run", f"{HOME}migrations/{run.correlation_id}/"),
        Page("what starting all out of date leads to", f"{users}selected/start/?out_of_date=yes&all", who=SUPERUSER),
        Page("what moving all leads to", f"{users}selected/move/?all&to={user.bridge_id}", who=SUPERUSER),
        Page("what retrying leads to", f"{users}selected/retry/?failed_by=any&all", who=SUPERUSER),
        Page("done for many users", f"{users}actions/"),
        Page("done for many users, one", f"{users}actions/{action.pk}/"),
        Page("plans", f"{users}planned/"),
        Page("plan", f"{users}planned/{plan.pk}/"),
        Page("notices to organizers", f"{HOME}notices/{notices.pk}/"),
        Page("previews", f"{HOME}previews/", who=SUPERUSER),
        Page("preview of everybody", f"{HOME}previews/{preview.pk}/", who=SUPERUSER),
        Page("rollouts", f"{HOME}rollouts/"),
        Page("rollout", f"{rollout}/"),
        Page("rollout, wave that is planned", f"{rollout}/waves/1/"),
        Page("rollout, wave that moves", f"{rollout}/waves/2/"),
        Page("rollout, members of a wave", f"{rollout}/waves/1/members/"),
        Page("rollout, readiness of a wave", f"{rollout}/waves/1/readiness/"),
        Page("rollout, moves of a wave", f"{rollout}/waves/2/moves/", who=SUPERUSER),
        Page("chat", f"{HOME}chat/"),
        Page("chat, plan", f"{HOME}chat/plans/1/"),
        Page("chat, rooms", f"{HOME}chat/plans/1/rooms/"),
        Page("chat, findings", f"{HOME}chat/plans/1/findings/"),
        Page("alerts", f"{HOME}settings/alerts/", who=SUPERUSER),
        Page("settings", f"{HOME}settings/", who=SUPERUSER),
        Page("audit, first page", f"{HOME}audit/"),
        Page("audit, last page", f"{HOME}audit/?page={MANY * 10}"),
        Page("audit, search: many", f"{HOME}audit/?q=anna"),
        Page("audit, search: nothing", f"{HOME}audit/?q=nobody-goes-by-this", has_rows=False),
    ]


def lists() -> dict[str, str]:
    """The lists that have filters or orders worth asking for, each with its address."""
    from migrations_app.models import BulkAction, NoticeRound, Preview, Rollout
    from tenants_app.models import Bridge

    first = {model: model.objects.order_by("pk").first().pk for model in (BulkAction, NoticeRound, Preview, Bridge)}  # type: ignore[attr-defined, union-attr]
    waves = f"{HOME}rollouts/{Rollout.objects.get().pk}/waves/1"
    return {
        "users": f"{HOME}users/",
        "bridge-users": f"{HOME}bridges/{first[Bridge]}/",
        "runs": f"{HOME}migrations/",
        "left": f"{HOME}left/",
        "failures": f"{HOME}failures/mailbox-unavailable/",
        "audit": f"{HOME}audit/",
        "bulk-actions": f"{HOME}users/actions/",
        "bulk-action-users": f"{HOME}users/actions/{first[BulkAction]}/",
        "plans": f"{HOME}users/planned/",
        "notices": f"{HOME}notices/{first[NoticeRound]}/",
        "previews": f"{HOME}previews/",
        "previewed-meetings": f"{HOME}previews/{first[Preview]}/",
        "wave-members": f"{waves}/members/",
        "wave-readiness": f"{waves}/readiness/",
        "chat-rooms": f"{HOME}chat/plans/1/rooms/",
        "chat-findings": f"{HOME}chat/plans/1/findings/",
    }


def variants() -> Iterator[Page]:
    """Every list by each value of each of its filters, and by each of its columns, both ways."""
    import mms_site.urls  # noqa: F401 - lists are known when their views are
    from tenants_app.screens.lists import LISTS
    from tests.bench.lists import client_of

    for name, address in lists().items():
        table = LISTS[name]
        page = client_of(Page("", address, who=SUPERUSER)).get(address).content.decode()
        for field in table.filter_class.base_filters if table.filter_class else ():
            for value in values_of(page, field):
                yield variant(name, address, {field: value})
        for column, shown in table.base_columns.items():
            if shown.orderable is not False:
                for sort in (column, f"-{column}"):
                    yield variant(name, address, {"sort": sort})


def variant(name: str, address: str, asked: dict[str, str]) -> Page:
    (said,) = (f"{key}={value}" for key, value in asked.items())
    who = SUPERUSER if name.startswith("preview") else VIEWER
    return Page(f"{name}: {said}", f"{address}?{urlencode(asked)}", who=who, has_rows=False)


def values_of(page: str, field: str) -> list[str]:
    """What may be asked of a field of the filter on a page: all its choices, or a text that finds some and one that
    finds nothing; nothing where there is no such field."""
    if choices := re.search(rf'<select name="{field}".*?</select>', page, re.DOTALL):
        return [unescape(value) for value in re.findall(r'<option value="([^"]+)"', choices[0])]
    if typed := re.search(rf'<input type="([a-z]+)" name="{field}"', page):
        return [f"{NOW - timedelta(days=2):%Y-%m-%d}"] if typed[1] == "date" else ["anna", "nobody-goes-by-this"]
    return []


def files() -> list[Page]:
    """What can be taken along whole."""
    return [
        Page("users, CSV", f"{HOME}users/?format=csv"),
        Page("users, JSON", f"{HOME}users/?format=json"),
        Page("users, to import again", f"{HOME}users/export.csv"),
        Page("history, CSV", f"{HOME}migrations/?format=csv"),
        Page("history, JSON", f"{HOME}migrations/?format=json"),
        Page("audit, CSV", f"{HOME}audit/export.csv"),
        Page("audit, JSON", f"{HOME}audit/?format=json"),
        Page("meetings that need a person, CSV", f"{HOME}left/export.csv"),
    ]
