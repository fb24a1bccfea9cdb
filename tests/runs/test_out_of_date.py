"""Who is out of date (R36): whose invitations do not say what their settings ask for, and nobody else.

What invitations should say is asked of the block that MMS would write, so that the fingerprint by which the database
finds the users cannot drift away from it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection  # noqa: F401 - for the condition of a skipped test
from django.db.models import Model

from migrations_app.demo import invitations as demo
from migrations_app.failures import Failure
from migrations_app.invitations.content import InvitationSettings
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import Run
from migrations_app.rewriting.block import location_label, render_html, render_text
from migrations_app.rewriting.labels import language_of
from migrations_app.runs import outcomes, queue, worker
from migrations_app.runs.out_of_date import count_out_of_date, users_out_of_date
from tenants_app import fingerprints
from tenants_app.changes.bridges import describe_number, register_number, set_bridge, set_default_number, set_leaving
from tenants_app.changes.conference_ids import NEW_CONFERENCE_ID
from tenants_app.changes.tenants import change_tenant, create_tenant, renew_directory_key
from tenants_app.changes.users import change_user, create_user, mark_up_to_date
from tenants_app.models import Bridge, ConferenceId, ConferencingUser, ServiceNumber, Tenant
from tests.support.actors import ACTOR
from tests.support.meetings import body_of, invite, logical_lines, migrate
from tests.support.rollouts import a_deployment
from tests.support.taken_back import taken_back
from tests.support.teams import teams_connection

MakeUser = Callable[..., ConferencingUser]
MakeUsers = Callable[..., list[ConferencingUser]]

# --- what shows in invitations, and what does not -----------------------------------------------------


class World:
    """Contoso with users who dial in in different ways."""

    def __init__(self, tenant: Tenant, old_bridge: Bridge, new_bridge: Bridge, make_users: MakeUsers) -> None:
        self.tenant, self.old_bridge, self.new_bridge = tenant, old_bridge, new_bridge
        self.default = old_bridge.numbers.get()
        self.tacoma = register_number(old_bridge, "+12535550122", "toll", ACTOR, city="Tacoma")
        self.free = register_number(old_bridge, "+18005550122", "toll-free", ACTOR, country="United States")
        toll_free = new_bridge.numbers.get(kind="toll-free")
        users = make_users(
            {
                "anna": {},
                "bruno": {"conference_id_type": "private"},
                "clara": {"bridge": new_bridge, "toll_free_number": toll_free},
                "dora": {"audio_conferencing_license": False},
                "elena": {"language": "es-ES", "sip_address": "elena@example.org"},
                "fay": {"toll_number": self.tacoma},
                "gino": {"language": "de-DE", "audio_conferencing_enabled": False},
            }
        )
        for user in users:
            if user.upn.partition("@")[0] in WITH_OWN_BLOCKS:
                fingerprints.note_own_blocks(user)

    def user(self, name: str) -> ConferencingUser:
        return ConferencingUser.objects.select_related("tenant", "bridge").get(upn=f"{name}@contoso.com")

    def tenant_now(self, **values: Any) -> None:
        change_tenant(self.tenant, ACTOR, **values)

    def user_now(self, name: str, **values: Any) -> None:
        change_user(self.user(name), ACTOR, **values)

    def say(self) -> dict[str, Any]:
        """What the invitations of each user should print, in all its forms."""
        return {user.upn.partition("@")[0]: block_of(user) for user in self.tenant.users.all()}


def block_of(user: ConferencingUser) -> Any:
    fresh = ConferencingUser.objects.select_related("tenant", "bridge", "toll_number", "toll_free_number").get(
        pk=user.pk
    )
    try:
        settings = InvitationSettings(fresh)
    except Failure as failure:
        return failure.code
    block = replace(settings.block, join_url="https://meet.contoso.com/kept")  # it stays as it is (R40)
    if settings.gives_private_ids:
        block = replace(block, conference_id="1111111")
    if not fresh.has_own_blocks:
        block = replace(block, language="en", help_url="", legal_url="", logo_url="", footer_text="")
    return render_text(block), render_html(block), location_label(language_of(block.language))


def names(users: Collection[ConferencingUser]) -> set[str]:
    return {user.upn.partition("@")[0] for user in users}


def out_of_date(tenant: Tenant) -> set[str]:
    return names(list(users_out_of_date(tenant)))


@pytest.fixture
def world(tenant: Tenant, old_bridge: Bridge, new_bridge: Bridge, make_users: MakeUsers) -> World:
    return World(tenant, old_bridge, new_bridge, make_users)


NOBODY: set[str] = set()
WITH_OWN_BLOCKS = {"anna", "clara", "dora", "elena", "gino"}
DIAL_IN = {"anna", "bruno", "clara", "elena", "fay"}
BY_DEFAULT_NUMBER = {"anna", "bruno", "elena"}
ON_OLD_BRIDGE = {"anna", "bruno", "dora", "elena", "fay", "gino"}
EVERYBODY = ON_OLD_BRIDGE | {"clara"}

Change = Callable[[World], Any]


def tenant_set(**values: Any) -> Change:
    return lambda world: world.tenant_now(**values)


def user_set(name: str, **values: Any) -> Change:
    return lambda world: world.user_now(name, **values)


CHANGES: dict[str, tuple[Change, set[str]]] = {
    # tenant
    "Tenant.name": (tenant_set(name="Contoso Ltd"), NOBODY),
    "Tenant.domain": (tenant_set(domain="contoso.org"), NOBODY),
    "Tenant.time_zone": (tenant_set(time_zone="Europe/Rome"), NOBODY),
    "Tenant.meeting_url": (tenant_set(meeting_url="https://join.contoso.com"), NOBODY),
    "Tenant.meeting_service": (tenant_set(meeting_service="none"), NOBODY),
    "Tenant.teams_connection": (
        lambda world: world.tenant_now(teams_connection=teams_connection(world.tenant)),
        NOBODY,
    ),
    "Tenant.meeting_migration_enabled": (tenant_set(meeting_migration_enabled=False), NOBODY),
    "Tenant.automatically_migrate_user_meetings": (tenant_set(automatically_migrate_user_meetings=False), NOBODY),
    "Tenant.automatically_replace_acp_provider": (tenant_set(automatically_replace_acp_provider=True), NOBODY),
    "Tenant.same_sequence": (tenant_set(same_sequence=True), NOBODY),
    "Tenant.notify_cancelled": (tenant_set(notify_cancelled=True), NOBODY),
    "Tenant.dial_in_directory": (tenant_set(dial_in_directory=True), NOBODY),
    "Tenant.directory_key_hash": (lambda world: renew_directory_key(world.tenant, ACTOR), NOBODY),
    "Tenant.attendee_limit": (tenant_set(attendee_limit=3), NOBODY),
    "Tenant.settling_time": (tenant_set(settling_time=60), NOBODY),
    "Tenant.second_factor_required": (tenant_set(second_factor_required=True), NOBODY),
    "Tenant.local_numbers_url": (tenant_set(local_numbers_url="https://contoso.com/numbers"), DIAL_IN),
    "Tenant.local_numbers_url, none": (tenant_set(local_numbers_url=""), DIAL_IN),
    "Tenant.help_url": (tenant_set(help_url="https://contoso.com/help"), WITH_OWN_BLOCKS),
    "Tenant.legal_url": (tenant_set(legal_url="https://contoso.com/legal"), WITH_OWN_BLOCKS),
    "Tenant.logo_url": (tenant_set(logo_url="https://contoso.com/logo.png"), WITH_OWN_BLOCKS),
    "Tenant.footer_text": (tenant_set(footer_text="All meetings are recorded."), WITH_OWN_BLOCKS),
    "Tenant.footer_text, blank": (tenant_set(footer_text=" \r\n\n "), NOBODY),
    # user
    "ConferencingUser.sip_address": (user_set("anna", sip_address="anna.rossi@contoso.com"), NOBODY),
    "ConferencingUser.sip_address, domain": (user_set("anna", sip_address="anna@example.org"), NOBODY),
    "ConferencingUser.meeting_service": (user_set("anna", meeting_service="none"), NOBODY),
    "ConferencingUser.display_name": (user_set("anna", display_name="Anna Bianchi"), NOBODY),
    "ConferencingUser.language, es": (user_set("anna", language="es"), {"anna"}),
    "ConferencingUser.language, es-MX": (user_set("anna", language="es-MX"), {"anna"}),
    "ConferencingUser.language, it-CH": (user_set("anna", language="it-CH"), {"anna"}),
    "ConferencingUser.language, IT": (user_set("anna", language="IT"), {"anna"}),
    "ConferencingUser.language, est": (user_set("anna", language="est"), NOBODY),
    "ConferencingUser.language, ita": (user_set("anna", language="ita-IT"), NOBODY),
    "ConferencingUser.language, fr for de": (user_set("gino", language="fr"), NOBODY),
    "ConferencingUser.language, region": (user_set("elena", language="ES-mx"), NOBODY),
    "ConferencingUser.language, it for es": (user_set("elena", language="it-IT"), {"elena"}),
    "ConferencingUser.language, without own blocks": (user_set("fay", language="it-IT"), NOBODY),
    "ConferencingUser.hosting": (user_set("anna", hosting="on-premises"), {"anna"}),
    "ConferencingUser.audio_conferencing_license": (user_set("dora", audio_conferencing_license=True), {"dora"}),
    "ConferencingUser.audio_conferencing_license, none": (
        user_set("anna", audio_conferencing_license=False),
        {"anna"},
    ),
    "ConferencingUser.audio_conferencing_license, of no use": (
        user_set("gino", audio_conferencing_license=False),
        NOBODY,
    ),
    "ConferencingUser.audio_conferencing_enabled": (user_set("gino", audio_conferencing_enabled=True), {"gino"}),
    "ConferencingUser.audio_conferencing_enabled, not": (user_set("fay", audio_conferencing_enabled=False), {"fay"}),
    "ConferencingUser.audio_conferencing_enabled, of no use": (
        user_set("dora", audio_conferencing_enabled=False),
        NOBODY,
    ),
    "ConferencingUser.conferencing_provider": (user_set("anna", conferencing_provider="Intercall"), {"anna"}),
    "ConferencingUser.conferencing_provider, unlicensed": (
        user_set("dora", conferencing_provider="Intercall"),
        {"dora"},
    ),
    "ConferencingUser.bridge": (lambda world: world.user_now("anna", bridge=world.new_bridge), {"anna"}),
    "ConferencingUser.bridge, with private IDs": (
        lambda world: world.user_now("bruno", bridge=world.new_bridge),
        {"bruno"},
    ),
    "ConferencingUser.bridge, unlicensed": (lambda world: world.user_now("dora", bridge=world.new_bridge), NOBODY),
    "ConferencingUser.bridge, none": (user_set("anna", bridge=None), {"anna"}),
    "ConferencingUser.conference_id_type": (user_set("anna", conference_id_type="private"), {"anna"}),
    "ConferencingUser.conference_id_type, public": (user_set("bruno", conference_id_type="public"), {"bruno"}),
    "ConferencingUser.conference_id_type, unlicensed": (user_set("dora", conference_id_type="private"), NOBODY),
    "ConferencingUser.toll_number": (lambda world: world.user_now("anna", toll_number=world.tacoma), {"anna"}),
    "ConferencingUser.toll_number, the default": (
        lambda world: world.user_now("anna", toll_number=world.default),
        NOBODY,
    ),
    "ConferencingUser.toll_number, none": (user_set("fay", toll_number=None), {"fay"}),
    "ConferencingUser.toll_free_number": (lambda world: world.user_now("anna", toll_free_number=world.free), {"anna"}),
    "ConferencingUser.toll_free_number, none": (user_set("clara", toll_free_number=None), {"clara"}),
    "ConferencingUser.toll_free_number, unlicensed": (
        lambda world: world.user_now("dora", toll_free_number=world.free),
        NOBODY,
    ),
    "ConferencingUser.deployment": (
        lambda world: world.user_now("anna", deployment=a_deployment(world.tenant, kind="online")),
        NOBODY,
    ),
    # conference ID
    "ConferenceId.digits": (user_set("anna", conference_id=NEW_CONFERENCE_ID), {"anna"}),
    "ConferenceId.digits, given": (user_set("fay", conference_id="7654321"), {"fay"}),
    "ConferenceId.digits, of one with private IDs": (user_set("bruno", conference_id="7654321"), NOBODY),
    "ConferenceId.digits, unlicensed": (user_set("dora", conference_id="7654321"), NOBODY),
    # bridge
    "Bridge.is_default": (
        lambda world: set_bridge(world.tenant, "New bridge", ACTOR, make_default=True),
        NOBODY,
    ),
    "Bridge.provider": (
        lambda world: set_bridge(world.tenant, "Old bridge", ACTOR, provider="Intercall"),
        ON_OLD_BRIDGE,
    ),
    "Bridge.deployment": (
        lambda world: set_bridge(world.tenant, "Old bridge", ACTOR, deployment=a_deployment(world.tenant)),
        NOBODY,
    ),
    # service number
    "ServiceNumber.is_default": (
        lambda world: set_default_number(world.tacoma, ACTOR, reschedule_meetings=False),
        BY_DEFAULT_NUMBER,
    ),
    "ServiceNumber.is_default, with the bridge": (
        lambda world: set_bridge(world.tenant, "Old bridge", ACTOR, default_number=world.tacoma.number),
        BY_DEFAULT_NUMBER,
    ),
    "ServiceNumber.country": (
        lambda world: describe_number(world.default, ACTOR, country="USA", city="Redmond"),
        BY_DEFAULT_NUMBER,
    ),
    "ServiceNumber.city": (
        lambda world: describe_number(world.tacoma, ACTOR, country="", city="Seattle"),
        {"fay"},
    ),
    "ServiceNumber.city, toll-free": (
        lambda world: describe_number(
            world.new_bridge.numbers.get(kind="toll-free"), ACTOR, country="United Kingdom", city="London"
        ),
        {"clara"},
    ),
    "ServiceNumber.number": (
        lambda world: register_number(world.old_bridge, "+15095550133", "toll", ACTOR),
        NOBODY,
    ),
    "ServiceNumber.is_leaving": (lambda world: set_leaving(world.default, True), NOBODY),
}
"""What can be changed, and exactly who is out of date afterwards. A name begins with the field that changes."""

NEVER_CHANGED = {
    "Tenant": {
        *("id", "slug", "created"),
        "mailbox",  # what other mailboxes' invitations say is unknown: tests/mailboxes/test_connections.py
    },
    "ConferencingUser": {
        *("id", "tenant", "user_id", "upn", "created"),
        *("settings_fingerprint", "invitations_fingerprint", "has_own_blocks", "undo_holds"),
        "teams_dial_in",  # what Teams says: tests/meeting_services/test_teams_looks.py
        "mailbox_location",  # says only who migrates: test_r15_…
        "mailbox",  # what another mailbox's invitations say is unknown: tests/mailboxes/test_connections.py
    },
    "Bridge": {
        *("id", "tenant", "name"),
        "conference_ids_from",  # a run cannot always know which ID it prints: test_r43_…
    },
    "ServiceNumber": {"id", "tenant", "bridge", "kind"},
    "ConferenceId": {"id", "bridge", "user", "meeting_uid"},
}
"""Fields that no function of ``tenants_app.changes`` changes by themselves."""


@pytest.mark.parametrize("model", [Tenant, ConferencingUser, Bridge, ServiceNumber, ConferenceId])
def test_r36_every_setting_is_among_the_changes(model: type[Model]) -> None:
    fields = {f"{model.__name__}.{field.name}" for field in model._meta.get_fields() if field.concrete}
    tried = {name.partition(",")[0] for name in CHANGES if name.startswith(f"{model.__name__}.")}
    not_tried = {f"{model.__name__}.{name}" for name in NEVER_CHANGED[model.__name__]}
    assert tried | not_tried == fields
    assert not tried & not_tried


def test_r36_a_change_makes_out_of_date_exactly_whose_block_it_changes(world: World, subtests: pytest.Subtests) -> None:
    before = world.say()
    assert out_of_date(world.tenant) == set()
    for name, (change, expected) in CHANGES.items():
        with subtests.test(name), taken_back():
            change(world)
            after = world.say()
            assert {user for user in after if after[user] != before[user]} == expected
            assert out_of_date(world.tenant) == expected
            assert count_out_of_date(world.tenant).users == len(expected)
            # Computed anew for everybody it is the same as for those who were thought to be concerned.
            computed = dict(world.tenant.users.values_list("pk", "settings_fingerprint"))
            fingerprints.refresh(world.tenant.users.all())
            assert dict(world.tenant.users.values_list("pk", "settings_fingerprint")) == computed


def test_r36_going_back_to_what_invitations_say_makes_up_to_date(world: World) -> None:
    world.tenant_now(footer_text="Hello.", local_numbers_url="https://contoso.com/numbers")
    world.user_now("anna", language="it-IT")
    assert out_of_date(world.tenant) == EVERYBODY
    world.tenant_now(footer_text="", local_numbers_url="https://meet.contoso.com/dialin")
    assert out_of_date(world.tenant) == {"anna"}
    world.user_now("anna", language="en-GB")
    assert out_of_date(world.tenant) == NOBODY


def test_r36_a_footer_that_a_browser_sends_with_other_line_breaks_is_the_same(world: World) -> None:
    world.tenant_now(footer_text="Contoso Ltd\nLondon")
    for user in world.tenant.users.all():
        mark_up_to_date(user, ACTOR)
    before = world.say()
    world.tenant_now(footer_text="Contoso Ltd  \r\nLondon\r\n")
    assert world.say() == before
    assert out_of_date(world.tenant) == NOBODY


def test_r36_another_tenants_settings_are_its_own(world: World) -> None:
    fabrikam = create_tenant(
        ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_url="https://meet.fabrikam.com"
    )
    frank = create_user(fabrikam, ACTOR, upn="frank@fabrikam.com")
    fingerprints.note_own_blocks(frank)
    change_tenant(fabrikam, ACTOR, legal_url="https://fabrikam.com/legal")
    assert out_of_date(world.tenant) == NOBODY
    assert out_of_date(fabrikam) == {"frank"}
    world.tenant_now(help_url="https://contoso.com/help")
    assert out_of_date(fabrikam) == {"frank"}
    assert frank.pk not in users_out_of_date(world.tenant).values_list("pk", flat=True)


# --- users whom MMS does not migrate ------------------------------------------------------------------


def test_r15_a_moved_mailbox_makes_nobody_out_of_date_though_its_user_cannot_be_migrated(world: World) -> None:
    world.user_now("anna", mailbox_location="on-premises")
    assert block_of(world.user("anna")) == "cannot-be-served"
    assert out_of_date(world.tenant) == NOBODY
    world.tenant_now(local_numbers_url="https://contoso.com/numbers")
    assert "anna" in out_of_date(world.tenant)


def test_r16_a_user_on_an_acp_is_out_of_date_when_the_provider_or_what_all_invitations_show_changes(
    world: World, make_user: MakeUser
) -> None:
    make_user("hugo", conferencing_provider="Intercall", audio_conferencing_license=False)
    world.user_now("hugo", audio_conferencing_license=True)  # R14 is off: the ACP's numbers stay
    world.user_now("hugo", toll_number=world.tacoma, conference_id="7654321")
    assert out_of_date(world.tenant) == NOBODY
    world.user_now("hugo", conferencing_provider="Premiere")
    assert out_of_date(world.tenant) == {"hugo"}
    world.user_now("hugo", conferencing_provider="Intercall")
    assert out_of_date(world.tenant) == NOBODY
    world.user_now("hugo", conferencing_provider="")
    assert out_of_date(world.tenant) == {"hugo"}


def test_r17_a_user_moved_on_premises_stays_out_of_date_until_they_are_back_or_marked(world: World) -> None:
    world.user_now("anna", hosting="on-premises")
    assert out_of_date(world.tenant) == {"anna"}
    world.user_now("anna", hosting="online")
    assert out_of_date(world.tenant) == NOBODY
    world.user_now("anna", hosting="on-premises")
    assert mark_up_to_date(world.user("anna"), ACTOR)
    assert out_of_date(world.tenant) == NOBODY
    assert not mark_up_to_date(world.user("anna"), ACTOR)


# --- what a run makes of it ---------------------------------------------------------------------------


def is_out_of_date(user: ConferencingUser) -> bool:
    return ConferencingUser.objects.filter(pk=user.pk).out_of_date().exists()


def invited(user: ConferencingUser) -> set[str]:
    """The numbers that the user's invitations may show."""
    return set(user.invited_numbers.values_list("number__number", flat=True))


def work() -> Run:
    """Work the run that is due; as it ended."""
    run = queue.claim()
    assert run is not None
    worker.work_run(run)
    run.refresh_from_db()
    return run


def text_of(user: ConferencingUser, uid: str) -> str:
    return "\n".join(logical_lines(body_of(user, uid)))


def due_again() -> None:
    Run.objects.filter(state="Pending").update(due_at=Run.objects.latest("pk").created)


def renumber(user: ConferencingUser, digits: str) -> None:
    """Change what the user's invitations should say without starting a run."""
    change_user(user, ACTOR, is_data_fix=True, conference_id=digits)


OLD, NEW = "+14255550100", "+442079460123"


def test_r36_a_new_user_is_up_to_date(make_user: MakeUser) -> None:
    user = make_user("anna.rossi")
    unlicensed = make_user("bruno.costa", audio_conferencing_license=False)
    assert not is_out_of_date(user)
    assert (invited(user), invited(unlicensed)) == ({OLD}, set())


def test_r36_a_run_that_succeeds_makes_up_to_date(anna: ConferencingUser, new_bridge: Bridge) -> None:
    invite(anna)
    change_user(anna, ACTOR, bridge=new_bridge)
    assert is_out_of_date(anna)
    assert invited(anna) == {OLD}
    assert work().state == "Succeeded"
    assert not is_out_of_date(anna)
    assert invited(anna) == {NEW}


def test_r36_a_run_without_a_meeting_makes_up_to_date(anna: ConferencingUser, new_bridge: Bridge) -> None:
    change_user(anna, ACTOR, bridge=new_bridge)
    assert work().total_meetings == 0
    assert not is_out_of_date(anna)
    assert invited(anna) == {NEW}


def test_r36_losing_the_phone_part_leaves_no_number(anna: ConferencingUser) -> None:
    invite(anna)
    migrate(anna)
    change_user(anna, ACTOR, audio_conferencing_license=False)
    assert invited(anna) == {OLD}
    work()
    assert not is_out_of_date(anna)
    assert invited(anna) == set()


def test_r36_a_run_that_fails_does_not_make_up_to_date(anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch) -> None:
    invite(anna)
    renumber(anna, "7654321")

    def refuse(*_: object) -> None:
        raise Failure("mailbox-sign-in-refused")

    monkeypatch.setattr(EmbeddedMailbox, "list_candidates", refuse)
    assert migrate(anna).state == "Failed"
    assert is_out_of_date(anna)
    assert invited(anna) == {OLD}


@pytest.fixture
def breaks_down(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, str], None]:
    """Makes the mailbox fail once when so many batches of one meeting have been read."""

    def arrange(batches: int, code: str) -> None:
        read, seen = EmbeddedMailbox.read, []

        def fail_once(mailbox: EmbeddedMailbox, uids: Any) -> Any:
            seen.append(uids)
            if len(seen) == batches + 1:
                raise Failure(code)
            return read(mailbox, uids)

        monkeypatch.setattr(outcomes, "BATCH", 1)
        monkeypatch.setattr(EmbeddedMailbox, "read", fail_once)

    return arrange


Breaks = Callable[[int, str], None]


def test_r36_a_run_that_fails_half_way_leaves_out_of_date_with_the_numbers_of_both(
    anna: ConferencingUser, new_bridge: Bridge, breaks_down: Breaks
) -> None:
    for number in range(2):
        invite(anna, number)
    change_user(anna, ACTOR, bridge=new_bridge)
    breaks_down(1, "mailbox-sign-in-refused")
    assert work().state == "Failed"
    assert is_out_of_date(anna)
    assert invited(anna) == {OLD, NEW}
    # What the invitations said before is not what all of them say any more.
    change_user(anna, ACTOR, bridge=anna.bridge)
    assert is_out_of_date(anna)
    work()
    assert not is_out_of_date(anna)
    assert invited(anna) == {OLD}


def test_r36_a_retry_that_succeeds_makes_up_to_date(
    anna: ConferencingUser, new_bridge: Bridge, breaks_down: Breaks
) -> None:
    for number in range(2):
        invite(anna, number)
    change_user(anna, ACTOR, bridge=new_bridge)
    breaks_down(1, "mailbox-unavailable")
    assert work().state == "Pending"
    assert is_out_of_date(anna)
    due_again()
    assert work().state == "Succeeded"
    assert not is_out_of_date(anna)
    assert invited(anna) == {NEW}


@pytest.mark.parametrize("was_current", [False, True])
def test_r36_a_retry_with_other_settings_than_the_first_attempts_leaves_out_of_date(
    anna: ConferencingUser, breaks_down: Breaks, was_current: bool
) -> None:
    """Also where the first attempt had nothing to write, because that meeting said what was asked for then."""
    uids = [invite(anna, number)[0] for number in range(2)]
    if was_current:
        migrate(anna)
    else:
        renumber(anna, "2345678")
    breaks_down(1, "mailbox-unavailable")
    assert migrate(anna).state == "Pending"
    renumber(anna, "7654321")
    due_again()
    assert work().state == "Succeeded"
    said = ["7654321" in text_of(anna, uid) for uid in uids]
    assert sorted(said) == [False, True]
    assert is_out_of_date(anna)
    migrate(anna)
    assert not is_out_of_date(anna)


def test_r36_settings_that_were_others_only_in_between_leave_out_of_date_too(
    anna: ConferencingUser, breaks_down: Breaks
) -> None:
    for number in range(3):
        invite(anna, number)
    breaks_down(1, "mailbox-unavailable")
    migrate(anna)
    renumber(anna, "7654321")
    due_again()
    breaks_down(1, "mailbox-unavailable")
    assert work().succeeded_meetings == 2
    renumber(anna, anna.conference_id)
    due_again()
    assert work().state == "Succeeded"
    assert is_out_of_date(anna)


def test_r36_a_retry_with_other_settings_after_nothing_was_written_makes_up_to_date(
    anna: ConferencingUser, breaks_down: Breaks
) -> None:
    invite(anna)
    invite(anna, 1, demo.past_meeting)
    breaks_down(0, "mailbox-unavailable")
    assert migrate(anna).skipped_meetings == 1
    renumber(anna, "7654321")
    due_again()
    assert work().state == "Succeeded"
    assert not is_out_of_date(anna)


@pytest.mark.parametrize("is_data_fix", [True, False])
def test_r36_a_change_during_a_run_leaves_out_of_date(
    anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch, is_data_fix: bool
) -> None:
    """Whether it starts another run (R4) or none."""
    uid, _ = invite(anna)
    read = EmbeddedMailbox.read

    def meanwhile(mailbox: EmbeddedMailbox, uids: Any) -> Any:
        change_user(anna, ACTOR, is_data_fix=is_data_fix, conference_id="7654321")
        return read(mailbox, uids)

    monkeypatch.setattr(EmbeddedMailbox, "read", meanwhile)
    assert migrate(anna).state == "Succeeded"
    monkeypatch.undo()
    assert is_out_of_date(anna)
    if not Run.objects.filter(state="Pending").exists():
        migrate(anna)
    else:
        work()
    assert "7654321" in text_of(anna, uid)
    assert not is_out_of_date(anna)


def test_r36_a_data_fix_leaves_out_of_date(anna: ConferencingUser, new_bridge: Bridge) -> None:
    (consequence,) = change_user(anna, ACTOR, is_data_fix=True, bridge=new_bridge)
    assert not consequence.starts_run
    assert is_out_of_date(anna)


def test_r13_what_a_switch_kept_from_starting_leaves_out_of_date(anna: ConferencingUser, new_bridge: Bridge) -> None:
    change_tenant(anna.tenant, ACTOR, automatically_migrate_user_meetings=False)
    (consequence,) = change_user(anna, ACTOR, bridge=new_bridge)
    assert "AutomaticallyMigrateUserMeetings is off" in consequence.sentence
    assert is_out_of_date(anna)


def test_r36_an_administrators_word_makes_up_to_date_with_the_numbers_of_now(
    anna: ConferencingUser, new_bridge: Bridge
) -> None:
    change_user(anna, ACTOR, mailbox_location="on-premises", bridge=new_bridge)
    assert invited(anna) == {OLD}
    assert mark_up_to_date(anna, ACTOR)
    assert not is_out_of_date(anna)
    assert invited(anna) == {NEW}


# --- numbers that invitations may show (R35) ----------------------------------------------------------


def test_r35_numbers_are_added_with_the_first_invitation_that_shows_them(
    anna: ConferencingUser, new_bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    invite(anna)
    change_user(anna, ACTOR, bridge=new_bridge, toll_free_number=new_bridge.numbers.get(kind="toll-free"))
    seen = []
    judge = worker._Attempt._judge

    def look(migration: Any) -> None:
        seen.append(invited(anna))
        judge(migration)

    monkeypatch.setattr(worker._Attempt, "_judge", look)
    work()
    assert seen == [{OLD, NEW, "+448081570123"}]
    assert invited(anna) == {NEW, "+448081570123"}


def with_remark(invitation: bytes, remark: str) -> bytes:
    return invitation.replace(b"\r\nSUMMARY", b"\r\nCOMMENT:" + remark.encode() + b"\r\nSUMMARY", 1)


LEFT = {
    "needs-review": demo.damaged_frame,
    "pasted-block": demo.pasted_block,
    "too-many-attendees": demo.too_large,
}


@pytest.mark.parametrize("reason", LEFT)
@pytest.mark.parametrize("is_shown", [True, False])
def test_r35_a_meeting_that_is_left_keeps_the_number_if_it_shows_it(
    anna: ConferencingUser, new_bridge: Bridge, reason: str, is_shown: bool
) -> None:
    remark = "By phone: +1 425-555-0100" if is_shown else "By video"
    invite(anna, build=lambda meeting: with_remark(LEFT[reason](meeting), remark))
    invite(anna, 1)
    change_user(anna, ACTOR, bridge=new_bridge)
    run = work()
    assert sorted(run.results.values_list("outcome", "code")) == [("Skipped", reason), ("Succeeded", "")]
    assert invited(anna) == ({OLD, NEW} if is_shown else {NEW})
    assert not is_out_of_date(anna)


def test_r35_a_number_that_was_kept_is_gone_with_the_run_that_finds_it_nowhere(
    anna: ConferencingUser, new_bridge: Bridge
) -> None:
    invite(
        anna,
        build=lambda meeting: demo.too_large(meeting).replace(b"\r\nSUMMARY", b"\r\nCOMMENT:4255550100\r\nSUMMARY"),
    )
    change_user(anna, ACTOR, bridge=new_bridge)
    work()
    assert invited(anna) == {OLD, NEW}
    change_tenant(anna.tenant, ACTOR, attendee_limit=5000)
    anna.calendar_objects.all().delete()
    migrate(anna)
    assert invited(anna) == {NEW}


# --- at any number of users ---------------------------------------------------------------------------


def test_r36_it_counts_in_two_questions_by_an_index(
    world: World, django_assert_num_queries: Any, django_assert_max_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        assert count_out_of_date(world.tenant).users == 0
    world.tenant_now(help_url="https://contoso.com/help")
    with django_assert_max_num_queries(2):
        assert count_out_of_date(world.tenant).users == len(WITH_OWN_BLOCKS)


@pytest.mark.skipif(
    "connection.vendor == 'postgresql'",
    reason="PostgreSQL plans by statistics, which the few rows of a test do not have",
)
def test_r36_the_database_finds_them_by_the_index_of_their_own(world: World) -> None:
    for found in (users_out_of_date(world.tenant), users_out_of_date(world.tenant).order_by().values("pk")):
        assert "USING INDEX users_out_of_date " in found.explain()


def test_r36_it_says_how_many_have_a_run_under_way(world: World) -> None:
    world.tenant_now(help_url="https://contoso.com/help")
    none = count_out_of_date(world.tenant)
    world.user_now("anna", bridge=world.new_bridge)
    world.user_now("bruno", bridge=world.new_bridge)
    some = count_out_of_date(world.tenant)
    work()
    after = count_out_of_date(world.tenant)
    assert (none.users, none.with_run, none.under_way) == (5, 0, "")
    assert (some.users, some.with_run) == (6, 2)
    assert some.under_way == "2 of them have a run pending or in progress."
    assert (after.users, after.with_run) == (5, 1)
    assert after.sentence == "5 users are out of date: their invitations do not say what their settings ask for."


# --- blocks that MMS wrote ----------------------------------------------------------------------------


def test_r36_texts_count_from_the_first_block_on_that_mms_writes(anna: ConferencingUser) -> None:
    told = []
    for text in ("One", "Two"):
        change_tenant(anna.tenant, ACTOR, footer_text=text)
        told.append(is_out_of_date(anna))
    fingerprints.note_own_blocks(anna)
    told.append(is_out_of_date(anna))
    change_tenant(anna.tenant, ACTOR, footer_text="Three")
    told.append(is_out_of_date(anna))
    change_tenant(anna.tenant, ACTOR, footer_text="Two")
    told.append(is_out_of_date(anna))

    assert told == [False, False, False, True, False]


def test_r36_who_is_out_of_date_stays_so_with_the_first_block_that_mms_writes(anna: ConferencingUser) -> None:
    first = anna.conference_id
    renumber(anna, "7654321")
    change_tenant(anna.tenant, ACTOR, footer_text="Other words")
    fingerprints.note_own_blocks(anna)
    was = is_out_of_date(anna)
    renumber(anna, first)

    assert was
    assert not is_out_of_date(anna)


def test_r36_an_unknown_state_stays_unknown_whatever_texts_change(anna: ConferencingUser) -> None:
    fingerprints.become_unknown(anna)
    change_tenant(anna.tenant, ACTOR, footer_text="Other words")

    assert ConferencingUser.objects.get(pk=anna.pk).invitations_fingerprint == ""


def test_r36_noting_own_blocks_again_asks_the_database_nothing(
    anna: ConferencingUser, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        fingerprints.note_own_blocks(anna)
    with django_assert_num_queries(0):
        fingerprints.note_own_blocks(anna)


@pytest.mark.parametrize("has_own_blocks", [True, False])
def test_r36_texts_that_change_during_a_run_count_only_where_invitations_show_them(
    anna: ConferencingUser, has_own_blocks: bool
) -> None:
    """What a run records is what its settings asked for when it began."""
    began_with = ConferencingUser.objects.get(pk=anna.pk).settings_fingerprint
    fingerprints.become_unknown(anna)
    if has_own_blocks:
        fingerprints.note_own_blocks(anna)
    change_tenant(anna.tenant, ACTOR, footer_text="Other words")
    fingerprints.record(anna, began_with, [])

    assert is_out_of_date(anna) is has_own_blocks
