"""Members of waves from a CSV file: checked as a whole, and imported again without harm (R65)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from migrations_app.models import Rollout, Wave, WaveMember
from migrations_app.rollouts.member_file import BadRows, import_members, plan_members
from tenants_app.models import AuditEntry, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.only_reads import only_reads
from tests.support.rollouts import a_deployment, a_rollout, a_wave, belong_to, members

MakeUsers = Callable[..., list[ConferencingUser]]
FILE = """UserPrincipalName,Wave,Reason,ClientVersion
anna@contoso.com,Test users,She asked,16.0.4266
BRUNO@contoso.com,2,,
carla@contoso.com,pilot,,15.0.1
"""


@pytest.fixture
def rollout(tenant: Tenant, make_users: MakeUsers) -> Rollout:
    rollout = a_rollout(tenant)
    belong_to(rollout.legacy, make_users({name: {} for name in ("anna", "bruno", "carla", "dino")}))
    return rollout


def listed() -> list[tuple[str, str, str, str]]:
    rows = WaveMember.objects.order_by("user__upn")
    return [
        (row[0].partition("@")[0], *row[1:])
        for row in rows.values_list("user__upn", "wave__name", "reason", "client_version")
    ]


def imported(rollout: Rollout, text: str, *, skip: bool = False) -> tuple[int, int, int]:
    planned = import_members(rollout, text, ACTOR, file_name="members.csv", skip_bad_rows=skip)
    return len(planned.new), planned.unchanged, planned.bad


def test_a_file_puts_users_into_waves_and_a_longer_one_only_adds_r65(rollout: Rollout) -> None:
    assert imported(rollout, FILE) == (3, 0, 0)
    assert listed() == [
        ("anna", "Test users", "She asked", "16.0.4266"),
        ("bruno", "Pilot", "", ""),
        ("carla", "Pilot", "", "15.0.1"),
    ]
    assert set(WaveMember.objects.values_list("source", flat=True)) == {"file"}
    before = list(WaveMember.objects.order_by("pk").values())
    assert imported(rollout, FILE) == (0, 3, 0)
    assert imported(rollout, FILE + "dino@contoso.com,Everyone,,\n") == (1, 3, 0)
    assert list(WaveMember.objects.order_by("pk").values())[:3] == before
    assert AuditEntry.objects.filter(action="import wave members").count() == 2


def test_the_same_file_changes_nothing_after_the_wave_was_done_r65(rollout: Rollout) -> None:
    imported(rollout, FILE)
    a_wave(rollout, 1, state=Wave.State.ROLLED_BACK)
    a_wave(rollout, 2, state=Wave.State.COMPLETED)
    WaveMember.objects.filter(wave__position=1).update(state="RolledBack", is_current=False)
    WaveMember.objects.filter(wave__position=2).update(state="Done")
    ConferencingUser.objects.filter(upn__startswith="bruno").update(deployment=rollout.new)
    assert imported(rollout, FILE) == (0, 3, 0)


def test_every_bad_row_is_named_and_nothing_is_written_r65(
    rollout: Rollout, make_users: MakeUsers, tenant: Tenant
) -> None:
    make_users({"elsewhere": {}})
    other = a_rollout(tenant, a_deployment(tenant, name="Pool 2"), rollout.new, name="Second")
    taken = make_users({"taken": {}, "late": {}, "there": {}})
    belong_to(rollout.legacy, taken)
    members(a_wave(other), taken[:1])
    members(a_wave(rollout, 2), taken[2:])
    a_wave(rollout, 1, state=Wave.State.RUNNING)
    text = "\r\n".join(
        [
            "userprincipalname;wave;reason;clientversion;Department",
            "anna@contoso.com;Pilot;;;Sales",
            "nobody@contoso.com;Pilot;;;",
            "elsewhere@contoso.com;Pilot;;;",
            "taken@contoso.com;Pilot;;;",
            "late@contoso.com;Test users;;;",
            "there@contoso.com;Everyone;;;",
            "bruno@contoso.com;Fourth;;;",
            "carla@contoso.com;;;;",
            ";Pilot;;;",
            "ANNA@contoso.com;Pilot;;;",
            "dino@contoso.com;Pilot",
            f"dino@contoso.com;Pilot;{'x' * 501};;",
        ]
    )
    with pytest.raises(BadRows) as error:
        imported(rollout, text)
    assert error.value.messages == ["11 bad rows, so nothing was written: correct them, or leave them out."]
    assert [(line, str(told)) for line, told in sorted(error.value.planned.bad_rows)] == [
        (3, "There is no user nobody@contoso.com: correct the name, or add the user first."),
        (4, "elsewhere@contoso.com does not belong to Old pool, from where this rollout moves users."),
        (
            5,
            "taken@contoso.com is in the wave Test users of the rollout Second, which has not ended: a user is in one "
            "rollout at a time.",
        ),
        (6, "The wave Test users has started: late@contoso.com can join a later one."),
        (7, "there@contoso.com is in the wave Pilot of this rollout already: take them out there first."),
        (8, "There is no wave Fourth in this rollout: write its name, or its place."),
        (9, "The row names no wave: fill in Wave."),
        (10, "The row names no user: fill in UserPrincipalName."),
        (11, "ANNA@contoso.com stands already on line 2: give each user one row."),
        (12, "The row has 2 cells where the header has 5: quote or add."),
        (13, "Reason has more than 500 characters: shorten it."),
    ]
    assert error.value.planned.ignored == ["Department"]
    assert not WaveMember.objects.filter(source="file").exists()
    assert imported(rollout, text, skip=True) == (1, 0, 11)
    assert WaveMember.objects.get(source="file").user.upn == "anna@contoso.com"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "The file is empty"),
        ("UserPrincipalName\nanna@contoso.com\n", "must name the column Wave"),
        ("Wave\nPilot\n", "must name the column UserPrincipalName"),
        ("UserPrincipalName,Waves\n", "did you mean Wave?"),
        ("UserPrincipalName,Wave\n\n", "no rows below its first line"),
        ('UserPrincipalName,Wave\n"anna@contoso.com,Pilot\n', "cannot be read as CSV from line 2"),
    ],
)
def test_a_file_that_is_none_is_refused(rollout: Rollout, text: str, told: str) -> None:
    with pytest.raises(ValidationError, match=told.replace("?", r"\?")):
        imported(rollout, text)


def test_a_page_takes_only_so_many_rows(rollout: Rollout) -> None:
    with pytest.raises(ValidationError, match="more than 2 rows: divide it, or use import_wave_members"):
        import_members(rollout, FILE, ACTOR, file_name="members.csv", most=2)
    assert not WaveMember.objects.exists()


def test_a_check_only_reads(rollout: Rollout) -> None:
    with only_reads():
        assert len(plan_members(rollout, FILE).new) == 3


def test_a_long_file_takes_few_statements_r65(rollout: Rollout, make_users: MakeUsers) -> None:
    users = make_users({f"u{number}": {} for number in range(1_000)})
    belong_to(rollout.legacy, users)
    text = "UserPrincipalName,Wave\n" + "".join(f"{user.upn},Pilot\n" for user in users)
    with CaptureQueriesContext(connection) as queries:
        assert imported(rollout, text)[0] == 1_000
    assert len(queries) < 20, [query["sql"][:80] for query in queries]
