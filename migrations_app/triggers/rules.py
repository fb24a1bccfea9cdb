"""What starts a migration: the decision table (section 2 of the specification).

Plain functions over settings before and after a change; no database. Every answer is a sentence, "Run, because …"
or "No run, because …", which the screen, the command and the log show as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Any, NamedTuple

from migrations_app.targets import ALL_CURRENT, LINK, NO_SERVICE, SKYPE, TEAMS, Targets
from migrations_app.triggers.switches import Switches
from tenants_app.sentences import Sentence, english, sentence, whole
from tenants_app.user_settings import SettingsChange, UserSettings
from tenants_app.wording import MEETINGS_STAY


class Reason(NamedTuple):
    """Why a run was asked for: the rule and its sentence."""

    rule: str
    sentence: Sentence


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer for one user. ``reasons`` are those of the run, and empty where none starts."""

    sentence: Sentence
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
    clause: Sentence
    starts: bool
    """Whether the change starts a run at all."""
    is_automatic: bool = True
    """Whether ``AutomaticallyMigrateUserMeetings`` can switch it off (R13: R2 to R7)."""
    is_move: bool = False
    """Whether meetings of the on-premises deployment are made anew in the user's meeting service (R40)."""
    ends_undo: bool = False
    """Whether it counts as a person's start, who has seen whose undo it ends."""
    goes_with_deployment: bool = False
    """Whether a move to another deployment brings it along, which decides for all of it (R62)."""


TRIGGERS = (
    Trigger(
        "R1",
        lambda old, new, _: old.hosting == "on-premises" and new.hosting == "online",
        sentence("the user moved from on-premises to online"),
        starts=True,
        is_automatic=False,
        is_move=True,
    ),
    Trigger(
        "R2",
        lambda old, new, _: not old.audio_conferencing_license and new.audio_conferencing_license,
        sentence("the audio conferencing licence was assigned"),
        starts=True,
    ),
    Trigger(
        "R2",
        lambda old, new, _: old.audio_conferencing_license and not new.audio_conferencing_license,
        sentence("the audio conferencing licence was removed"),
        starts=True,
    ),
    Trigger(
        "R3",
        lambda old, new, _: not old.audio_conferencing_enabled and new.audio_conferencing_enabled,
        sentence("audio conferencing was enabled"),
        starts=True,
    ),
    Trigger(
        "R3",
        lambda old, new, _: old.audio_conferencing_enabled and not new.audio_conferencing_enabled,
        sentence("audio conferencing was disabled"),
        starts=True,
    ),
    Trigger(
        "R4",
        lambda old, new, _: _is_renumbered(old, new) and new.conference_id_type == "public",
        sentence("the conference ID changed"),
        starts=True,
        goes_with_deployment=True,
    ),
    Trigger(
        "R4",
        lambda old, new, _: _is_renumbered(old, new) and new.conference_id_type == "private",
        sentence("the conference ID changed, but the user's meetings have IDs of their own"),
        starts=False,
        goes_with_deployment=True,
    ),
    Trigger(
        "R5",
        lambda old, new, _: old.bridge_id != new.bridge_id and new.bridge_id is not None,
        sentence("the user moved to the bridge %(bridge)s"),
        starts=True,
        goes_with_deployment=True,
    ),
    Trigger(
        "R5",
        lambda old, new, _: old.bridge_id is not None and new.bridge_id is None,
        sentence("the user has no bridge any more: give them one, or disable audio conferencing"),
        starts=False,
    ),
    Trigger(
        "R6",
        lambda old, new, change: change.unassigned_number != "",
        sentence("the number %(number)s was taken off the bridge"),
        starts=True,
        ends_undo=True,
    ),
    Trigger(
        "R7",
        lambda old, new, _: _leaves_acp(old, new) and new.audio_conferencing_license,
        sentence("the provider changed from %(old_provider)s to Microsoft"),
        starts=True,
    ),
    Trigger(
        "R7",
        lambda old, new, _: _leaves_acp(old, new) and not new.audio_conferencing_license,
        sentence("the provider changed to Microsoft, but the user has no audio conferencing licence"),
        starts=False,
    ),
    Trigger(
        "R16",
        lambda old, new, _: new.conferencing_provider not in {"", old.conferencing_provider},
        sentence("the provider changed to %(provider)s: use the Meeting Migration Tool instead"),
        starts=False,
    ),
    Trigger(
        "R8",
        lambda old, new, _: old.sip_address != new.sip_address,
        sentence("a changed SIP address does not start one: join links stay as they are"),
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
        sentence("the default number changed and rescheduling was asked for"),
        starts=True,
        is_automatic=False,
        goes_with_deployment=True,
    ),
    Trigger(
        "R10",
        lambda old, new, change: _has_other_numbers(old, new) and not change.reschedule_meetings,
        sentence("a changed default number starts one only with “reschedule meetings”"),
        starts=False,
        goes_with_deployment=True,
    ),
    Trigger(
        "R15",
        lambda old, new, _: old.mailbox_location != new.mailbox_location,
        sentence("a moved mailbox alone does not start one"),
        starts=False,
    ),
    Trigger(
        "R36",
        lambda old, new, _: old.mailbox != new.mailbox,
        sentence("another mailbox connection alone does not start one"),
        starts=False,
    ),
    Trigger(
        "R62",
        lambda old, new, change: _is_elsewhere(old, new) and _changes_invitations(old, new, change),
        sentence("the user moved to the deployment %(deployment)s"),
        starts=True,
        is_automatic=False,
        ends_undo=True,
    ),
    Trigger(
        "R62",
        lambda old, new, change: _is_elsewhere(old, new) and not _changes_invitations(old, new, change),
        sentence("the invitations stay as they are"),
        starts=False,
    ),
    # These show in invitations, but no rule starts a run for them; the user is out of date until the next (R36).
    Trigger(
        "R36",
        lambda old, new, _: old.conference_id_type != new.conference_id_type,
        sentence("a changed kind of conference ID alone does not start one"),
        starts=False,
    ),
    Trigger(
        "R36",
        lambda old, new, _: old.language != new.language,
        sentence("a changed language alone does not start one"),
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


def _is_elsewhere(old: UserSettings, new: UserSettings) -> bool:
    """Whether the user moved to another deployment."""
    return new.deployment not in {"", old.deployment}


def _changes_invitations(old: UserSettings, new: UserSettings, change: SettingsChange) -> bool:
    """Whether invitations should say something else in the new deployment, or meetings are made anew there."""
    return change.says_otherwise or _targets_of_deployments(old, new) != ALL_CURRENT


def _targets_of_deployments(old: UserSettings, new: UserSettings) -> Targets:
    """What a move to another deployment makes of the meetings of the one before (R62): they move to the service that
    the new one names, where that is another one, and else stay.

    Meetings of a deployment are those of the service that makes them there, and on-premises Skype's too (R40).
    """
    target = _SERVICES.get(new.deployment_service)
    if not old.deployment or target is None or new.service_there != new.deployment_service:
        return ALL_CURRENT
    is_on_premises = old.hosting == "on-premises"
    by = old.deployment_service if is_on_premises else old.service_there
    sources = {SKYPE} if is_on_premises else set()
    if by in _SERVICES:
        sources.add(_SERVICES[by])
    return Targets.of_deployments(sources - {target}, target)


_SERVICES = {"link": LINK, "teams": TEAMS}
"""The services that can make meetings, by their names as settings."""


class Obstacle(NamedTuple):
    """What keeps MMS from migrating a user: a value of one of their settings."""

    rule: str
    setting: str
    """A field of :class:`UserSettings`."""
    value: str
    """The value that stands in the way; empty for every value but the empty one."""
    clause: Sentence
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
        sentence(
            "the mailbox is on Exchange on-premises: connect that Exchange, or use the Meeting Migration Tool instead"
        ),
        unless="is_mailbox_connected",
    ),
    Obstacle(
        "R16",
        "conferencing_provider",
        "",
        sentence("%(provider)s provides the user's conferencing: use the Meeting Migration Tool instead"),
    ),
    Obstacle(
        "R16",
        "bridge_provider",
        "",
        sentence("the bridge %(bridge)s belongs to %(bridge_provider)s: use the Meeting Migration Tool instead"),
    ),
    Obstacle(
        "R17",
        "hosting",
        "on-premises",
        sentence("the user is hosted on-premises: move them online, or use the Meeting Migration Tool instead"),
        unless="is_on_new_deployment",
    ),
)
"""Who cannot be migrated (R15 to R17). Of several obstacles the first is told."""


def why_not_served(settings: UserSettings) -> Reason | None:
    """Why MMS cannot migrate a user with these settings (R15 to R17), or None where it can."""
    for obstacle in OBSTACLES:
        if obstacle.is_met(settings):
            return Reason(obstacle.rule, _said(obstacle.clause, settings))
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
    automatic runs switched off (R13), and an undo that holds until a person starts the user. A move to another
    deployment decides for the bridge, the numbers and the conference ID that it brings along (R62).
    """
    old, new = change.before, change.after
    if old.hosting == "online" and new.hosting == "on-premises":
        return _no_run(
            sentence("MMS does not migrate meetings from online to on-premises: use the Meeting Migration Tool instead")
        )
    happened = [
        (trigger, _said(trigger.clause, new, old_provider=old.conferencing_provider, number=change.unassigned_number))
        for trigger in TRIGGERS
        if trigger.happened(old, new, change)
    ]
    if _is_elsewhere(old, new):
        happened = [(trigger, clause) for trigger, clause in happened if not trigger.goes_with_deployment]
    if not happened:
        return _no_run(sentence("nothing changed that the invitations show"))
    starting = [(trigger, clause) for trigger, clause in happened if trigger.starts]
    if not starting:
        return _no_run(_joined("%(first)s; %(second)s", [clause for _, clause in happened]))
    refusal = _kept_acp(change, switches) or why_not_served(new)
    if refusal:
        return _no_run(refusal.sentence)
    if not switches.meeting_migration_enabled:
        return _no_run(sentence("the service is switched off for this tenant (MeetingMigrationEnabled)"))
    if not switches.automatically_migrate_user_meetings:
        starting = [(trigger, clause) for trigger, clause in starting if not trigger.is_automatic]
        if not starting:
            return _no_run(sentence("AutomaticallyMigrateUserMeetings is off: start it by hand when you are ready"))
    if new.undo_holds and not any(trigger.ends_undo for trigger, _ in starting):
        return _no_run(
            sentence("an undo holds, which put the user's meetings back: start it by hand when you are ready")
        )
    targets = Targets.of_move(service) if any(trigger.is_move for trigger, _ in starting) else ALL_CURRENT
    if _is_elsewhere(old, new):
        targets = targets.joined(_targets_of_deployments(old, new))
    why = _joined("%(first)s and %(second)s", [clause for _, clause in starting])
    return Decision(
        sentence("Run, because %(why)s.", why=why)
        if targets == ALL_CURRENT
        else sentence("Run, because %(why)s: %(aim)s.", why=why, aim=targets.words),
        tuple(Reason(trigger.rule, whole(clause)) for trigger, clause in starting),
        targets,
    )


class Decisions:
    """Decides as :func:`decide` and :func:`decide_start_by_hand` do, once for all users of whom the rules ask the same.

    Most of the users of a large change are changed alike, and share their decision and its sentences then.
    """

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self._known: dict[tuple[Any, ...], Decision] = {}

    def of_change(self, change: SettingsChange, service: str) -> Decision:
        old, new = change.before, change.after
        key = (
            *(_asked_for(old), _asked_for(new), change.reschedule_meetings, change.unassigned_number),
            *(change.says_otherwise, service, old.sip_address != new.sip_address),
            *(bool(old.conference_id), bool(new.conference_id), old.conference_id != new.conference_id),
        )
        if key not in self._known:
            self._known[key] = decide(change, self._switches, service)
        return self._known[key]

    def of_start(
        self, settings: UserSettings, actor: str, targets: Targets, service: str, pending: Targets
    ) -> Decision:
        key = _asked_for(settings), actor, targets, service, pending
        if key not in self._known:
            self._known[key] = decide_start_by_hand(settings, self._switches, actor, targets, service, pending)
        return self._known[key]


_asked_for = attrgetter(
    *(each.name for each in fields(UserSettings) if each.name not in {"sip_address", "conference_id"})
)
"""What rules ask of settings. Of the other two they ask only whether they are there, or have changed."""


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
        return _no_run(sentence("the service is switched off for this tenant: switch MeetingMigrationEnabled on first"))
    missing = targets.services - {service}
    if missing:
        return _no_run(
            sentence(
                "%(services)s is not the user's meeting service: make it theirs, or choose the target Current",
                services=_all_of(missing),
            )
        )
    if targets.services and pending.services - targets.services:
        return _no_run(
            sentence(
                "the user's pending run moves meetings to %(services)s: start it when that has ended, or choose the "
                "same target",
                services=_all_of(pending.services),
            )
        )
    if targets == ALL_CURRENT:
        answer = sentence("Run, because it was started by hand.")
        reason = sentence("Started by hand by %(actor)s.", actor=actor)
    else:
        answer = sentence("Run, because it was started by hand: %(aim)s.", aim=targets.words)
        reason = sentence("Started by hand by %(actor)s: %(aim)s.", actor=actor, aim=targets.words)
    return Decision(answer, (Reason("R11", reason),), targets)


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
        sentence(
            "AutomaticallyReplaceAcpProvider is off and %(provider)s stays the provider: make Microsoft the provider "
            "by hand, with a bridge of Microsoft's",
            provider=new.conferencing_provider,
        ),
    )


def _no_run(why: Sentence) -> Decision:
    return Decision(sentence("No run, because %(why)s.", why=why))


def _said(clause: Sentence, settings: UserSettings, **more: str) -> Sentence:
    """The clause, with what it names of the settings."""
    values = {
        "provider": settings.conferencing_provider,
        "bridge": settings.bridge_name,
        "bridge_provider": settings.bridge_provider,
        "deployment": settings.deployment,
        **more,
    }
    named = {name: value for name, value in values.items() if f"%({name})s" in clause}
    return sentence(english(clause), **named)


def _joined(how: str, clauses: Sequence[Sentence]) -> Sentence:
    first, *others = clauses
    for each in others:
        first = sentence(how, first=first, second=each)
    return first


def _all_of(services: Collection[str]) -> Sentence:
    names = [sentence("%(service)s", service=each) for each in sorted(services)]
    return _joined("%(first)s and %(second)s", names)
