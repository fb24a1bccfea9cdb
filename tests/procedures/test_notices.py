"""R37: who is told before planned jobs, of how many meetings, and that the job waits for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.mail.delivery import deliver
from migrations_app.models import BulkAction, Notice, NoticeKind, NoticeRound, NumberRelease, Plan, Run
from migrations_app.procedures import notices, plans
from migrations_app.procedures.bulk_actions import perform
from migrations_app.procedures.bulk_kinds import KINDS
from migrations_app.procedures.number_release import start_release
from migrations_app.runs.plans import When, read_when
from migrations_app.tasks import work
from tenants_app.changes.bridges import register_number
from tenants_app.changes.users import change_user
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.meetings import ANEW, addressees, invite, messages_in
from tests.support.two_tenants import furnish, stored_of

MakeUsers = Callable[..., list[ConferencingUser]]
DAYS = timedelta(days=1)


@pytest.fixture
def three(make_users: MakeUsers) -> list[ConferencingUser]:
    """Bella with two meetings, Carlos with one, Dora with none."""
    bella, carlos, dora = make_users({"bella": {}, "carlos": {}, "dora": {}})
    for number in range(2):
        invite(bella, number)
    invite(carlos, 2)
    return [bella, carlos, dora]


def in_a_day(**more: Any) -> When:
    return When(timezone.now() + DAYS, None, True, **more)


def everybody(tenant: Tenant) -> Any:
    return ConferencingUser.objects.filter(tenant=tenant)


def go_on() -> None:
    work(timezone.now() + timedelta(minutes=5))


def its_time_comes() -> None:
    past = timezone.now() - DAYS
    Plan.objects.update(opens_at=past, not_before=past)


def told() -> dict[str, tuple[str, int]]:
    found = Notice.objects.filter(kind=NoticeKind.ADVANCE).values_list("user__display_name", "state", "meetings")
    return {name.lower(): (state, meetings) for name, state, meetings in found}


def start(tenant: Tenant, when: When) -> BulkAction:
    return perform(tenant, KINDS["start"], everybody(tenant), ACTOR, options={"targets": ANEW.stored}, when=when)


def test_what_organizers_are_told_is_what_the_runs_change(
    tenant: Tenant, three: list[ConferencingUser], outbox: Path
) -> None:
    action = start(tenant, in_a_day())
    go_on()
    assert told() == {"bella": ("Sent", 2), "carlos": ("Sent", 1), "dora": ("Superseded", 0)}
    assert len(messages_in(outbox)) == 2
    assert not Run.objects.exists()
    entry = AuditEntry.objects.get(action="start runs for many users")
    assert entry.after["organizers"] == "told before"

    its_time_comes()
    go_on()
    action.refresh_from_db()
    assert action.state == "Done"
    changed = {run.user.display_name.lower(): run.succeeded_meetings for run in Run.objects.all()}
    assert changed == {"bella": 2, "carlos": 1, "dora": 0}
    assert Notice.objects.count() == 3, "nobody is told again when it begins"


def test_a_job_whose_time_has_come_waits_for_its_notices(
    tenant: Tenant, three: list[ConferencingUser], settings: Any, outbox: Path
) -> None:
    settings.EMAIL_FILE_PATH = str(outbox / "file")
    (outbox / "file").write_text("")
    start(tenant, in_a_day())
    its_time_comes()
    go_on()
    assert not Run.objects.exists()
    assert notices.begin_anyway(NoticeRound.objects.get(), ACTOR)
    go_on()
    assert Run.objects.count() == 3


def test_only_those_are_told_whom_a_move_changes(
    tenant: Tenant, three: list[ConferencingUser], new_bridge: Bridge, outbox: Path
) -> None:
    bella, carlos, _ = three
    change_user(carlos, ACTOR, bridge=new_bridge)
    Run.objects.all().delete()
    options = {"bridge": new_bridge.pk, "bridge_name": new_bridge.name}
    perform(tenant, KINDS["move"], everybody(tenant), ACTOR, options=options, when=in_a_day())
    go_on()
    assert told() == {"bella": ("Sent", 2), "dora": ("Superseded", 0)}
    bella.refresh_from_db()
    assert bella.bridge != new_bridge, "nothing has moved yet"


def test_only_those_are_told_who_are_tried_again(
    tenant: Tenant, three: list[ConferencingUser], make_run: Callable[..., Run], outbox: Path
) -> None:
    make_run(three[0], "Failed")
    make_run(three[1], "Succeeded")
    perform(tenant, KINDS["retry"], everybody(tenant), ACTOR, when=in_a_day())
    notices.advance(timezone.now() + timedelta(minutes=1))
    assert list(told()) == ["bella"]


def test_taking_a_number_off_tells_those_whose_invitations_show_it(
    tenant: Tenant, three: list[ConferencingUser], old_bridge: Bridge, outbox: Path
) -> None:
    bella, *_ = three
    leaving = register_number(old_bridge, "+14255550120", "toll", ACTOR)
    other = register_number(old_bridge, "+14255550121", "toll", ACTOR)
    change_user(bella, ACTOR, toll_number=leaving)
    go_on()
    release = start_release(leaving, other, ACTOR, when=in_a_day(tells_cancellation=True))
    go_on()
    assert told() == {"bella": ("Sent", 2)}
    release.refresh_from_db()
    assert release.state == NumberRelease.State.WAITING

    assert release.plan
    assert plans.cancel(release.plan, ACTOR)
    go_on()
    called_off = [message for message in messages_in(outbox) if "stay as they are" in message["Subject"]]
    assert [addressees(message) for message in called_off] == [{bella.upn}]


def test_cancelling_a_job_tells_those_who_were_told(
    tenant: Tenant, three: list[ConferencingUser], outbox: Path
) -> None:
    action = start(tenant, in_a_day(tells_cancellation=True))
    go_on()
    assert action.plan
    assert plans.cancel(action.plan, ACTOR)
    go_on()
    told_so = Notice.objects.filter(kind=NoticeKind.CANCELLED, state="Sent").order_by("user__upn")
    assert [notice.user for notice in told_so] == three[:2]
    assert Plan.objects.get().state == Plan.State.CANCELLED
    assert not Run.objects.exists()


def test_what_changes_no_meeting_and_what_has_no_time_tells_nobody(
    tenant: Tenant, three: list[ConferencingUser]
) -> None:
    with pytest.raises(ValidationError, match="changes no meeting"):
        perform(tenant, KINDS["mark"], everybody(tenant), ACTOR, when=in_a_day())
    with pytest.raises(ValidationError) as refused:
        read_when(tenant, {"notify": "on"})
    assert refused.value.message_dict == {"not_before": ["Say when it begins: that is what the organizers are told."]}
    assert not NoticeRound.objects.exists()
    assert not Plan.objects.exists()


def test_organizers_can_be_told_of_runs_that_nobody_has_planned(
    tenant: Tenant, three: list[ConferencingUser], outbox: Path
) -> None:
    when = timezone.now() + DAYS

    def tell(*some: ConferencingUser) -> BulkAction:
        options = {"begins_at": when.isoformat(), "when": "on Saturday", "reference": str(NoticeRound().reference)}
        return perform(
            tenant, KINDS["notify"], everybody(tenant).filter(pk__in=[user.pk for user in some]), ACTOR, options=options
        )

    with CaptureQueriesContext(connection) as for_one:
        tell(three[0])
    with CaptureQueriesContext(connection) as for_two:
        tell(*three[1:])
    go_on()
    second = tell(*three)
    go_on()

    assert len(for_one) == len(for_two)
    assert (second.done_count, second.refused_count) == (1, 2), "Dora was not told, having no meetings"
    assert len(messages_in(outbox)) == 2
    assert AuditEntry.objects.filter(action="tell many users of runs to come").count() == 3


def test_a_tenants_notices_touch_no_other_tenant(
    tenant: Tenant, three: list[ConferencingUser], cast: None, outbox: Path
) -> None:
    fabrikam = furnish(Tenant.objects.get(slug="fabrikam"))
    invite(fabrikam.user)
    before = stored_of(fabrikam.tenant)
    perform(
        tenant,
        KINDS["start"],
        ConferencingUser.objects.all(),
        ACTOR,
        options={"targets": ANEW.stored},
        when=in_a_day(),
    )
    go_on()
    after = stored_of(fabrikam.tenant) | {"Sample": before["Sample"]}  # of its queue, taken for every tenant
    assert after == before
    assert {address for message in messages_in(outbox) for address in addressees(message)} == {
        user.upn for user in three[:2]
    }
    assert deliver() == 0
