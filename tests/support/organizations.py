"""Generated organizations, a change or a start in each, and the comparison of what was foreseen with what happened."""

from __future__ import annotations

import email
import email.policy
import random
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone
from hypothesis import strategies as st

from migrations_app.demo import invitations as demo
from migrations_app.mail.delivery import deliver
from migrations_app.models import MeetingResult, PreviewedMeeting, Run
from migrations_app.preview.foretold import Foretold, changes_of, foretell_all
from migrations_app.preview.plans import Changes, NumberRelease, Plan, Starts, planned_now
from migrations_app.procedures import number_release
from migrations_app.procedures.number_release import start_replacement
from migrations_app.rewriting.comparison import compare
from migrations_app.rewriting.online_meeting import TO_BE_MADE
from migrations_app.rewriting.spans import unpack
from migrations_app.runs import outcomes, queue
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.selection import NOT_THEIRS_TO_COME
from migrations_app.runs.worker import work_run
from migrations_app.targets import ALL, CURRENT, LINK, SKYPE, TEAMS, Targets
from migrations_app.tasks import TIME_BUDGET
from tenants_app.changes.bridges import register_number, set_bridge
from tenants_app.changes.tenants import change_tenant, create_tenant
from tenants_app.changes.users import UserEdit, change_users, create_users
from tenants_app.models import Bridge, ConferencingUser, ServiceNumber, Tenant
from tenants_app.wording import A_FREE_ONE
from tests.support.actors import ACTOR
from tests.support.meetings import invite, messages_in
from tests.support.only_reads import only_reads

BUILDERS: Sequence[Callable[..., bytes]] = (
    demo.skype_text,
    demo.skype_html,
    demo.skype_exchange,
    demo.teams_gen1,
    demo.teams_gen2,
    demo.teams_gen3,
    demo.series_with_overrides,
    demo.infinite_series,
    demo.all_day,
    demo.no_attendees,
    demo.with_attachments,
    demo.cancelled,
    demo.no_block,
    demo.pasted_block,
    demo.damaged_frame,
)


@dataclass
class Person:
    """A user, as drawn."""

    values: Mapping[str, Any]
    bridge: int
    meetings: Sequence[int]
    was_migrated: bool


@dataclass
class Organization:
    """A tenant, as drawn, and what is done in it."""

    switches: Mapping[str, Any]
    people: Sequence[Person]
    deed: tuple[str, Mapping[str, Any]]
    batch: int = 100
    """How many meetings are looked at together."""
    counted: dict[str, int] = field(default_factory=dict)


def drawn(seed: int) -> Organization:
    """The organization of that number: the same one each time, and unlike that of the next number."""
    chance = random.Random(seed)  # noqa: S311 - it guards nothing
    one = chance.choice
    people = [
        Person(
            {
                "audio_conferencing_license": one([True, True, True, False]),
                "audio_conferencing_enabled": one([True, True, True, False]),
                "conference_id_type": one(["public", "public", "private"]),
                "language": one(["en-US", "it-IT", "es-ES", "ja-JP"]),
                "hosting": one(["online"] * 5 + ["on-premises"]),
                "conferencing_provider": one([""] * 5 + ["InterCall"]),
                "meeting_service": one(["", "", "link", "none"]),
            },
            bridge=chance.randrange(3),
            meetings=[chance.randrange(len(BUILDERS)) for _ in range(chance.randint(1, 5))],
            was_migrated=chance.random() < 0.4,
        )
        for _ in range(chance.randint(1, 4))
    ]
    switches = {
        "meeting_migration_enabled": chance.random() < 0.9,
        "automatically_migrate_user_meetings": chance.random() < 0.85,
        "automatically_replace_acp_provider": chance.random() < 0.5,
        "attendee_limit": one([250, 250, 250, 6]),
        "meeting_service": one(["link", "none"]),
        "same_sequence": chance.random() < 0.3,
        "footer_text": one(["", "Grüße"]),
    }
    return Organization(switches, people, _drawn_deed(chance), batch=one([100, 1]))


def _drawn_deed(chance: random.Random) -> tuple[str, Mapping[str, Any]]:
    kind = chance.choice(["start", "change", "change", "change", "release"])
    if kind == "start":
        types = chance.choice([ALL, SKYPE, TEAMS]), chance.choice([CURRENT, LINK])
        return kind, {"types": chance.choice([None, types, types])}
    if kind == "release":
        return kind, {}
    choices: dict[str, list[Any]] = {
        "audio_conferencing_license": [True, False],
        "audio_conferencing_enabled": [True, False],
        "conference_id_type": ["public", "private"],
        "language": ["en-US", "it-IT"],
        "hosting": ["online", "online", "on-premises"],
        "conferencing_provider": ["", "InterCall"],
        "bridge": [0, 1, 2],
        "conference_id": ["new"],
    }
    names = {chance.choice(["bridge", "bridge", *choices]), *chance.sample(sorted(choices), chance.randint(0, 2))}
    return kind, {name: chance.choice(choices[name]) for name in sorted(names)}


organizations = st.integers(0, 2**32).map(drawn)


def settle(organization: Organization) -> None:
    """Make the organization, foresee its deed, do it, work and deliver, and compare. Whatever differs is an error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcomes, "BATCH", organization.batch)
        _settle(organization)


def _settle(organization: Organization) -> None:
    tenant, bridges, users = _made(organization)
    plan, do = _deed(organization, tenant, bridges, users)
    with only_reads():
        foretold, totals = foretell_all(planned_now(plan))
    do()
    started = set(Run.objects.filter(tenant=tenant, state=Run.State.PENDING).values_list("user_id", flat=True))
    assert {each.planned.user.pk for each in foretold if each.planned.starts_run} == started
    work_and_compare(foretold)
    organization.counted = {"meetings": totals.meetings, "updated": totals.updated, "recipients": totals.recipients}


def work_and_compare(foretold: Sequence[Foretold]) -> None:
    """Work all runs there are, deliver what they queue, and compare with what was foreseen of each meeting."""
    with tempfile.TemporaryDirectory() as outbox:
        backend = "migrations_app.mail.eml_files.EmailBackend"
        with override_settings(EMAIL_BACKEND=backend, EMAIL_FILE_PATH=outbox):
            runs = {}
            while run := queue.claim():
                work_run(run)
                runs[run.user_id] = Run.objects.get(pk=run.pk)
            deliver()
        told: dict[tuple[str, str], list[str]] = {}
        for message in messages_in(Path(outbox)):
            uid = _uid(message.as_bytes())
            told.setdefault((str(message["From"]), uid), []).extend(
                address.addr_spec for address in message["To"].addresses
            )
    by_uid: dict[str, list[str]] = {}
    for (_, uid), addresses in told.items():
        by_uid.setdefault(uid, []).extend(addresses)
    for each in foretold:
        run = runs.get(each.planned.user.pk)
        if run is None or not each.planned.starts_run:
            continue
        if each.failure:
            assert (run.last_error_code, run.last_error_detail) == (each.failure.code, each.failure.detail)
            continue
        results = {result.uid: result for result in run.results.exclude(code__in=NOT_THEIRS_TO_COME)}
        assert {row.uid for row in each.meetings} == set(results)
        for row in each.meetings:
            compare_meeting(row, results[row.uid])
            assert sorted(row.recipients) == sorted(by_uid.pop(row.uid, [])), row.uid
    assert not by_uid, "somebody was mailed of whom nothing was foreseen"


def compare_meeting(row: PreviewedMeeting, result: MeetingResult) -> None:
    """What was foreseen of a meeting and what happened, but for what is made when the run starts."""
    for name in ("outcome", "code", "detail", "meeting_service", "join_url_before"):
        assert getattr(row, name) == getattr(result, name), (name, getattr(row, name), getattr(result, name))
    if TO_BE_MADE not in row.join_url_after:
        assert row.join_url_after == result.join_url_after
    before, after = changes_of(row), compare(unpack(bytes(result.spans))) if result.spans else []
    assert [change.title for change in before] == [change.title for change in after]
    for one, other in zip(before, after, strict=True):
        assert [line.before for line in one.rows if line.before] == [line.before for line in other.rows if line.before]
        foreseen = "\n".join(line.after for line in one.rows if line.after)
        happened = "\n".join(line.after for line in other.rows if line.after)
        assert re.fullmatch(_with_gaps(foreseen), happened), (foreseen, happened)


def _with_gaps(text: str) -> str:
    """A pattern of the text in which anything may stand where something is made when the run starts."""
    return "[^\n]+?".join(map(re.escape, re.split(f"{TO_BE_MADE}|{re.escape(A_FREE_ONE)}", text)))


def _uid(message: bytes) -> str:
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    for part in parsed.walk():
        if part.get_content_type() == "text/calendar":
            text = re.sub(r"\r?\n[ \t]", "", part.get_content())
            found = re.search(r"^UID:(.*?)\r?$", text, re.MULTILINE)
            assert found
            return found[1].strip()
    raise AssertionError("a message without a calendar")


def _made(organization: Organization) -> tuple[Tenant, list[Bridge], list[ConferencingUser]]:
    tenant = create_tenant(
        ACTOR, slug="generated", name="Contoso", domain="contoso.com", meeting_url="https://meet.contoso.com",
        settling_time=0, local_numbers_url="https://meet.contoso.com/dialin", meeting_service="link",
    )  # fmt: skip
    bridges = [set_bridge(tenant, f"Bridge {number}", ACTOR, make_default=number == 0) for number in range(3)]
    numbers = [("+14255550100", "toll", "United States"), ("+390698765432", "toll", "Italy")]
    for bridge, more in zip(bridges, ("", "1", "2"), strict=True):
        for e164, kind, country in numbers:
            if more != "2" or country == "Italy":
                register_number(bridge, f"{e164[:-1]}{more or 0}", kind, ACTOR, country=country)
    rows = [
        {"upn": f"user{number}@contoso.com", "bridge": bridges[person.bridge], **person.values}
        for number, person in enumerate(organization.people)
    ]
    users = create_users(tenant, rows, ACTOR)
    for user, person in zip(users, organization.people, strict=True):
        for number, builder in enumerate(person.meetings):
            invite(user, number, BUILDERS[builder])
    was = [user for user, person in zip(users, organization.people, strict=True) if person.was_migrated]
    if was:
        start_by_hand(tenant, ConferencingUser.objects.filter(pk__in=[user.pk for user in was]), ACTOR)
        while run := queue.claim():
            work_run(run)
        with (
            tempfile.TemporaryDirectory() as outbox,
            override_settings(EMAIL_BACKEND="migrations_app.mail.eml_files.EmailBackend", EMAIL_FILE_PATH=outbox),
        ):
            deliver()
    tenant = change_tenant(tenant, ACTOR, **organization.switches)
    return tenant, bridges, users


def _deed(
    organization: Organization, tenant: Tenant, bridges: Sequence[Bridge], users: Sequence[ConferencingUser]
) -> tuple[Plan, Callable[[], object]]:
    kind, how = organization.deed
    keys = [user.pk for user in users]
    rows = ConferencingUser.objects.filter(pk__in=keys)
    if kind == "start":
        targets = Targets.of_types(*how["types"]) if how["types"] else None
        plan: Plan = Starts.of(tenant, users=keys, targets=targets)
        return plan, lambda: start_by_hand(tenant, rows, ACTOR, targets=targets)
    if kind == "change":
        values = dict(how)
        if "bridge" in values:
            values["bridge"] = bridges[values["bridge"]]
        edits = [UserEdit(key, values) for key in keys]
        return Changes.of(tenant, values, users=keys), lambda: change_users(tenant, edits, ACTOR)
    number = ServiceNumber.objects.get(bridge=bridges[0], is_default=True)

    def replace() -> None:
        if tenant.meeting_migration_enabled:
            start_replacement(number, "+14255550199", ACTOR, now_due=True)
            number_release.advance(timezone.now() + TIME_BUDGET)

    plan = NumberRelease(tenant, {"number": number.pk, "e164": "+14255550199"})
    return plan, replace
