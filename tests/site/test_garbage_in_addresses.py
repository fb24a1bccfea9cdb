"""Whatever stands in an address or a form, the answer is a page that says so, never the error page.

All together takes minutes, so each test of the suite asks every so many of what there is, another selection for each
page; ``make nightly`` asks for everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from axes.models import AccessAttempt, AccessLog
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import OperationalError, connection
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.urls import URLResolver, get_resolver, reverse
from django.utils import timezone

from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import Heartbeat, Run
from tenants_app.models import ConferencingUser
from tests.support.by_day import some
from tests.support.chat_rows import chat_of_pages
from tests.support.commands import invitation
from tests.support.pages import key_of, shown
from tests.support.remembered import Remembered
from tests.support.rollouts import a_rollout, a_wave, members
from tests.support.visitors import signed_in

VALUES = [
    "",
    "x",
    "-1",
    str(2**31),
    str(2**63),
    "9" * 5000,
    "a%00b",
    "%ED%A0%80",  # a surrogate
    "%FF",
    "%C2%B2",  # a superscript two: a digit that is no number
    "NaN",
    "1e400",
    "2026-02-30",
    "0000-01-01T00:00:00%2B99:99",
    "-.1.x",
    "(((%25",
]
OF_LOOKUPS = ["x(((", str(2**63), "%00"]
OF_FIELDS = ["x", "9" * 5000, "a%00b"]
PARAMETERS = ["q", "o", "p", "all", "e", "_facets", "_popup", "_to_field", "_changelist_filters", "nothing"]


def answered(client: Client, address: str) -> HttpResponse:
    client.raise_request_exception = False
    return client.get(address)


def assert_no_error_page(client: Client, addresses: Iterable[str]) -> None:
    answers = [(answered(client, address).status_code, address[:200]) for address in addresses]
    assert answers
    assert not [(status, address) for status, address in answers if status >= 500]


@pytest.fixture
def root(remembered: Remembered) -> Client:
    remembered.make("root", lambda: User.objects.create_superuser("root", "root@contoso.com", "x"))
    return signed_in("root", remembered)


@pytest.fixture
def rows(anna: ConferencingUser, make_run: Callable[..., Run], root: Client, remembered: Remembered) -> None:
    """A row of most models that the admin shows."""
    remembered.make("rows of the admin", lambda: make_rows(anna, make_run))


def make_rows(anna: ConferencingUser, make_run: Callable[..., Run]) -> None:
    make_run(anna, meetings=[("Weekly", "Succeeded", ""), ("Monthly", "Failed", "unreadable-calendar-object")])
    EmbeddedMailbox(anna).store([("m", invitation(anna, "m"))])
    Heartbeat.objects.create(name="cluster", at=timezone.now())
    Group.objects.create(name="people")
    for model in (AccessAttempt, AccessLog):
        more = {"failures_since_start": 1} if model is AccessAttempt else {}
        model.objects.create(
            username="x", ip_address="192.0.2.1", user_agent="x", http_accept="", path_info="/", **more
        )
    Client().post("/accounts/login/", {"username": "x", "password": "y"})


def page_of(model: type[Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def lookups(model: type[Model], model_admin: admin.ModelAdmin[Any]) -> Iterator[str]:
    """Names of filters: those that the page offers, one field of each kind in every way, and what is none."""
    for name in model_admin.list_filter:
        yield from (f"{name}__exact", f"{name}__id__exact", f"{name}__isnull")
    for name in {type(field): field.name for field in model._meta.get_fields()}.values():
        yield from (name, *(f"{name}__{lookup}" for lookup in ("gte", "isnull", "in", "range", "regex", "year")))
    if model_admin.date_hierarchy:
        yield from (f"{model_admin.date_hierarchy}__{part}" for part in ("year", "month", "day"))
    yield from ("pk__in", "__", "x__y", "tenant__users__upn__regex", "a%00b", "%ED%A0%80")


ModelAdmin = admin.ModelAdmin[Any]
ADMINS = sorted(admin.site._registry.items(), key=lambda pair: pair[0]._meta.label)
PLACES = {model: place for place, (model, _) in enumerate(ADMINS)}
BY_MODEL = pytest.mark.parametrize(("model", "model_admin"), ADMINS, ids=[m._meta.label for m, _ in ADMINS])
pytestmark = pytest.mark.filterwarnings("ignore:DateTimeField .* received a naive datetime:RuntimeWarning")


@BY_MODEL
def test_the_lists_of_the_admin(
    rows: None, root: Client, model: type[Model], model_admin: admin.ModelAdmin[Any]
) -> None:
    page = page_of(model, "changelist")
    filters = lookups(model, model_admin)
    queries = [f"{name}={value}" for name in PARAMETERS for value in VALUES]
    queries += [f"{name}={value}" for name in filters for value in OF_LOOKUPS]
    assert_no_error_page(root, (f"{page}?{query}" for query in some(queries, 41, PLACES[model])))


@BY_MODEL
def test_the_rows_of_the_admin(
    rows: None, root: Client, model: type[Model], model_admin: admin.ModelAdmin[Any]
) -> None:
    base = page_of(model, "changelist")
    keys = [*filter(None, VALUES), "_00", "_ZZ", "1/x", "1%2F..%2F2"]
    addresses = [f"{base}{key}/{page}/" for key in keys for page in ("change", "delete", "history")]
    row = model._base_manager.first()
    pages = [f"{base}add/", *([] if row is None else [page_of(model, "change", row.pk)])]
    fields = {type(field): field.name for field in model._meta.get_fields()}.values()
    names = ["_popup", "_to_field", "_changelist_filters", *fields]
    addresses += [f"{page}?{name}={value}" for page in pages for name in names for value in OF_LOOKUPS]
    assert_no_error_page(root, some(addresses, 31, PLACES[model]))


@BY_MODEL
def test_the_forms_of_the_admin(
    rows: None, root: Client, model: type[Model], model_admin: admin.ModelAdmin[Any]
) -> None:
    root.raise_request_exception = False
    row = model._base_manager.first()
    base = page_of(model, "changelist")
    values = [unquote(value) for value in OF_FIELDS]
    posts: list[tuple[str, dict[str, str]]] = []
    for page in [f"{base}add/", *([] if row is None else [page_of(model, "change", row.pk)])]:
        looked = root.get(page)
        form = shown(looked) if looked.status_code == 200 else {}
        posts += [(page, {**form, name: value}) for name in form for value in values]
    for value in values:
        for action in ("delete_selected", value):
            chosen = {"action": action, "_selected_action": value, "index": value, "select_across": value}
            posts += [(base, chosen), (base, {**chosen, "index": "0", "post": "yes"})]
    asked = some(posts, 23, PLACES[model])
    failed = [(page, form) for page, form in asked if root.post(page, form).status_code >= 500]
    assert not failed


def test_the_other_addresses_of_the_admin(rows: None, root: Client) -> None:
    names = ["app_label", "model_name", "field_name", "term", "page"]
    good = {"app_label": "tenants_app", "model_name": "role", "field_name": "account", "term": "x"}
    complete = [
        f"/admin/autocomplete/?{'&'.join(f'{key}={value if key == name else good.get(key, 1)}' for key in names)}"
        for name in names
        for value in VALUES
    ]
    others = [
        address.format(value)
        for address in (
            "/admin/r/{}/1/",
            "/admin/r/7/{}/",
            "/admin/{}/",
            "/admin/auth/user/{}/password/",
            "/admin/?x={}",
        )
        for value in VALUES
    ]
    assert_no_error_page(root, some([*complete, *others], 7))


def test_a_forged_count_of_rows_in_the_admin_makes_none(rows: None, root: Client, anna: ConferencingUser) -> None:
    page = page_of(ConferencingUser, "change", anna.pk)
    before = list(anna.conference_ids.values())
    answer = root.post(page, {**shown(root.get(page)), "conference_ids-TOTAL_FORMS": "7"})

    assert answer.status_code in {200, 302}
    assert list(anna.conference_ids.values()) == before


def test_an_error_of_the_database_is_not_taken_for_a_bad_address(root: Client) -> None:
    def refuse(*_: Any) -> None:
        if "auth_group" in str(_[1]):
            raise OperationalError("database is locked")
        return _[0](*_[1:])

    root.raise_request_exception = False
    with connection.execute_wrapper(refuse):
        assert root.get("/admin/auth/group/").status_code == 500


def test_what_the_admin_did_not_understand_can_be_found_in_the_log(
    root: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be a fault of the service just as well as garbage."""

    def is_broken(*_: Any) -> None:
        raise AttributeError("none has it")

    monkeypatch.setattr(admin.ModelAdmin, "get_queryset", is_broken)

    assert root.get("/admin/auth/group/").status_code == 404
    assert "in is_broken" in caplog.text


PUBLIC = ["/{}/", "/accounts/{}/", "/accounts/sign-in-link/{}/x/", "/accounts/sign-in-link/MQ/{}/", "/static/{}"]
PUBLIC += ["/chat-answer/{}/"]
QUERIES = ["page", "sort", "next", "unsaved", "to", "by", "replacement", "bridge", "number", "provider", "q"]
QUERIES += ["who", "user", "state", "outcome", "action", "channel", "out_of_date", "created_from", "at_to", "%00"]
QUERIES += ["organizer", "subject", "day", "conference_id", "uid", "accepted"]


OF_CHAT = {
    "/chat/archives/given/": "reading",
    "/chat/archives/evidence/": "evidence",
    "/chat/archives/": "archive",
    "/chat/targets/": "chat_target",
    "/chat/plans/": "chat_room",
}
"""Whose key ``<key:pk>`` is below each of these addresses."""


def routes_below_a_tenant() -> list[str]:
    """Such as ``/<slug:slug>/users/<upn:upn>/``."""
    return [
        f"/{resolver.pattern}{page.pattern}"
        for resolver in get_resolver().url_patterns
        if isinstance(resolver, URLResolver) and "slug" in resolver.pattern.converters
        for page in resolver.url_patterns
    ]


@pytest.fixture
def keys(rows: None, anna: ConferencingUser) -> dict[str, str]:
    """What stands for each part of a route, where nothing is wrong with it."""
    rollout = a_rollout(anna.tenant)
    (member,) = members(a_wave(rollout), [anna])
    keys = {"slug": "contoso", "upn": anna.upn, "uid": key_of("m"), "name": "MeetingMigrationEnabled", "kind": "move"}
    keys |= {"code": "unreadable-calendar-object", "meeting_pk": "1", "language": "en"}
    keys |= {"n": "1", "member": str(member.pk), "member_pk": str(member.pk), "check": str(rollout.checks.all()[0].pk)}
    keys |= {"correlation_id": str(Run.objects.get().correlation_id), "pk": str(anna.bridge_id), "number_pk": "1"}
    chat = chat_of_pages(anna.tenant, "x")
    keys |= {below: str(chat[name]) for below, name in OF_CHAT.items()}
    return keys | {"number": str(chat["chat"]), "key": "backups"}


def filled(route: str, keys: dict[str, str]) -> str:
    """The route with what stands for each of its parts."""
    below = next((below for below in OF_CHAT if below in route), "pk")
    return re.sub(r"<\w+:(\w+)>", lambda match: keys[below if match[1] == "pk" else match[1]], route)


@pytest.mark.parametrize("signed_in", [True, False])
def test_the_addresses_of_the_service(alice: Client, keys: dict[str, str], signed_in: bool) -> None:
    addresses = [address.format(value) for address in PUBLIC for value in VALUES]
    for route in routes_below_a_tenant():
        for name in keys if signed_in else ["slug"]:
            part = re.compile(rf"<\w+:{name}>")
            others = filled(part.sub("\0", route), keys)
            if "\0" in others:
                addresses += [others.replace("\0", value) for value in VALUES if value]
    assert_no_error_page(alice if signed_in else Client(), some(addresses, 11))


def test_the_filters_of_the_service(alice: Client, keys: dict[str, str]) -> None:
    pages = [filled(route, keys) for route in routes_below_a_tenant()]
    answered_pages = [page for page in ["/", "/accounts/login/", *pages] if answered(alice, page).status_code == 200]
    assert len(answered_pages) > 10
    queries = ["&".join(f"{name}={value}" for name in QUERIES) for value in VALUES if len(value) < 100]
    assert_no_error_page(alice, some((f"{page}?{query}" for page in answered_pages for query in queries), 13))


def test_the_forms_of_the_service(alice: Client, keys: dict[str, str]) -> None:
    """Every address that takes a form, with each field of the page above it, and with none."""
    alice.raise_request_exception = False
    pages = [filled(route, keys) for route in routes_below_a_tenant()]
    posts = []
    for page in pages:
        looked = alice.get(page)
        form = shown(looked) if looked.status_code == 200 and "text/html" in looked["Content-Type"] else {}
        for name in form or {"nothing": ""}:
            posts += [(page, {**form, name: unquote(value)}) for value in OF_FIELDS]
    failed = [(page, form) for page, form in some(posts, 13) if alice.post(page, form).status_code >= 500]
    assert not failed
