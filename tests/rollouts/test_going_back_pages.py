"""Taking back, retiring and redirecting in the browser and by command: pages, files, refusals (R83 to R91)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management.base import CommandError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import AcceptedMeeting, Notice, RolloutCheck, TakenListing, Wave, WaveMember
from migrations_app.rollouts import searching, taken_listings
from tenants_app.changes.tenants import change_tenant
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Deployment, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import Command
from tests.support.going_back import move_forward
from tests.support.meetings import FOLD, invite
from tests.support.rollouts import a_deployment, a_rollout, a_wave, belong_to, members

pytestmark = pytest.mark.django_db
NEW_HOST = "join.contoso.com"


@pytest.fixture
def wave(
    tenant: Tenant,
    anna: ConferencingUser,
    make_user: Callable[..., ConferencingUser],
    old_bridge: Bridge,
    new_bridge: Bridge,
) -> Wave:
    """Anna and Bruno have moved; Anna has a meeting that a run has moved, and one that she scheduled afterwards."""
    change_tenant(tenant, ACTOR, local_numbers_url="https://dialin.contoso.com/")
    legacy = a_deployment(tenant, meeting_hosts=["meet.contoso.com"], highest_client_version="16.0.4266")
    new = a_deployment(
        tenant, "new", meeting_service="link", meeting_hosts=[NEW_HOST], meeting_url=f"https://{NEW_HOST}"
    )
    bruno = make_user("bruno")
    belong_to(legacy, [anna, bruno], old_bridge)
    belong_to(new, [], new_bridge)
    wave = a_wave(a_rollout(tenant, legacy, new))
    invite(anna, subject="Weekly")
    members(wave, ConferencingUser.objects.filter(pk__in=[anna.pk, bruno.pk]), client_version="16.0.9999")
    move_forward(wave)
    uid, body = invite(anna, 3, subject="Planning")
    unfolded = FOLD.sub(b"", body)  # a fold may stand within a host
    EmbeddedMailbox(anna).store([(uid, unfolded.replace(b"meet.contoso.com", NEW_HOST.encode()))])
    return wave


def search() -> None:
    searching.advance(timezone.now() + timedelta(minutes=1))


def at(name: str, wave: Wave, *more: Any) -> str:
    of_wave = ("roll-back-wave", "wave-stranded", "wave-stranded-csv", "search-stranded", "tell-stranded")
    place = [wave.position] if name in of_wave else []
    return reverse(name, args=["contoso", wave.rollout_id, *place, *more])


# --- taking a wave back -------------------------------------------------------------------------------


def test_r83_the_page_says_with_numbers_what_would_come_of_it(bob: Client, wave: Wave) -> None:
    page = bob.get(at("roll-back-wave", wave))

    assert page.status_code == 200
    foresight = page.context["foresight"]
    assert (foresight.members, foresight.totals.updated) == (2, 1)
    assert foresight.totals.recipients > 0
    assert page.context["client_count"] == 2
    assert [row.subject for row in page.context["stranded_now"]] == ["Planning"]


def test_r83_chosen_members_alone_are_taken_back(bob: Client, wave: Wave, anna: ConferencingUser) -> None:
    answer = bob.post(at("roll-back-wave", wave), {"users": f"{anna.upn}\n", "reason": "Echoes"})

    assert answer.status_code == 302
    going = WaveMember.objects.filter(is_going_back=True)
    assert [member.user for member in going] == [anna]
    assert AuditEntry.objects.get(action="roll back wave").actor == "bob"


def test_r83_a_refusal_is_told_where_it_is_asked_for(bob: Client, wave: Wave) -> None:
    answer = bob.post(at("roll-back-wave", wave), {"users": "nobody@contoso.com"})
    assert "There is no user nobody@contoso.com" in answer.content.decode()
    Wave.objects.filter(pk=wave.pk).update(state="RolledBack")
    answer = bob.post(at("roll-back-wave", wave), {})
    assert "has been taken back already" in answer.content.decode()
    assert not WaveMember.objects.filter(is_going_back=True).exists()


def test_r83_all_meetings_can_be_looked_at_in_the_background(bob: Client, wave: Wave) -> None:
    answer = bob.post(at("roll-back-wave", wave), {"look": "1"})

    assert "/previews/" in answer["Location"]
    assert bob.get(answer["Location"]).status_code == 200
    assert not WaveMember.objects.filter(is_going_back=True).exists()


def test_r83_by_command(command: Command, wave: Wave, anna: ConferencingUser) -> None:
    told = command("roll_back_wave", wave.name, "--dry-run")
    assert "2 members would move back." in told
    assert "1 meeting would be put back" in told
    assert "Planning" in told
    assert "Dry run: nothing was written." in told

    rows = json.loads(command("roll_back_wave", wave.name, "--dry-run", "--format", "json", "--user", anna.upn))
    assert [(row["Kind"], row["UserPrincipalName"], row["Subject"]) for row in rows] == [
        ("Stranded", anna.upn, "Planning"),
        ("Client", anna.upn, None),
    ]
    assert not WaveMember.objects.filter(is_going_back=True).exists()

    assert "1 member of the wave Test users moves back." in command("roll_back_wave", wave.name, "--user", anna.upn)
    assert WaveMember.objects.get(is_going_back=True).user == anna
    with pytest.raises(CommandError, match="is being taken back already"):
        command("roll_back_wave", wave.name)


# --- what cannot go back ------------------------------------------------------------------------------


def test_r85_searched_listed_as_csv_and_told(bob: Client, vera: Client, wave: Wave, anna: ConferencingUser) -> None:
    assert "The mailboxes were not searched yet" in vera.get(at("wave-stranded", wave)).content.decode()
    assert vera.get(at("wave-stranded-csv", wave)).status_code == 404
    assert bob.post(at("search-stranded", wave)).status_code == 302
    assert "being searched" in vera.get(at("wave-stranded", wave)).content.decode()
    search()

    page = vera.get(at("wave-stranded", wave)).content.decode()
    assert "Planning" in page
    assert "Weekly" not in page
    assert "tell-stranded" not in page  # who only reads is offered nothing
    text = vera.get(at("wave-stranded-csv", wave)).getvalue().decode()
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["UserPrincipalName"], row["Subject"]) == (anna.upn, "Planning")
    assert row["Attendees"]

    bob.post(at("tell-stranded", wave))
    assert Notice.objects.get(kind="Stranded").user == anna
    bob.post(at("tell-stranded", wave))
    assert Notice.objects.filter(kind="Stranded").count() == 1


# --- retirement ---------------------------------------------------------------------------------------


@pytest.fixture
def legacy(wave: Wave) -> Deployment:
    """Everything that retirement asks for, but for the listings and the search."""
    long_ago = timezone.now() - timedelta(days=20)
    wave.rollout.waves.exclude(pk=wave.pk).delete()
    Wave.objects.update(state="Completed", moved_at=long_ago, accepted_at=long_ago, accepted_by="test")
    RolloutCheck.objects.filter(wave=None).delete()
    return wave.rollout.legacy


def give(client: Client, wave: Wave, kind: str, octets: bytes, **more: str) -> Any:
    file = SimpleUploadedFile(f"{kind}.csv", octets)
    return client.post(at("retirement-listing", wave, kind), {"file": file, "is_whole": "on", **more})


def test_r88_refused_until_it_is_shown_then_granted_and_taken_back(
    alice: Client, bob: Client, wave: Wave, legacy: Deployment
) -> None:
    page = alice.get(at("retire-deployment", wave))
    assert len(page.context["why"]) == 3
    alice.post(at("retire-deployment", wave))
    legacy.refresh_from_db()
    assert legacy.retired_at is None

    assert give(bob, wave, "accounts", b"").status_code == 302
    assert give(bob, wave, "directories", b"ConferenceDirectory,OwnerBefore,OwnerAfter\n1,a,b\n").status_code == 302
    bob.post(at("retirement-search", wave))
    search()
    closing = bob.get(at("rollout-retirement", wave)).context["gate"].closing
    assert [(condition.code, condition.named) for condition in closing] == []
    assert bob.post(at("retire-deployment", wave)).status_code == 403

    assert alice.post(at("retire-deployment", wave), {"reason": "Empty"}).status_code == 302
    legacy.refresh_from_db()
    assert legacy.retired_at is not None
    page = bob.get(at("rollout-retirement", wave))
    assert "Retired" in page.content.decode()
    assert all(condition.holds for condition in page.context["gate"].conditions), "what was shown when it was retired"

    assert alice.post(at("take-back-retirement", wave), {}).status_code == 200  # a reason is asked for
    alice.post(at("take-back-retirement", wave), {"reason": "A phone was left"})
    legacy.refresh_from_db()
    assert legacy.retired_at is None


def test_r88_a_listing_must_be_said_to_be_whole(bob: Client, wave: Wave, legacy: Deployment) -> None:
    answer = give(bob, wave, "accounts", b"", is_whole="")
    assert "MMS cannot know that" in answer.content.decode()
    answer = give(bob, wave, "accounts", b"Pool\nold\n")
    assert "must name the columns" in answer.content.decode()
    assert not TakenListing.objects.exists()


def test_r88_meetings_are_accepted_by_name(
    alice: Client, bob: Client, wave: Wave, legacy: Deployment, anna: ConferencingUser
) -> None:
    invite(anna, 5, subject="Old printout")
    searching.search_tenant(legacy, ACTOR)
    search()
    page = alice.get(at("rollout-retirement", wave))
    (row,) = page.context["page"].object_list
    assert "Old printout" in page.content.decode()
    assert bob.post(at("retirement-accept", wave), {"meeting": row.pk, "reason": "x"}).status_code == 403
    alice.post(at("retirement-accept", wave), {"meeting": row.pk, "reason": ""})
    assert not AcceptedMeeting.objects.exists()

    alice.post(at("retirement-accept", wave), {"meeting": row.pk, "reason": "Nobody dials in"})

    assert AcceptedMeeting.objects.get().reason == "Nobody dials in"
    assert "Nobody dials in" in alice.get(at("rollout-retirement", wave)).content.decode()


def test_r88_by_command(command: Command, wave: Wave, legacy: Deployment, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"Old pool cannot be retired: No listing.*were not searched") as refused:
        command("retire_deployment", "Old pool")
    assert refused.value.returncode == 1
    (tmp_path / "accounts.csv").write_text("SipAddress\n", encoding="utf-8")
    (tmp_path / "directories.csv").write_text("", encoding="utf-8")
    files = ["--accounts", str(tmp_path / "accounts.csv"), "--directories", str(tmp_path / "directories.csv")]
    assert "The listing of accounts is empty." in command("retire_deployment", "Old pool", *files, "--search")
    search()
    records = json.loads(command("retire_deployment", "Old pool", "--dry-run", "--format", "json"))
    assert {record["Condition"]: record["Holds"] for record in records}["meetings"]
    legacy.refresh_from_db()
    assert legacy.retired_at is None

    assert "Old pool is retired" in command("retire_deployment", "old POOL", "--reason", "Empty")
    assert "is taken back" in command("retire_deployment", "Old pool", "--take-back")


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["Nowhere"], 1, "has no deployment Nowhere"),
        (["none"], 1, "Name the deployment"),
        (["Old pool", "--accounts", "/nowhere/x.csv"], 1, "cannot be read"),
        (["Old pool", "--take-back"], 1, "is not retired"),
        (["Old pool", "--take-back", "--search"], 2, "stands alone"),
        (["Old pool", "--accounts", "-", "--directories", "-"], 2, "Only one"),
    ],
)
def test_r88_bad_input_by_command(
    command: Command, legacy: Deployment, arguments: list[str], status: int, told: str
) -> None:
    with pytest.raises(CommandError, match=told) as refused:
        command("retire_deployment", *arguments)
    assert refused.value.returncode == status


# --- redirects ----------------------------------------------------------------------------------------


def test_r90_pages_files_and_the_command(vera: Client, command: Command, wave: Wave, tmp_path: Path) -> None:
    page = vera.get(at("rollout-redirects", wave)).content.decode()
    assert f"https://{NEW_HOST}/" in page
    as_csv = vera.get(at("redirects-file", wave, "csv")).getvalue().decode()
    as_map = vera.get(at("redirects-file", wave, "map")).getvalue().decode()
    assert as_csv.startswith("OldJoinUrl,NewJoinUrl,")
    assert "map_hash_bucket_size" in as_map
    assert vera.get(at("redirects-file", wave, "exe")).status_code == 404

    told = command("export_redirects", "--tenant", "contoso", wave.rollout.name, "--output", str(tmp_path / "r.map"))
    assert "1 link: written to" in told
    assert (tmp_path / "r.map").read_text(encoding="utf-8") == as_map
    command("export_redirects", "--tenant", "contoso", wave.rollout.name, "--output", str(tmp_path / "r.csv"))
    assert (tmp_path / "r.csv").read_bytes().decode() == as_csv
    with pytest.raises(CommandError, match="says no kind of map") as refused:
        command("export_redirects", "--tenant", "contoso", wave.rollout.name, "--output", str(tmp_path / "r.txt"))
    assert refused.value.returncode == 2


def test_r88_the_whole_evidence_is_shown(vera: Client, wave: Wave, legacy: Deployment) -> None:
    taken_listings.take(legacy, TakenListing.Kind.ACCOUNTS, b"SipAddress\nsip:zoe@contoso.com\n", "a.csv", ACTOR)
    page = vera.get(at("rollout-retirement", wave)).content.decode()
    assert "sip:zoe@contoso.com" in page
    assert "Give the listing" not in page  # who only reads gives nothing
