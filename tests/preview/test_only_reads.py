"""Whoever looks ahead writes nothing and keeps nobody waiting: no page by GET, no preview, no dry run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from migrations_app.demo import invitations as demo
from tenants_app import fingerprints
from tenants_app.changes.bridges import register_number
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import UserEdit, change_users, foresee_user
from tenants_app.models import Bridge, ConferencingUser, FormerConferenceId
from tenants_app.wording import FREE_ID
from tests.screens.test_every_page import PAGES
from tests.screens.test_every_page import fill as fill
from tests.support.actors import ACTOR
from tests.support.commands import Command
from tests.support.meetings import invite
from tests.support.only_reads import only_reads
from tests.support.pages import user_form, words
from tests.support.taken_back import taken_back

COUNTED = (
    "/contoso/users/selected/start/?all&count=exactly",
    "/contoso/users/selected/move/?all&to={other}&count=exactly",
)
"""Pages that look at each meeting."""


def test_no_page_writes_or_locks_by_get(alice: Client, fill: Callable[[str], str], subtests: pytest.Subtests) -> None:
    looks = [address for address in PAGES if "nothing" not in address]
    for address in [*looks, *COUNTED]:
        with subtests.test(address):
            filled = fill(address) if "{" in address else address
            with only_reads():
                assert alice.get(filled).status_code == 200


def unsaved(new_bridge: Bridge) -> dict[str, dict[str, Any]]:
    """Changes of one user, each by what a page calls its fields."""
    rome = register_number(new_bridge, "+390698765432", "toll", ACTOR, country="Italy", city="Rome")
    return {
        "nothing": {},
        "another bridge": {"bridge": new_bridge},
        "another bridge and number": {"bridge": new_bridge, "toll_number": rome},
        "a provider": {"conferencing_provider": "InterCall"},
        "no licence": {"audio_conferencing_license": False},
        "on-premises": {"hosting": "on-premises", "mailbox_location": "on-premises"},
        "a new ID": {"conference_id": "new"},
        "this ID": {"conference_id": "7654321"},
        "IDs of meetings": {"conference_id_type": "private"},
        "IDs of meetings elsewhere": {"conference_id_type": "private", "bridge": new_bridge},
        "a language": {"language": "it-IT"},
        "a language in other letters": {"language": "DE-ch"},
        "an address": {"sip_address": "Anna@Contoso.com"},
        "no bridge": {"bridge": None},
    }


@pytest.mark.parametrize("has_own_blocks", [False, True])
def test_what_is_foreseen_of_a_user_is_what_the_change_makes(
    anna: ConferencingUser, new_bridge: Bridge, has_own_blocks: bool, subtests: pytest.Subtests
) -> None:
    """R36: fingerprints as the database computes them, settings, answers and what was chosen, for each change."""
    if has_own_blocks:
        fingerprints.note_own_blocks(anna)
    change_tenant(anna.tenant, ACTOR, footer_text="Grüße", help_url="https://help.contoso.com/")
    for name, values in unsaved(new_bridge).items():
        with subtests.test(name), taken_back():
            edit = UserEdit(anna.pk, values)
            with only_reads():
                effect = foresee_user(anna.tenant, edit)
            (consequence,) = change_users(anna.tenant, [edit], ACTOR)
            stored = ConferencingUser.objects.get(pk=anna.pk)
            foreseen = effect.change.user
            assert effect.consequence.sentence == consequence.sentence
            for field in ConferencingUser._meta.concrete_fields:
                if values.get("conference_id") != "new" or "fingerprint" not in field.name:
                    assert getattr(foreseen, field.attname) == getattr(stored, field.attname), field.name
            assert foreseen.is_out_of_date == stored.is_out_of_date
            assert foreseen.conference_id in {stored.conference_id, "0000000"}


def test_r4_an_id_that_may_go_back_to_somebody_is_not_foreseen_for_another(
    anna: ConferencingUser, make_user: Callable[..., ConferencingUser], new_bridge: Bridge
) -> None:
    """Nor one that is taken; and the change does the same."""
    old = anna.conference_id
    bruno = make_user("bruno", bridge=new_bridge)
    FormerConferenceId.objects.create(user=bruno, bridge=new_bridge, digits=old)
    edit = UserEdit(anna.pk, {"bridge": new_bridge})
    with only_reads():
        assert foresee_user(anna.tenant, edit).change.user.conference_id == FREE_ID
    with taken_back():
        change_users(anna.tenant, [edit], ACTOR)
        assert ConferencingUser.objects.get(pk=anna.pk).conference_id != old
    FormerConferenceId.objects.update(is_free=True)
    with only_reads():
        assert foresee_user(anna.tenant, edit).change.user.conference_id == old
    change_users(anna.tenant, [edit], ACTOR)
    assert ConferencingUser.objects.get(pk=anna.pk).conference_id == old


def test_no_dry_run_writes_or_locks(
    command: Command, anna: ConferencingUser, new_bridge: Bridge, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    for build in (demo.skype_text, demo.teams_gen2):
        invite(anna, build=build)
    spare = register_number(anna.bridge, "+14255550122", "toll", ACTOR)
    users = tmp_path / "users.csv"
    users.write_text(f"UserPrincipalName,Bridge\n{anna.upn},New bridge\nbruno@contoso.com,New bridge\n")
    number = f"{anna.bridge.numbers.get(is_default=True)}"
    told = {
        ("set_dial_in_conferencing_user", "--user", anna.upn, "--bridge", "New bridge"): "TollNumber",
        ("set_dial_in_conferencing_user", "--user", anna.upn, "--reset-conference-id"): "a free one",
        ("move_user", "--user", anna.upn, "--target", "online"): "nothing changed",
        ("start_meeting_migration", "--user", anna.upn): "Subject",
        ("import_users", str(users)): "1 created, 1 changed",
        ("replace_service_number", "--from", number, "--to", "+14255550133"): "1 run would start",
        ("unassign_service_number", "--number", f"{spare}", "--replace-with", number): "0 runs would start",
    }
    for arguments, sentence in told.items():
        with subtests.test(arguments[0]), only_reads():
            assert sentence in command(*arguments, "--dry-run", "--tenant", "contoso")


def test_the_preview_of_a_user_neither_writes_nor_locks(
    alice: Client, anna: ConferencingUser, new_bridge: Bridge
) -> None:
    invite(anna, build=demo.skype_text)
    form = user_form(alice, anna.upn, bridge=new_bridge.pk, conference_id_type="private", preview="1")
    with only_reads():
        page = alice.post(f"/contoso/users/{anna.upn}/", form).content.decode()
    assert "Run, because" in page


def test_another_bridge_gives_a_number_in_the_same_country_and_says_which(
    alice: Client, anna: ConferencingUser, old_bridge: Bridge, new_bridge: Bridge
) -> None:
    """What is previewed is what is saved; of two numbers in the country that in the same city."""
    milan, rome = (
        register_number(new_bridge, f"+39{number}98765432", "toll", ACTOR, country="Italy", city=city)
        for number, city in (("02", "Milan"), ("06", "Rome"))
    )
    old = register_number(old_bridge, "+390611223344", "toll", ACTOR, country="Italy", city="Rome")
    change_users(anna.tenant, [UserEdit(anna.pk, {"toll_number": old})], ACTOR)
    form = user_form(alice, anna.upn, bridge=new_bridge.pk)
    told = f"The new toll number is {rome} (Italy, Rome), because the old one was there too."
    assert told in words(alice.post(f"/contoso/users/{anna.upn}/", form | {"preview": "1"}).content)
    assert told in words(alice.post(f"/contoso/users/{anna.upn}/", form, follow=True).content)
    anna.refresh_from_db()
    assert anna.toll_number == rome
    assert milan != rome


def test_an_import_says_a_free_one_where_an_id_is_still_to_be_chosen(
    command: Command,
    anna: ConferencingUser,
    make_user: Callable[..., ConferencingUser],
    new_bridge: Bridge,
    tmp_path: Path,
) -> None:
    make_user("bruno", bridge=new_bridge, conference_id=anna.conference_id)
    users = tmp_path / "users.csv"
    users.write_text(f"UserPrincipalName,Bridge\n{anna.upn},New bridge\n")
    told = command("import_users", str(users), "--dry-run", "--tenant", "contoso")
    assert f"ConferenceId {anna.conference_id} → a free one" in told
