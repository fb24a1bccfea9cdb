"""What starts a migration: the decision table (section 2 of the specification).

Plain functions over settings before and after a change; no database. Every answer is a sentence, "Run, because …"
or "No run, because …", which the screen, the command and the log show as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from migrations_app.targets import ALL_CURRENT, NO_SERVICE, Targets
from migrations_app.triggers.switches import Switches
from tenants_app.user_settings import SettingsChange, UserSettings
from tenants_app.wording import MEETINGS_STAY


class Reason(NamedTuple):
    """Why a run was asked for: the rule and its sentence."""

    rule: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer for one user. ``reasons`` are those of the run, and empty where none starts."""

    sentence: str
    reasons: tuple[Reason, ...] = ()
    targets: Targets = ALL_CURRENT

    @property
    def starts_run(self) -> bool:
        return bool(self.reasons)


class Trigger(NamedTuple):
    """A row of the table: a kind of change, the words for it, and whether it starts a run."""

    rule: str
    happened: Callable[[UserSettings, UserSettings, SettingsChange], bool]
    """Called with the settings before and after, and the change itself."""
    clause: str
    starts: bool
    """Whether the change starts a run at all."""
    is_automatic: bool = True
    """Whether ``AutomaticallyMigrateUserMeetings`` can switch it off (R13: R2 to R7)."""
    is_move: bool = False
    """Whether meetings of the on-premises deployment are made anew in the user's meeting service (R40)."""
    ends_undo: bool = False
    """Whether it counts as a person's start, who has seen whose undo it ends."""


TRIGGERS = (
    Trigger(
        "R1",
        lambda old, new, _: old.hosting == "on-premises" and new.hosting == "online",
        "the user moved from on-premises to online",
        starts=True,
        is_automatic=False,
        is_move=True,
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
        lambda old, new, _: _is_renumbered(old, new) and new.conference_id_type == "public",
        "the conference ID changed",
        starts=True,
    ),
    Trigger(
        "R4",
        lambda old, new, _: _is_renumbered(old, new) and new.conference_id_type == "private",
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
        "R5",
        lambda old, new, _: old.bridge_id is not None and new.bridge_id is None,
        "the user has no bridge any more: give them one, or disable audio conferencing",
        starts=False,
    ),
    Trigger(
        "R6",
        lambda old, new, change: change.unassigned_number != "",
        "the number {change.unassigned_number} was taken off the bridge",
        starts=True,
        ends_undo=True,
    ),
    Trigger(
        "R7",
        lambda old, new, _: _leaves_acp(old, new) and new.audio_conferencing_license,
        "the provider changed from {old.conferencing_provider} to Microsoft",
        starts=True,
    ),
    Trigger(
        "R7",
        lambda old, new, _: _leaves_acp(old, new) and not new.audio_conferencing_license,
        "the provider changed to Microsoft, but the user has no audio conferencing licence",
        starts=False,
    ),
    Trigger(
        "R16",
        lambda old, new, _: new.conferencing_provider not in {"", old.conferencing_provider},
        "the provider changed to {new.conferencing_provider}: use the Meeting Migration Tool instead",
        starts=False,
    ),
    Trigger(
        "R8",
        lambda old, new, _: old.sip_address != new.sip_address,
        "a changed SIP address does not start one: join links stay as they are",
        starts=False,
    ),
    # R9 of the tenant: decide_meetings_stay. R11 is no change: decide_start_by_hand.
    Trigger(
        "R9",
        lambda old, new, _: old.meeting_service != new.meeting_service,
        MEETINGS_STAY["meeting_service"],
        starts=False,
    ),
    Trigger(
        "R10",
        lambda old, new, change: _has_other_numbers(old, new) and change.reschedule_meetings,
        "the default number changed and rescheduling was asked for",
        starts=True,
        is_automatic=False,
    ),
    Trigger(
        "R10",
        lambda old, new, change: _has_other_numbers(old, new) and not change.reschedule_meetings,
        "a changed default number starts one only with “reschedule meetings”",
        starts=False,
    ),
    Trigger(
        "R15",
        lambda old, new, _: old.mailbox_location != new.mailbox_location,
        "a moved mailbox alone does not start one",
        starts=False,
    ),
    Trigger(
        "R36",
        lambda old, new, _: old.mailbox != new.mailbox,
        "another mailbox connection alone does not start one",
        starts=False,
    ),
    # These show in invitations, but no rule starts a run for them; the user is out of date until the next (R36).
    Trigger(
        "R36",
        lambda old, new, _: old.conference_id_type != new.conference_id_type,
        "a changed kind of conference ID alone does not start one",
        starts=False,
    ),
    Trigger(
        "R36",
        lambda old, new, _: old.language != new.language,
        "a changed language alone does not start one",
        starts=False,
    ),
)


def _is_renumbered(old: UserSettings, new: UserSettings) -> bool:
    """Whether one conference ID replaced another. A first ID comes with a bridge, which is R5."""
    return bool(old.conference_id and new.conference_id) and old.conference_id != new.conference_id


def _leaves_acp(old: UserSettings, new: UserSettings) -> bool:
    return bool(old.conferencing_provider) and not new.conferencing_provider


def _has_other_numbers(old: UserSettings, new: UserSettings) -> bool:
    """Whether the user's own numbers changed on the same bridge. A new bridge always changes them, which is R5."""
    before, after = (old.toll_number_id, old.toll_free_number_id), (new.toll_number_id, new.toll_free_number_id)
    return before != after and old.bridge_id == new.bridge_id


class Obstacle(NamedTuple):
    """What keeps MMS from migrating a user: a value of one of their settings."""

    rule: str
    setting: str
    """A field of :class:`UserSettings`."""
    value: str
    """The value that stands in the way; empty for every value but the empty one."""
    clause: str
    unless: str = ""
    """A setting that takes it out of the way, where it is true."""

    def is_met(self, settings: UserSettings) -> bool:
        """Whether it stands in the way of a user with these settings."""
        if self.unless and getattr(settings, self.unless):
            return False
        found: str = getattr(settings, self.setting)
        return found == self.value if self.value else found != ""


OBSTACLES = (
    Obstacle(
        "R15",
        "mailbox_location",
        "on-premises",
        "the mailbox is on Exchange on-premises: use the Meeting Migration Tool instead",
        unless="is_mailbox_connected",
    ),
    Obstacle(
        "R16",
        "conferencing_provider",
        "",
        "{settings.conferencing_provider} provides the user's conferencing: use the Meeting Migration Tool instead",
    ),
    Obstacle(
        "R16",
        "bridge_provider",
        "",
        "the bridge {settings.bridge_name} belongs to {settings.bridge_provider}: "
        "use the Meeting Migration Tool instead",
    ),
    Obstacle(
        "R17",
        "hosting",
        "on-premises",
        "the user is hosted on-premises: move them online, or use the Meeting Migration Tool instead",
    ),
)
"""Who cannot be migrated (R15 to R17). Of several obstacles the first is told."""


def why_not_served(settings: UserSettings) -> Reason | None:
    """Why MMS cannot migrate a user with these settings (R15 to R17), or None where it can."""
    for obstacle in OBSTACLES:
        if obstacle.is_met(settings):
            return Reason(obstacle.rule, obstacle.clause.format(settings=settings))
    return None


def why_not_reachable(settings: UserSettings) -> Reason | None:
    """Why MMS cannot write into the user's mailbox (R15), or None where it can."""
    refusal = why_not_served(settings)
    return refusal if refusal and refusal.rule == "R15" else None


def decide(change: SettingsChange, switches: Switches, service: str = NO_SERVICE) -> Decision:
    """Whether a change of a user's settings starts a run, and why or why not.

    ``service`` is the user's meeting service, which is asked for after a move to online alone (R40).
    Where several things prevent a run, the sentence names the first of these: a move to on-premises (R17), a change
    that starts nothing by itself, a user whom MMS cannot serve (R14 to R17), the service switched off (R12),
    automatic runs switched off (R13), and an undo that holds until a person starts the user.
    """
    old, new = change.before, change.after
    if old.hosting == "online" and new.hosting == "on-premises":
        return _no_run(
            "MMS does not migrate meetings from online to on-premises: use the Meeting Migration Tool instead"
        )
    happened = [
        (trigger, trigger.clause.format(old=old, new=new, change=change))
        for trigger in TRIGGERS
        if trigger.happened(old, new, change)
    ]
    if not happened:
        return _no_run("nothing changed that the invitations show")
    starting = [(trigger, clause) for trigger, clause in happened if trigger.starts]
    if not starting:
        return _no_run("; ".join(clause for _, clause in happened))
    refusal = _kept_acp(change, switches) or why_not_served(new)
    if refusal:
        return _no_run(refusal.sentence)
    if not switches.meeting_migration_enabled:
        return _no_run("the service is switched off for this tenant (MeetingMigrationEnabled)")
    if not switches.automatically_migrate_user_meetings:
        starting = [(trigger, clause) for trigger, clause in starting if not trigger.is_automatic]
        if not starting:
            return _no_run("AutomaticallyMigrateUserMeetings is off: start it by hand when you are ready")
    if new.undo_holds and not any(trigger.ends_undo for trigger, _ in starting):
        return _no_run("an undo holds, which put the user's meetings back: start it by hand when you are ready")
    targets = Targets.of_move(service) if any(trigger.is_move for trigger, _ in starting) else ALL_CURRENT
    return Decision(
        f"Run, because {' and '.join(clause for _, clause in starting)}{_aim(targets)}.",
        tuple(Reason(trigger.rule, f"{clause[0].upper()}{clause[1:]}.") for trigger, clause in starting),
        targets,
    )


def decide_meetings_stay(field: str) -> Decision:
    """The answer to a change of the tenant that starts no run for anybody (R9); ``field`` is in ``MEETINGS_STAY``."""
    return _no_run(MEETINGS_STAY[field])


def decide_start_by_hand(
    settings: UserSettings,
    switches: Switches,
    actor: str,
    targets: Targets = ALL_CURRENT,
    service: str = NO_SERVICE,
    pending: Targets = ALL_CURRENT,
) -> Decision:
    """Whether an administrator may start a run with these targets for the user now (R11, R40).

    ``service`` is the user's meeting service; ``pending`` are the targets of the user's pending run, if there is one.
    """
    refusal = why_not_served(settings)
    if refusal:
        return _no_run(refusal.sentence)
    if not switches.meeting_migration_enabled:
        return _no_run("the service is switched off for this tenant: switch MeetingMigrationEnabled on first")
    missing = targets.services - {service}
    if missing:
        return _no_run(
            f"{' and '.join(sorted(missing))} is not the user's meeting service: make it theirs, or choose the target "
            "Current"
        )
    if targets.services and pending.services - targets.services:
        return _no_run(
            f"the user's pending run moves meetings to {' and '.join(sorted(pending.services))}: start it when that "
            "has ended, or choose the same target"
        )
    aim = _aim(targets)
    return Decision(
        f"Run, because it was started by hand{aim}.", (Reason("R11", f"Started by hand by {actor}{aim}."),), targets
    )


def _aim(targets: Targets) -> str:
    """What becomes of the meetings, to end a sentence; nothing where all stay in their service."""
    return "" if targets == ALL_CURRENT else f": {targets.words}"


def _kept_acp(change: SettingsChange, switches: Switches) -> Reason | None:
    """Why a newly assigned licence leaves a user on their ACP (R14), unless MMS could not serve them anyway."""
    old, new = change.before, change.after
    is_assigned = not old.audio_conferencing_license and new.audio_conferencing_license
    stays = old.conferencing_provider and new.conferencing_provider
    if switches.automatically_replace_acp_provider or not (is_assigned and stays):
        return None
    if why_not_served(replace(new, conferencing_provider="", bridge_provider="")):
        return None
    return Reason(
        "R14",
        f"AutomaticallyReplaceAcpProvider is off and {new.conferencing_provider} stays the provider: "
        "make Microsoft the provider by hand, with a bridge of Microsoft's",
    )


def _no_run(why: str) -> Decision:
    return Decision(f"No run, because {why}.")
