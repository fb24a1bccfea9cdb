"""What starts a migration: the decision table (section 2 of the specification).

Plain functions over settings before and after a change; no database. Every answer is a sentence, "Run, because …"
or "No run, because …", which the screen, the command and the log show as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from tenants_app.announcements import UserChange, UserSettings

MOVE, AUDIO_CONFERENCING, MANUAL = "MoveToOnline", "AudioConferencing", "Manual"


class Reason(NamedTuple):
    """Why a run was asked for: the rule and its sentence."""

    rule: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Switches:
    """The tenant's switches that the table reads."""

    meeting_migration_enabled: bool  # R12
    automatically_migrate_user_meetings: bool  # R13


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer for one user. ``reasons`` are what a run is asked for; empty where there is none."""

    sentence: str
    reasons: tuple[Reason, ...] = ()
    migration_type: str = AUDIO_CONFERENCING

    @property
    def starts_run(self) -> bool:
        return bool(self.reasons)


class Trigger(NamedTuple):
    """A row of the table: the change it is about, what it is called, and what it does."""

    rule: str
    happened: Callable[[UserSettings, UserSettings, bool], bool]
    clause: str
    starts: bool
    """Whether the change starts a run at all."""
    is_audio: bool = True
    """Whether ``AutomaticallyMigrateUserMeetings`` switches it off (R13)."""


def _is_public(settings: UserSettings) -> bool:
    return settings.conference_id_type == "public"


TRIGGERS = (
    Trigger(
        "R1",
        lambda old, new, _: old.hosting == "on-premises" and new.hosting == "online",
        "the user moved from on-premises to online",
        starts=True,
        is_audio=False,
    ),
    Trigger(
        "R2",
        lambda old, new, _: not old.audio_conferencing_license and new.audio_conferencing_license,
        "the audio conferencing licence was assigned",
        starts=True,
    ),
    Trigger(
        "R2",
        lambda old, new, _: old.audio_conferencing_license and not new.audio_conferencing_license,
        "the audio conferencing licence was removed",
        starts=True,
    ),
    Trigger(
        "R3",
        lambda old, new, _: not old.audio_conferencing_enabled and new.audio_conferencing_enabled,
        "audio conferencing was enabled",
        starts=True,
    ),
    Trigger(
        "R3",
        lambda old, new, _: old.audio_conferencing_enabled and not new.audio_conferencing_enabled,
        "audio conferencing was disabled",
        starts=True,
    ),
    Trigger(
        "R4",
        lambda old, new, _: (
            _is_public(new) and bool(old.conference_id and new.conference_id) and old.conference_id != new.conference_id
        ),
        "the conference ID changed",
        starts=True,
    ),
    Trigger(
        "R4",
        lambda old, new, _: (
            not _is_public(new)
            and bool(old.conference_id and new.conference_id)
            and old.conference_id != new.conference_id
        ),
        "the conference ID changed, but the user's meetings have IDs of their own",
        starts=False,
    ),
    Trigger(
        "R5",
        lambda old, new, _: old.bridge_id != new.bridge_id and new.bridge_id is not None,
        "the user moved to the bridge {new.bridge_name}",
        starts=True,
    ),
    Trigger(
        "R7",
        lambda old, new, _: (
            bool(old.conferencing_provider) and not new.conferencing_provider and new.audio_conferencing_license
        ),
        "the provider changed from {old.conferencing_provider} to Microsoft",
        starts=True,
    ),
    Trigger(
        "R5",
        lambda old, new, _: old.bridge_id is not None and new.bridge_id is None,
        "the user has no bridge any more: give them one, or disable audio conferencing",
        starts=False,
    ),
    Trigger(
        "R8",
        lambda old, new, _: old.sip_address != new.sip_address,
        "a changed SIP address alone does not start one",
        starts=False,
    ),
    Trigger(
        "R10",
        lambda old, new, reschedule: reschedule and _numbers(old) != _numbers(new) and old.bridge_id == new.bridge_id,
        "the default number changed and rescheduling was asked for",
        starts=True,
    ),
    Trigger(
        "R10",
        lambda old, new, reschedule: (
            not reschedule and _numbers(old) != _numbers(new) and old.bridge_id == new.bridge_id
        ),
        "a changed default number starts one only with “reschedule meetings”",
        starts=False,
    ),
    # These show in invitations, but no rule starts a run for them; the user is out of date until the next (R36).
    Trigger(
        "R36",
        lambda old, new, _: old.conference_id_type != new.conference_id_type,
        "a changed kind of conference ID alone does not start one: start it by hand",
        starts=False,
    ),
    Trigger(
        "R36",
        lambda old, new, _: old.language != new.language,
        "a changed language alone does not start one: start it by hand",
        starts=False,
    ),
    Trigger(
        "R36",
        lambda old, new, _: old.mailbox_location != new.mailbox_location,
        "a moved mailbox alone does not start one",
        starts=False,
    ),
)


def _numbers(settings: UserSettings) -> tuple[int | None, int | None]:
    return settings.toll_number_id, settings.toll_free_number_id


def why_not_served(settings: UserSettings) -> Reason | None:
    """Why MMS cannot migrate a user with these settings (R15 to R17), or None where it can."""
    tool = "use the Meeting Migration Tool instead"
    if settings.mailbox_location == "on-premises":
        return Reason("R15", f"the mailbox is on Exchange on-premises: {tool}")
    if settings.conferencing_provider:
        return Reason("R16", f"{settings.conferencing_provider} provides the user's conferencing: {tool}")
    if settings.bridge_provider:
        return Reason("R16", f"the bridge {settings.bridge_name} belongs to {settings.bridge_provider}: {tool}")
    if settings.hosting == "on-premises":
        return Reason("R17", f"the user is hosted on-premises: move them online, or {tool}")
    return None


def decide(change: UserChange, switches: Switches) -> Decision:
    """Whether a change of a user's settings starts a run, and why or why not."""
    old, new = change.before, change.after
    happened = [
        (trigger, trigger.clause.format(old=old, new=new))
        for trigger in TRIGGERS
        if trigger.happened(old, new, change.reschedule_meetings)
    ]
    if old.hosting == "online" and new.hosting == "on-premises":
        return Decision(
            "No run, because MMS does not migrate meetings from online to on-premises: "
            "use the Meeting Migration Tool instead."
        )
    if not happened:
        return Decision("No run, because nothing changed that the invitations show.")
    starting = [(trigger, clause) for trigger, clause in happened if trigger.starts]
    if not starting:
        return Decision(f"No run, because {happened[0][1]}.")
    refusal = why_not_served(new)
    if refusal:
        return Decision(f"No run, because {refusal.sentence}.")
    if not switches.meeting_migration_enabled:
        return Decision("No run, because the service is switched off for this tenant (MeetingMigrationEnabled).")
    if not switches.automatically_migrate_user_meetings:
        starting = [(trigger, clause) for trigger, clause in starting if not trigger.is_audio]
        if not starting:
            return Decision(
                "No run, because AutomaticallyMigrateUserMeetings is off: start it by hand when you are ready."
            )
    return Decision(
        f"Run, because {' and '.join(clause for _, clause in starting)}.",
        tuple(Reason(trigger.rule, f"{clause[0].upper()}{clause[1:]}.") for trigger, clause in starting),
        AUDIO_CONFERENCING if all(trigger.is_audio for trigger, _ in starting) else MOVE,
    )


def decide_start_by_hand(settings: UserSettings, switches: Switches, actor: str) -> Decision:
    """Whether an administrator may start a run for the user now (R11)."""
    refusal = why_not_served(settings)
    if refusal:
        return Decision(f"No run, because {refusal.sentence}.")
    if not switches.meeting_migration_enabled:
        return Decision(
            "No run, because the service is switched off for this tenant: switch MeetingMigrationEnabled on first."
        )
    return Decision("Run, because it was started by hand.", (Reason("R11", f"Started by hand by {actor}."),), MANUAL)
