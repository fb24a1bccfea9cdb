"""Section 11 of the specification: the whole story of a rollout on the demo tenant, by commands alone, at real workers.

Contoso's people of the demo leave an old pool for a new service in three waves. What only pages have is done by the
functions of these pages: checks that would ask servers of the demo are taken off the list.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rollouts.test_redirects import asked, served
from tests.support.installation import Installation, Service, new_installation
from tests.support.waiting import wait_until

OLD, NEW = "Old pool", "New service"
ROLLOUT = "To the new service"
USERS = 12
"""Of the demo: the first two are those whose run fails, of whom one gets what was missing, and the other stays out."""
BROKEN, DAMAGED = "noemi.castellani@contoso.com", "tobias.gruenewald@contoso.com"
NEW_HOST = "join.contoso.example"


class Story:
    """What is asked of the installation, and what it answers."""

    def __init__(self, installation: Installation, folder: Path) -> None:
        self.installation, self.folder = installation, folder

    def __call__(self, *arguments: str) -> str:
        return self.installation.run(*arguments)

    def refused(self, *arguments: str) -> str:
        """A command that must say no, and what it says."""
        done = self.installation._commands.run(*arguments)
        assert done.returncode == 1, (arguments, done.stdout, done.stderr)
        return done.stderr

    def status(self, *arguments: str) -> int:
        return self.installation._commands.run(*arguments).returncode

    def file(self, name: str, text: str = "") -> str:
        (self.folder / name).write_text(text, encoding="utf-8")
        return str(self.folder / name)

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self(*arguments, "--format", "json"))
        return found

    def work(self) -> None:
        """Let the worker do all there is to do now."""
        self("run_migrations", "--until-idle")

    def wave(self, name: str) -> dict[str, Any]:
        (found,) = [wave for wave in self.rows("get_wave", "--rollout", ROLLOUT) if wave["Wave"] == name]
        return found

    def states(self, wave: str) -> dict[str, str]:
        found = self.rows("get_wave_member", "--rollout", ROLLOUT, "--wave", wave)
        return {row["UserPrincipalName"]: row["State"] for row in found}

    def conditions(self) -> list[dict[str, Any]]:
        """Those of retirement, each with whether it holds."""
        told = self.installation._commands.run("retire_deployment", OLD, "--dry-run", "--format", "json")
        found: list[dict[str, Any]] = json.loads(told.stdout)
        return found

    def report(self, wave: str) -> dict[str, Any]:
        path = self.folder / "report.json"
        self("export_wave_report", f"{ROLLOUT}/{wave}", "--output", str(path))
        (found,) = json.loads(path.read_text(encoding="utf-8"))["waves"]
        return dict(found)

    def answer(self, wave: str) -> None:
        """Every question before the wave is answered yes."""
        for check in self.installation.ask(f"manual_checks({wave!r})"):
            self("answer_check", str(check), "--yes")


@pytest.fixture
def story(tmp_path: Path, migrated: Path) -> Iterator[Story]:
    with new_installation(tmp_path) as installation:
        installation.migrate(migrated)
        yield Story(installation, tmp_path)


def test_a_rollout_from_beginning_to_end(story: Story) -> None:
    users = the_demo_with_two_deployments(story)
    test, pilot, everyone = users[:1], [BROKEN, *users[1:4]], users[4:]
    define(story, test, pilot)
    a_check_that_fails_closes_the_gate(story)
    the_test_users_move_and_are_accepted(story, test)
    a_batch_exceeds_the_threshold_and_stops_the_pilot(story, pilot)
    it_is_put_right_and_goes_on(story, pilot)
    everyone_moves_though_the_worker_is_killed(story, everyone)
    the_wave_is_taken_back_with_meetings_made_after_the_move(story, everyone)
    they_move_again(story, everyone)
    retirement_is_refused_and_then_granted(story)
    redirects_lead_latecomers_on(story)


def the_demo_with_two_deployments(story: Story) -> list[str]:
    story("load_demo", "--users", str(USERS))
    story.work()
    story(
        *("new_deployment", OLD, "--kind", "on-premises", "--role", "legacy", "--meeting-host", "meet.contoso.com"),
    )
    story(
        *("new_deployment", NEW, "--kind", "online", "--role", "new", "--meeting-host", NEW_HOST),
        *("--meeting-url", f"https://{NEW_HOST}", "--meeting-service", "link"),
    )
    for bridge, number in (("New bridge", "+14255550181"), ("New branch", "")):
        story("set_dial_in_conferencing_bridge", bridge)
        if number:
            story("register_service_number", number, "--bridge", bridge, "--type", "toll", "--country", "United States")
    story("register_service_number", "+14255550161", "--bridge", "Contoso Branch", "--type", "toll")
    upns = story.installation.ask("users_on('Contoso Cloud', 'Contoso Branch')")
    rows = [
        ("UserPrincipalName", "Deployment", "Hosting"),
        *((upn, OLD, "on-premises") for upn in upns if upn != DAMAGED),
    ]
    story("import_users", story.file("users.csv", "".join(",".join(row) + "\n" for row in rows)))
    story.work()
    for bridge in ("Contoso Cloud", "Contoso Branch"):
        story("set_dial_in_conferencing_bridge", bridge, "--deployment", OLD)
    for bridge in ("New bridge", "New branch"):
        story("set_dial_in_conferencing_bridge", bridge, "--deployment", NEW)
    story.work()
    users = sorted(upn for upn in upns if upn not in (BROKEN, DAMAGED))
    assert len(users) >= 8
    return users


def define(story: Story, test: list[str], pilot: list[str]) -> None:
    story("new_rollout", ROLLOUT, "--from", OLD, "--to", NEW)
    story(
        *("set_rollout", ROLLOUT, "--batches", "2,10", "--min-finished", "2", "--retire-after", "0"),
        *("--map-bridge", "Contoso Cloud=New bridge", "--map-bridge", "Contoso Branch=New branch"),
    )
    for wave in ("Test users", "Pilot"):
        story("set_rollout", ROLLOUT, "--wave", wave, "--observe-days", "0")
    story("set_rollout", ROLLOUT, "--wave", "Pilot", "--wave-batches", "1,2,10")
    rows = "".join(f"{upn},{wave}\n" for wave, upns in (("Test users", test), ("Pilot", pilot)) for upn in upns)
    members = story.file("members.csv", f"UserPrincipalName,Wave\n{rows}")
    story("import_wave_members", members, "--rollout", ROLLOUT)
    again = story("import_wave_members", members, "--rollout", ROLLOUT)
    assert story.states("Pilot") == dict.fromkeys(pilot, "Waiting"), again
    story.installation.ask("take_servers_off_the_list()")


def a_check_that_fails_closes_the_gate(story: Story) -> None:
    wave = f"{ROLLOUT}/Test users"
    assert story.status("check_rollout", ROLLOUT, "--wave", "Test users") == 3, "nobody has answered"
    story.answer("Test users")
    assert story.status("check_rollout", ROLLOUT, "--wave", "Test users") == 0
    story("answer_check", "Each side can be administered", "--no", "--note", "The new console does not open.")
    assert story.status("check_rollout", ROLLOUT, "--wave", "Test users") == 2
    assert "Each side can be administered" in story.refused("start_wave", wave)
    story("answer_check", "Each side can be administered", "--yes", "--note", "It opens now.")
    assert story.status("check_rollout", ROLLOUT, "--wave", "Test users") == 0


def the_test_users_move_and_are_accepted(story: Story, test: list[str]) -> None:
    story("start_wave", f"{ROLLOUT}/Test users")
    story.work()
    assert story.states("Test users") == dict.fromkeys(test, "Done")
    assert story.wave("Test users")["State"] == "Observing"
    story("accept_wave", f"{ROLLOUT}/Test users", "--note", "It works.")
    assert story.wave("Test users")["State"].startswith("Completed")
    told = story.report("Test users")
    (answered,) = [check for check in told["checks"] if check["name"] == "Each side can be administered"]
    assert [answer["answer"] for answer in answered["answers"]] == ["yes", "no", "yes"]


def a_batch_exceeds_the_threshold_and_stops_the_pilot(story: Story, pilot: list[str]) -> None:
    story.answer("Pilot")
    with story.installation.running_service():
        wait_until(lambda: story.status("check_rollout", ROLLOUT, "--wave", "Pilot") == 0)
    story("start_wave", f"{ROLLOUT}/Pilot")
    story.work()
    assert story.wave("Pilot")["State"] == "Stopped"
    states = story.states("Pilot")
    assert states[BROKEN] == "Failed"
    assert sorted(states.values()) == ["Failed", "Waiting", "Waiting", "Waiting"], "nobody else is moved"


def it_is_put_right_and_goes_on(story: Story, pilot: list[str]) -> None:
    story("register_service_number", "+14255550182", "--bridge", "New branch", "--type", "toll")
    assert "reason" in story.refused("resume_wave", f"{ROLLOUT}/Pilot")
    story("retry_wave_member", f"{ROLLOUT}/Pilot", "--user", BROKEN)
    story.work()
    assert story.states("Pilot")[BROKEN] == "Done"
    story("resume_wave", f"{ROLLOUT}/Pilot", "--reason", "The branch has a number now.")
    with story.installation.running_service():
        wait_until(lambda: story.wave("Pilot")["State"] == "Observing")
    assert story.states("Pilot") == dict.fromkeys(pilot, "Done")
    wait_until(lambda: "accepted" in try_to_accept(story, "Pilot"))
    told = story.report("Pilot")
    (stop,) = told["interruptions"]
    assert (stop["kind"], stop["until"] is None) == ("stopped", False)
    assert told["members"]["Done"] == 4
    assert told["meetings"]["updated"] > 0


def try_to_accept(story: Story, wave: str) -> str:
    story.work()
    done = story.installation._commands.run("accept_wave", f"{ROLLOUT}/{wave}")
    return done.stdout if done.returncode == 0 else ""


def everyone_moves_though_the_worker_is_killed(story: Story, everyone: list[str]) -> None:
    story.answer("Everyone")
    with story.installation.running_service():
        wait_until(lambda: story.status("check_rollout", ROLLOUT, "--wave", "Everyone") == 0)
    story("start_wave", f"{ROLLOUT}/Everyone")
    killed = 0
    while killed < 3:
        service = Service(story.installation)
        time.sleep(0.4 * (killed + 1))  # wherever it is by then
        service.kill()
        killed += 1
        story.installation.ask("[expire_claims(), expire_leases()][0]")
    with story.installation.running_service():
        wait_until(lambda: story.wave("Everyone")["State"] == "Observing")
    assert story.states("Everyone") == dict.fromkeys(everyone, "Done")
    assert story.installation.ask(f"runs_of_members({everyone!r})") == dict.fromkeys(everyone, 1)
    told = story.report("Everyone")
    assert told["runs"]["total"] == told["runs"]["Succeeded"] == len(everyone)
    assert 0 < told["messages"]["sent"] == told["messages"]["total"] <= told["meetings"]["updated"]
    assert len(list((story.folder / "outbox").glob("*.eml"))) == story.installation.ask("messages_told()")


def the_wave_is_taken_back_with_meetings_made_after_the_move(story: Story, everyone: list[str]) -> None:
    text = (Path("samples") / "invitations" / "budget.ics").read_text(encoding="utf-8")
    organizer = everyone[0]
    made = text.replace("anna@fabrikam.com", organizer).replace("meet.fabrikam.com", NEW_HOST)
    story("import_meetings", story.file("made-after.ics", made), "--user", organizer)
    assert f"{len(everyone)} members would move back" in story("roll_back_wave", f"{ROLLOUT}/Everyone", "--dry-run")
    story.installation.ask("search_wave_of('Everyone')")
    story.work()
    foreseen = story.rows("roll_back_wave", f"{ROLLOUT}/Everyone", "--dry-run")
    assert [row["UserPrincipalName"] for row in foreseen if row["Kind"] == "Stranded"] == [organizer]
    story("roll_back_wave", f"{ROLLOUT}/Everyone", "--reason", "Calls drop after a minute.")
    with story.installation.running_service():
        wait_until(lambda: story.wave("Everyone")["State"] == "RolledBack")
    assert story.states("Everyone") == dict.fromkeys(everyone, "RolledBack")
    assert set(story.installation.ask(f"users_of({OLD!r})")) >= set(everyone)
    told = story.report("Everyone")
    assert [row["user"] for row in told["lists"]["cannot_go_back"]] == [organizer]
    assert told["taken_back"]["meetings"]["updated"] == told["meetings"]["updated"]


def they_move_again(story: Story, everyone: list[str]) -> None:
    story("set_rollout", ROLLOUT, "--add-wave", "Again")
    story("set_rollout", ROLLOUT, "--wave", "Again", "--observe-days", "0")
    rows = "".join(f"{upn},Again\n" for upn in everyone)
    story("import_wave_members", story.file("again.csv", f"UserPrincipalName,Wave\n{rows}"), "--rollout", ROLLOUT)
    story.answer("Again")
    with story.installation.running_service():
        wait_until(lambda: story.status("check_rollout", ROLLOUT, "--wave", "Again") == 0)
    story("start_wave", f"{ROLLOUT}/Again")
    with story.installation.running_service():
        wait_until(lambda: story.wave("Again")["State"] == "Observing")
    assert story.states("Again") == dict.fromkeys(everyone, "Done")
    wait_until(lambda: "accepted" in try_to_accept(story, "Again"))


def retirement_is_refused_and_then_granted(story: Story) -> None:
    why = story.refused("retire_deployment", OLD)
    assert "cannot be retired" in why
    story.answer("")
    accounts, directories = story.file("accounts.csv"), story.file("directories.csv")
    story("retire_deployment", OLD, "--accounts", accounts, "--directories", directories, "--search")
    story.work()
    wait_until(lambda: story.installation.ask("search_has_ended()"))
    open_ones = [row["Condition"] for row in story.conditions() if not row["Holds"]]
    assert open_ones == ["meetings", "chat"], "those that MMS has left as they were, and the rooms of the demo"
    assert "cannot be retired" in story.refused("retire_deployment", OLD)
    story.installation.ask(f"accept_what_leads_to({OLD!r})")
    assert "cannot be retired" in story.refused("retire_deployment", OLD)
    assert story.installation.ask("open_chat_gate(1)")
    left = story.conditions()
    assert [row["Condition"] for row in left if not row["Holds"]] == [], left
    story("retire_deployment", OLD, "--reason", "Nobody is there any more.")
    assert "retired" in story.refused("roll_back_wave", f"{ROLLOUT}/Again")


def redirects_lead_latecomers_on(story: Story) -> None:
    path = story.folder / "redirects.map"
    story("export_redirects", ROLLOUT, "--output", str(path))
    table = story.folder / "redirects.csv"
    story("export_redirects", ROLLOUT, "--output", str(table))
    rows = list(csv.DictReader(table.read_text(encoding="utf-8-sig").splitlines()))
    assert rows
    first = next(row for row in rows if f"//{NEW_HOST}/" in row["NewJoinUrl"])
    assert "//meet.contoso.com/" in first["OldJoinUrl"]
    assert first["NewJoinUrl"] in path.read_text(encoding="utf-8")
    if shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"):
        with served(story.folder) as port:
            assert asked(port, first["OldJoinUrl"].partition("meet.contoso.com")[2]) == (302, first["NewJoinUrl"])
