"""The Django admin: a data fix behaves like any other change, except that a user's may be told to start no run."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from migrations_app.models import Run
from tenants_app.changes.bridges import register_number
from tenants_app.changes.tenants import grant_role
from tenants_app.changes.users import DATA_FIX, change_user, mark_up_to_date
from tenants_app.models import (
    AuditEntry,
    Bridge,
    ConferencingUser,
    Deployment,
    InvitedNumber,
    Role,
    ServiceNumber,
    Tenant,
)
from tests.support.actors import ACTOR
from tests.support.pages import words
from tests.support.two_tenants import everything_stored


@pytest.fixture
def admin(db: None) -> Client:
    User.objects.create_superuser("root", "root@contoso.com", "x")
    client = Client()
    client.force_login(User.objects.get(username="root"))
    return client


def form_of(user: ConferencingUser, **changes: Any) -> dict[str, Any]:
    """What the admin's form of the user posts, with changes."""
    fields = {
        "sip_address": user.sip_address,
        "display_name": user.display_name,
        "language": user.language,
        "hosting": user.hosting,
        "mailbox_location": user.mailbox_location,
        "audio_conferencing_license": "on" if user.audio_conferencing_license else "",
        "audio_conferencing_enabled": "on" if user.audio_conferencing_enabled else "",
        "conferencing_provider": user.conferencing_provider,
        "bridge": user.bridge_id or "",
        "conference_id_type": user.conference_id_type,
        "conference_id": user.conference_id if user.pk else "",
        "toll_number": user.toll_number_id or "",
        "toll_free_number": user.toll_free_number_id or "",
        "conference_ids-TOTAL_FORMS": "0",
        "conference_ids-INITIAL_FORMS": "0",
    }
    return {name: value for name, value in (fields | changes).items() if value != ""}


def change_page(row: Any) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def told(answer: HttpResponse) -> list[str]:
    """The messages at the top of the page."""
    (listed,) = re.findall(r'<ul class="messagelist">(.*?)</ul>', answer.content.decode(), re.DOTALL) or [""]
    return [words(line.encode()).strip() for line in re.findall(r"<li.*?</li>", listed, re.DOTALL)]


def at_field(answer: HttpResponse, name: str) -> str:
    """What the row of the field says."""
    page = answer.content.decode()
    row = rf'<div class="form-row[^"]* field-{name}[ "].*?(?=<div class="form-row|</fieldset>)'
    (found,) = re.findall(row, page, re.DOTALL)
    return words(found.encode())


def test_a_changed_bridge_starts_a_run_is_audited_and_says_so(
    admin: Client, anna: ConferencingUser, new_bridge: Bridge
) -> None:
    answer = admin.post(change_page(anna), form_of(anna, bridge=new_bridge.pk), follow=True)
    assert "Run, because the user moved to the bridge New bridge." in answer.content.decode()
    assert Run.objects.get().requested_by == "root"
    assert AuditEntry.objects.filter(actor="root", action="change user").count() == 1
    assert ConferencingUser.objects.get().bridge == new_bridge


def test_numbers_of_the_old_bridge_stay_behind(admin: Client, anna: ConferencingUser, new_bridge: Bridge) -> None:
    own = register_number(anna.bridge, "+14255550199", "toll", ACTOR)  # type: ignore[arg-type]
    change_user(anna, ACTOR, toll_number=own)
    form = form_of(ConferencingUser.objects.get(), bridge=new_bridge.pk)
    admin.post(change_page(anna), form)

    assert form["toll_number"] == own.pk
    anna = ConferencingUser.objects.get()
    assert (anna.bridge, anna.toll_number) == (new_bridge, None)


def test_a_change_that_cannot_be_made_is_shown_at_its_field(
    admin: Client, anna: ConferencingUser, new_bridge: Bridge
) -> None:
    foreign = new_bridge.numbers.get(kind="toll")
    answer = admin.post(change_page(anna), form_of(anna, toll_number=foreign.pk))
    assert answer.status_code == 200
    assert "choose one that is" in answer.content.decode()
    assert ConferencingUser.objects.get().toll_number is None


def test_a_change_that_the_rules_refuse_is_told_at_its_field_and_keeps_what_was_typed(
    admin: Client, anna: ConferencingUser, make_user: Any
) -> None:
    bruno = make_user("bruno.costa")
    before = everything_stored()
    form = form_of(bruno, conference_id=anna.conference_id, display_name="Typed here")
    answer = admin.post(change_page(bruno), form)

    assert answer.status_code == 200
    assert f"{anna.conference_id} is already in use on the bridge Old bridge: choose another." in at_field(
        answer, "conference_id"
    )
    assert 'value="Typed here"' in answer.content.decode()
    assert everything_stored() == before
    assert not LogEntry.objects.exists()


def test_a_name_that_is_taken_is_told_at_its_field(admin: Client, anna: ConferencingUser) -> None:
    blank = ConferencingUser(sip_address="x@contoso.com", bridge=anna.bridge)
    form = form_of(blank, tenant=anna.tenant_id, upn="ANNA.rossi@contoso.com", conference_id="")
    answer = admin.post(reverse("admin:tenants_app_conferencinguser_add"), form)

    assert "There is already a user anna.rossi@contoso.com." in at_field(answer, "upn")


def test_what_is_wrong_with_a_field_that_the_form_does_not_have_names_it(admin: Client, anna: ConferencingUser) -> None:
    ConferencingUser.objects.update(upn="not an address")
    answer = admin.post(change_page(anna), form_of(anna, display_name="Anna R."))

    assert "Upn: Give an address such as anna@contoso.com, in ASCII letters." in words(answer.content)


def test_a_change_is_made_once_although_it_is_tried_before(
    admin: Client, anna: ConferencingUser, new_bridge: Bridge, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks() as wakes:
        answer = admin.post(change_page(anna), form_of(anna, bridge=new_bridge.pk), follow=True)

    assert len(told(answer)) == 2  # what it leads to, and that it is saved
    assert Run.objects.get().reasons == [{"rule": "R5", "sentence": "The user moved to the bridge New bridge."}]
    assert AuditEntry.objects.filter(actor="root").count() == 1
    assert len(wakes) == 1


def test_nothing_of_a_change_stays_where_another_part_of_the_page_is_wrong(
    admin: Client, anna: ConferencingUser, new_bridge: Bridge
) -> None:
    before = everything_stored()
    form = form_of(anna, bridge=new_bridge.pk) | {"conference_ids-TOTAL_FORMS": "no number"}
    answer = admin.post(change_page(anna), form)

    assert answer.status_code == 200
    assert everything_stored() == before


# --- data fixes ---------------------------------------------------------------------------------------


def test_a_data_fix_starts_no_run_leaves_the_user_out_of_date_and_is_audited_as_one(
    admin: Client, anna: ConferencingUser, new_bridge: Bridge
) -> None:
    answer = admin.post(change_page(anna), form_of(anna, bridge=new_bridge.pk, is_data_fix="on"), follow=True)
    anna = ConferencingUser.objects.get()
    entry = AuditEntry.objects.get(actor="root")

    assert anna.bridge == new_bridge
    assert anna.is_out_of_date
    assert not Run.objects.exists()
    assert (entry.action, entry.channel, entry.consequence) == ("change user", "admin", DATA_FIX)
    assert (entry.before["bridge"], entry.after["bridge"]) == ("Old bridge", "New bridge")
    assert told(answer)[:2] == [
        "User anna.rossi@contoso.com: No run, because this was saved as a data fix.",
        "User anna.rossi@contoso.com is out of date: invitations do not say what is stored now. Start a run on the "
        "page of the user , or with start_meeting_migration --user anna.rossi@contoso.com --tenant contoso.",
    ]
    assert 'href="/contoso/users/anna.rossi@contoso.com/"' in answer.content.decode()


def test_without_that_choice_the_same_change_starts_its_run(
    admin: Client, anna: ConferencingUser, new_bridge: Bridge
) -> None:
    answer = admin.post(change_page(anna), form_of(anna, bridge=new_bridge.pk), follow=True)

    assert Run.objects.get().user == anna
    assert AuditEntry.objects.get(actor="root").consequence == "Run, because the user moved to the bridge New bridge."
    assert told(answer)[0] == ("User anna.rossi@contoso.com: Run, because the user moved to the bridge New bridge.")
    assert "out of date" not in " ".join(told(answer))


def test_a_data_fix_of_what_invitations_do_not_show_leaves_nobody_out_of_date(
    admin: Client, anna: ConferencingUser
) -> None:
    answer = admin.post(change_page(anna), form_of(anna, display_name="Anna R.", is_data_fix="on"), follow=True)

    assert AuditEntry.objects.get(actor="root").consequence == DATA_FIX
    assert "out of date" not in " ".join(told(answer))


def test_a_data_fix_that_fixes_nothing_is_none(admin: Client, anna: ConferencingUser) -> None:
    answer = admin.post(change_page(anna), form_of(anna, is_data_fix="on"), follow=True)

    assert not AuditEntry.objects.filter(actor="root").exists()
    assert DATA_FIX not in " ".join(told(answer))


def test_r10_a_data_fix_that_is_to_reschedule_meetings_is_refused_at_its_field(
    admin: Client, anna: ConferencingUser
) -> None:
    before = everything_stored()
    form = form_of(anna, language="it-IT", is_data_fix="on", reschedule_meetings="on")
    answer = admin.post(change_page(anna), form)

    assert "A data fix starts no run: untick this, or the one that reschedules the meetings." in at_field(
        answer, "is_data_fix"
    )
    assert everything_stored() == before


def test_the_choice_is_off_at_first_and_only_where_somebody_is_changed(admin: Client, anna: ConferencingUser) -> None:
    page = admin.get(change_page(anna)).content.decode()
    (choice,) = re.findall(r'<input type="checkbox" name="is_data_fix"[^>]*>', page)

    assert "checked" not in choice
    assert "This is a data fix: do not start a migration" in words(page.encode())
    assert page.index("is_data_fix") > page.index("reschedule_meetings")
    assert "is_data_fix" not in admin.get(reverse("admin:tenants_app_conferencinguser_add")).content.decode()


def test_a_new_user_is_made_with_a_conference_id(admin: Client, old_bridge: Bridge) -> None:
    blank = ConferencingUser(sip_address="bruno@contoso.com", bridge=old_bridge, language="it-IT")
    form = form_of(blank, tenant=old_bridge.tenant_id, upn="bruno@contoso.com", bridge=old_bridge.pk, conference_id="")
    admin.post(reverse("admin:tenants_app_conferencinguser_add"), form)
    assert len(ConferencingUser.objects.get(upn="bruno@contoso.com").conference_id) == 7
    assert AuditEntry.objects.filter(actor="root", action="create user").exists()


def test_a_switch_is_audited(admin: Client, tenant: Tenant) -> None:
    form = {
        "name": tenant.name,
        "domain": tenant.domain,
        "time_zone": tenant.time_zone,
        "meeting_url": tenant.meeting_url,
        "meeting_service": tenant.meeting_service,
        "automatically_migrate_user_meetings": "on",
        "attendee_limit": "250",
        "settling_time": "0",
        "local_numbers_url": tenant.local_numbers_url,
    }
    admin.post(change_page(tenant), form)
    assert Tenant.objects.get().meeting_migration_enabled is False
    assert AuditEntry.objects.get(actor="root").after == {"meeting_migration_enabled": False}


# --- bridges and numbers ------------------------------------------------------------------------------


def list_action(client: Client, model: str, action: str, *rows: Any, **more: str) -> Any:
    form = {"action": action, "_selected_action": [row.pk for row in rows], **more}
    return client.post(reverse(f"admin:tenants_app_{model}_changelist"), form, follow=True)


OUT_OF_DATE = (
    "1 user of {} is out of date, and saving here started no run. Start their runs , or use "
    "start_meeting_migration --out-of-date --tenant contoso."
)


def test_a_number_is_registered_and_made_the_default(admin: Client, old_bridge: Bridge, anna: ConferencingUser) -> None:
    form = {"bridge": old_bridge.pk, "number": "+14255550199", "kind": "toll", "country": "", "city": ""}
    admin.post(reverse("admin:tenants_app_servicenumber_add"), form, follow=True)
    number = ServiceNumber.objects.get(number="+14255550199")
    assert (number.tenant, number.is_default) == (old_bridge.tenant, False)
    answer = list_action(admin, "servicenumber", "make_default", number)

    assert old_bridge.numbers.get(is_default=True) == number
    assert told(answer) == [
        "+14255550199 is the default number of Old bridge now.",
        OUT_OF_DATE.format("Old bridge"),
    ]
    assert (
        f'href="/contoso/users/selected/start/?out_of_date=yes&amp;bridge={old_bridge.pk}&amp;all"'
        in answer.content.decode()
    )
    assert not Run.objects.exists()
    entry = AuditEntry.objects.filter(actor="root").first()
    assert entry is not None
    assert (entry.action, entry.channel) == ("change bridge", "admin")
    assert entry.after == {"default number": "+14255550199"}
    assert entry.consequence == "No run, because rescheduling was not asked for."
    answer = list_action(admin, "servicenumber", "make_default", number)
    assert told(answer) == ["+14255550199 is the default number of Old bridge already."]


def test_a_default_that_the_rules_refuse_is_told_in_a_sentence(
    admin: Client, new_bridge: Bridge, old_bridge: Bridge
) -> None:
    register_number(old_bridge, "+14255550199", "toll", ACTOR)
    before = everything_stored()
    toll_free = list_action(admin, "servicenumber", "make_default", new_bridge.numbers.get(kind="toll-free"))
    two = list_action(admin, "servicenumber", "make_default", *old_bridge.numbers.all())

    assert told(toll_free) == [
        "+448081570123 is toll-free, and a bridge's default number must be a toll number: choose another."
    ]
    assert told(two) == ["2 of the numbers are on Old bridge, which has one default: choose one of them."]
    assert everything_stored() == before


def test_a_number_that_is_taken_is_told_at_its_field(admin: Client, old_bridge: Bridge) -> None:
    form = {"bridge": old_bridge.pk, "number": "+14255550100", "kind": "toll", "country": "", "city": ""}
    answer = admin.post(reverse("admin:tenants_app_servicenumber_add"), form)

    assert "+14255550100 is already registered, on the bridge Old bridge." in at_field(answer, "number")


def test_saving_a_bridge_or_a_number_says_whom_it_leaves_out_of_date(
    admin: Client, anna: ConferencingUser, old_bridge: Bridge
) -> None:
    number = old_bridge.numbers.get()
    for row, form in (
        (number, {"country": "United States", "city": "Seattle"}),
        (old_bridge, {"provider": "Fabrikam", "conference_ids_from": "mms"}),
    ):
        page = words(admin.get(change_page(row)).content)
        assert f"Saving a {row._meta.verbose_name.split()[-1]} starts no migration." in page
        mark_up_to_date(anna, ACTOR)
        answer = admin.post(change_page(row), form, follow=True)
        assert told(answer)[0] == OUT_OF_DATE.format("Old bridge")
    assert not Run.objects.exists()
    assert AuditEntry.objects.filter(actor="root", channel="admin").count() == 2


def test_a_new_bridge_may_take_over_as_the_default_but_not_the_name_of_another(
    admin: Client, old_bridge: Bridge
) -> None:
    add = reverse("admin:tenants_app_bridge_add")
    form = {
        "tenant": old_bridge.tenant_id,
        "name": "OLD bridge",
        "provider": "Fabrikam",
        "conference_ids_from": "mms",
    }
    refused = admin.post(add, form)
    admin.post(add, {**form, "name": "Europe", "is_default": "on"})

    assert "There is already a bridge Old bridge: change that one." in at_field(refused, "name")
    assert Bridge.objects.get(pk=old_bridge.pk).provider == ""
    assert Bridge.objects.get(is_default=True).name == "Europe"


def test_a_bridge_that_nobody_needs_is_removed_with_its_numbers(
    admin: Client, old_bridge: Bridge, new_bridge: Bridge
) -> None:
    page = reverse("admin:tenants_app_bridge_delete", args=[new_bridge.pk])
    asked = words(admin.get(page).content)
    answer = admin.post(page, {"post": "yes"}, follow=True)

    assert "Are you sure" in asked
    assert "Service number: +442079460123" in asked
    assert "The bridge “New bridge” was deleted successfully." in told(answer)
    assert not ServiceNumber.objects.filter(number="+442079460123").exists()
    entry = AuditEntry.objects.get(actor="root")
    assert (entry.action, entry.channel, entry.target) == ("remove bridge", "admin", "New bridge")


def test_a_bridge_that_somebody_needs_stays_and_the_sentence_says_why(
    admin: Client, anna: ConferencingUser, new_bridge: Bridge, make_user: Any
) -> None:
    bruno = make_user("bruno.costa")
    InvitedNumber.objects.create(user=bruno, number=new_bridge.numbers.get(kind="toll"))
    before = everything_stored()
    for bridge, sentence in (
        (anna.bridge, "2 users are on Old bridge: move them first."),
        (new_bridge, "Invitations of 1 user still show numbers of New bridge: migrate them first."),
    ):
        page = reverse("admin:tenants_app_bridge_delete", args=[bridge.pk])
        assert admin.get(page).status_code == 200
        answer = admin.post(page, {"post": "yes"}, follow=True)
        assert told(answer) == [sentence]
        assert answer.request["PATH_INFO"] == change_page(bridge)
    assert everything_stored() == before
    assert not LogEntry.objects.exists()


def test_of_several_bridges_those_that_nobody_needs_are_removed(
    admin: Client, anna: ConferencingUser, old_bridge: Bridge, new_bridge: Bridge
) -> None:
    asked = list_action(admin, "bridge", "delete_selected", old_bridge, new_bridge)
    assert "Are you sure" in words(asked.content)
    assert Bridge.objects.count() == 2
    answer = list_action(admin, "bridge", "delete_selected", old_bridge, new_bridge, post="yes")

    assert told(answer) == [
        "The bridge New bridge was removed.",
        "1 user is on Old bridge: it is the last bridge, so make another one and move them there.",
    ]
    assert list(Bridge.objects.all()) == [old_bridge]
    assert [entry.action for entry in AuditEntry.objects.filter(actor="root", channel="admin")] == ["remove bridge"]
    assert [entry.object_repr for entry in LogEntry.objects.all()] == ["New bridge"]


def test_r60_a_deployment_is_made_changed_and_removed(admin: Client, anna: ConferencingUser) -> None:
    pages = "/admin/tenants_app/deployment/"
    new = {
        "tenant": anna.tenant_id,
        "name": "Pool B",
        "kind": "on-premises",
        "role": "new",
        "meeting_hosts": "Meet.contoso.com",
        "mover": "record",
    }
    refused = admin.post(f"{pages}add/", new | {"mover": "command"})
    assert list(refused.context["adminform"].form.errors) == ["mover_command"]
    admin.post(f"{pages}add/", new)
    made = Deployment.objects.get()
    assert (made.tenant, made.meeting_hosts) == (anna.tenant, ["meet.contoso.com"])
    admin.post(f"{pages}{made.pk}/change/", new | {"name": "Pool C"})
    made.refresh_from_db()
    assert made.name == "Pool C"
    change_user(anna, ACTOR, deployment=made)
    page = admin.post(f"{pages}{made.pk}/delete/", {"post": "yes"}, follow=True)
    assert "1 user belongs to Pool C: move them first." in words(page.content)
    change_user(anna, ACTOR, deployment=None)
    admin.post(f"{pages}{made.pk}/delete/", {"post": "yes"})
    assert not Deployment.objects.exists()
    told = AuditEntry.objects.filter(channel="admin").order_by("pk").values_list("action", flat=True)
    assert list(told) == ["create deployment", "change deployment", "remove deployment"]


@pytest.mark.parametrize("model", ["tenant", "conferencinguser", "servicenumber", "auditentry"])
def test_nothing_else_can_be_deleted(admin: Client, anna: ConferencingUser, old_bridge: Bridge, model: str) -> None:
    row = {
        "tenant": anna.tenant,
        "conferencinguser": anna,
        "servicenumber": old_bridge.numbers.get(),
        "auditentry": AuditEntry.objects.first(),
    }[model]
    before = everything_stored()
    page = reverse(f"admin:tenants_app_{model}_delete", args=[row.pk])  # type: ignore[union-attr]

    assert admin.post(page, {"post": "yes"}).status_code == 403
    list_action(admin, model, "delete_selected", row, post="yes")
    assert everything_stored() == before


# --- roles and accounts -------------------------------------------------------------------------------


def test_a_role_is_granted_and_revoked_with_a_trace(admin: Client, tenant: Tenant) -> None:
    alice = User.objects.create_user("alice")
    form = {"tenant": tenant.pk, "account": alice.pk, "name": "viewer"}
    admin.post(reverse("admin:tenants_app_role_add"), form)
    role = Role.objects.get(account=alice)
    admin.post(reverse("admin:tenants_app_role_delete", args=[role.pk]), {"post": "yes"})
    assert not Role.objects.filter(account=alice).exists()
    assert list(AuditEntry.objects.filter(actor="root").values_list("action", flat=True)) == [
        "revoke role",
        "grant role",
    ]


@pytest.mark.parametrize("way", ["page", "list"])
def test_the_roles_of_a_deleted_account_are_revoked_with_a_trace(admin: Client, tenant: Tenant, way: str) -> None:
    alice = User.objects.create_user("alice")
    grant_role(tenant, alice, "operator", ACTOR)
    if way == "page":
        admin.post(reverse("admin:auth_user_delete", args=[alice.pk]), {"post": "yes"})
    else:
        form = {"action": "delete_selected", "_selected_action": [alice.pk], "post": "yes"}
        admin.post(reverse("admin:auth_user_changelist"), form)

    assert not User.objects.filter(username="alice").exists()
    entry = AuditEntry.objects.get(actor="root")
    assert (entry.action, entry.channel, entry.target) == ("revoke role", "admin", "alice")
    assert entry.before == {"role": "operator"}


# --- lists --------------------------------------------------------------------------------------------


def test_the_audit_is_listed_by_what_and_through_what(
    admin: Client, anna: ConferencingUser, new_bridge: Bridge
) -> None:
    admin.post(change_page(anna), form_of(anna, bridge=new_bridge.pk, is_data_fix="on"))
    address = reverse("admin:tenants_app_auditentry_changelist")
    found = admin.get(address, {"action": "change user", "channel__exact": "admin"}).content.decode()

    assert [words(row.encode()).split() for row in re.findall(r'<td class="field-consequence">.*?</td>', found)] == [
        DATA_FIX.split()
    ]
    for query in ({"action": "release number"}, {"action": "change user", "channel__exact": "import"}):
        assert "field-consequence" not in admin.get(address, query).content.decode()


@pytest.mark.parametrize("name", ["run", "meetingresult", "update", "calendarobject", "heartbeat"])
def test_what_the_service_keeps_is_to_be_looked_at_only(admin: Client, anna: ConferencingUser, name: str) -> None:
    assert (
        admin.get(
            reverse(f"admin:migrations_app_{name}_changelist"), {"q": "x"} if name != "heartbeat" else {}
        ).status_code
        == 200
    )
    assert admin.get(reverse(f"admin:migrations_app_{name}_add")).status_code == 403


@pytest.mark.parametrize("name", ["tenant", "conferencinguser", "bridge", "servicenumber", "role", "auditentry"])
def test_every_list_can_be_searched(admin: Client, anna: ConferencingUser, name: str) -> None:
    assert admin.get(reverse(f"admin:tenants_app_{name}_changelist"), {"q": "anna"}).status_code == 200
