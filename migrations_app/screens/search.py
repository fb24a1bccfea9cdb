"""One search box over all that a tenant has: its page, and what it suggests while one types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.http import HttpResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from migrations_app.badges import BADGES, CHAT, NEVER_RUN, Badge
from migrations_app.finding.everything import Everything, look_for
from migrations_app.finding.typed import ID_DIGITS, Typed
from migrations_app.models import BulkAction, ChatPlan, ChatRoom, NumberRelease, Preview, Run, UserImport
from migrations_app.procedures.bulk_kinds import KINDS
from migrations_app.stories.search import FoundMeeting
from tenants_app.access import Access, access_for
from tenants_app.models import Bridge, ConferenceId, ConferencingUser, FormerConferenceId, ServiceNumber
from tenants_app.screens.fragments import answer
from tenants_app.screens.requests import Request
from tenants_app.wording import provider_name

MOST = 10
"""Of each kind on the page."""
MOST_SUGGESTED = 3
"""Of each kind below the box."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing that was found: what it is called, what else tells it from others, and where its page is."""

    title: str
    about: str
    address: str
    icon: str
    badge: Badge | None = None
    at: datetime | None = None
    """When it begins, or began."""


@dataclass(frozen=True, slots=True)
class Section:
    """What was found of one kind, and where all of it is listed."""

    name: str
    label: str
    hits: Sequence[Hit]
    all_label: str = ""
    all_address: str = ""
    remark: str = ""


@require_safe
def search(request: Request, slug: str) -> HttpResponse:
    """What there is by what was typed, by kind; for the box, the first of each kind."""
    access = access_for(request, slug)
    typed = Typed.of(request.GET.get("q", ""))
    is_suggestion = bool(request.htmx) and not request.htmx.history_restore_request
    found = look_for(access.tenant, typed, MOST_SUGGESTED if is_suggestion else MOST)
    sections = list(_Shown(access, typed, found).sections())
    context = {
        "access": access,
        "q": request.GET.get("q", "").replace("\0", "")[:2_001],
        "typed": typed,
        "sections": sections,
        "takes_focus": not typed.text,
        "hit_count": sum(len(section.hits) for section in sections),
    }
    return answer(request, "search/search.html", "search/suggestions.html", context)


class _Shown:
    """What was found, as it is shown to whoever has this access."""

    def __init__(self, access: Access, typed: Typed, found: Everything) -> None:
        self.access, self.typed, self.found = access, typed, found
        self.slug = access.tenant.slug

    def sections(self) -> Iterator[Section]:
        """Where one would rather go at once, and then each kind of which there is something."""
        exact = list(self._exact())
        if len(exact) == 1:
            yield Section("go-to", _("Go to"), exact)
        for kind in self._kinds():
            section = replace(kind, hits=[hit for hit in kind.hits if len(exact) != 1 or hit != exact[0]])
            if section.hits or section.all_address or section.remark:
                yield section

    def _exact(self) -> Iterator[Hit]:
        found = self.found
        if found.users.exact:
            yield self._user(found.users.exact)
        if found.numbers.exact:
            yield self._number(found.numbers.exact)
        if found.conference_ids.exact:
            yield self._conference_id(found.conference_ids.exact)
        if found.runs.exact:
            yield self._run(found.runs.exact)
        if found.meetings.exact:
            yield self._meeting(found.meetings.exact)

    def _kinds(self) -> Iterator[Section]:
        found, text = self.found, self.typed.text
        users, numbers, bridges = found.users, found.numbers, found.bridges
        yield self._section(
            "users", _("Users"), map(self._user, users.rows), _("All users by this"), "users", users.is_cut, q=text
        )
        yield self._section(
            "numbers",
            _("Numbers"),
            map(self._number, numbers.rows),
            _("All bridges and numbers"),
            "bridges",
            numbers.is_cut,
        )
        yield self._conference_ids()
        yield self._section(
            "bridges", _("Bridges"), map(self._bridge, bridges.rows), _("All bridges"), "bridges", bridges.is_cut
        )
        yield self._meetings()
        yield self._section(
            "runs", _("Runs"), map(self._run, found.runs.rows), _("All runs"), "history", found.runs.is_cut
        )
        yield self._section(
            "releases",
            _("Numbers on their way off a bridge"),
            map(self._release, found.releases.rows),
            _("All of these"),
            "releases",
            found.releases.is_cut,
        )
        yield Section("jobs", _("Jobs"), list(self._jobs()))
        yield self._section(
            "rooms",
            _("Rooms of chat"),
            map(self._room, found.rooms.rows),
            _("Persistent chat"),
            "chat",
            found.rooms.is_cut,
        )
        yield self._section(
            "chat-plans",
            _("Plans of chat"),
            map(self._chat_plan, found.plans.rows),
            _("Persistent chat"),
            "chat",
            found.plans.is_cut,
        )

    def _section(
        self, name: str, label: str, hits: Iterable[Hit], all_label: str, to: str, is_cut: bool, **query: str
    ) -> Section:
        address = reverse(to, args=[self.slug])
        if query:
            address += f"?{urlencode(query)}"
        return Section(name, label, list(hits), all_label if is_cut else "", address if is_cut else "")

    def _conference_ids(self) -> Section:
        """An ID that a meeting service gave stands in the texts of meetings alone, which are searched on their page."""
        found, digits = self.found.conference_ids, self.typed.digits
        hits = [self._conference_id(row) for row in found.rows]
        is_whole = self.typed.ids is not None and len(digits) == ID_DIGITS
        if not is_whole:
            remark = _("There are more: type more of the digits.") if found.is_cut else ""
            return Section("ids", _("Conference IDs"), hits, remark=remark)
        address = f"{reverse('meetings', args=[self.slug])}?{urlencode({'conference_id': digits})}"
        label = _("Meetings with the conference ID %(digits)s") % {"digits": digits}
        return Section("ids", _("Conference IDs"), hits, label, address)

    def _meetings(self) -> Section:
        found, text = self.found.meetings, self.typed.text
        remark = ""
        if not self.typed.refusal and not self.found.are_all_meetings_seen and not found.exact:
            remark = _("By their subject, only meetings that begin near to today were looked at.")
        address = f"{reverse('meetings', args=[self.slug])}?{urlencode({'subject': text[:255]})}"
        is_cut = found.is_cut or bool(remark)
        label = _("Find a meeting by more than this") if is_cut else ""
        return Section(
            "meetings",
            _("Meetings"),
            [self._meeting(each) for each in found.rows],
            label,
            address if is_cut else "",
            remark,
        )

    def _jobs(self) -> Iterator[Hit]:
        """Imports are for admins, and previews for operators, as their pages are."""
        found = self.found
        if self.access.may_administer:
            yield from map(self._import, found.imports.rows)
        yield from map(self._action, found.actions.rows)
        if self.access.may_operate:
            yield from map(self._preview, found.previews.rows)

    # --- one of each kind ---------------------------------------------------------------------------------------------

    def _user(self, user: ConferencingUser) -> Hit:
        state: str | None = getattr(user, "latest_state", None)
        sip = "" if user.sip_address.lower() == user.upn.lower() else user.sip_address
        about = " · ".join(part for part in (user.upn if user.display_name else "", sip) if part)
        badge = BADGES[state] if state else NEVER_RUN
        return Hit(user.display_name or user.upn, about, self._address("user", user.upn), "user-circle", badge)

    def _number(self, number: ServiceNumber) -> Hit:
        is_free = number.kind == ServiceNumber.Kind.TOLL_FREE
        kind = _("Toll-free number of %(bridge)s") if is_free else _("Toll number of %(bridge)s")
        kind %= {"bridge": number.bridge}
        about = " · ".join(part for part in (kind, number.place) if part)
        return Hit(number.number, about, self._address("number", number.bridge_id, number.pk), "phone-call")

    def _conference_id(self, row: ConferenceId | FormerConferenceId) -> Hit:
        user = row.user
        whose = user.display_name or user.upn
        if isinstance(row, FormerConferenceId):
            said = _("Once of %(user)s, one meeting alone") if row.meeting_uid else _("Once of %(user)s")
            whose = said % {"user": whose}
        elif row.meeting_uid:
            whose = _("%(user)s, one meeting alone") % {"user": whose}
        about = f"{whose} · {row.bridge}" if row.bridge else whose
        if row.meeting_uid:
            address = self._address("meeting-story", user.upn, row.meeting_uid)
        else:
            address = self._address("user", user.upn)
        return Hit(row.digits, about, address, "key")

    def _bridge(self, bridge: Bridge) -> Hit:
        return Hit(bridge.name, provider_name(bridge.provider), self._address("bridge", bridge.pk), "phone-call")

    def _meeting(self, meeting: FoundMeeting) -> Hit:
        whose = meeting.user.display_name or meeting.user.upn
        if meeting.is_copy:
            whose = _("A copy, in the mailbox of %(user)s") % {"user": whose}
        address = self._address("meeting-story", meeting.user.upn, meeting.uid)
        badge = BADGES[meeting.latest.outcome] if meeting.latest else None
        return Hit(meeting.subject or _("(no subject)"), whose, address, "calendar-event", badge, meeting.starts_at)

    def _run(self, run: Run) -> Hit:
        whose, address = run.user.display_name or run.user.upn, self._address("run", run.correlation_id)
        return Hit(str(run.correlation_id), whose, address, "history", BADGES[run.state], run.created)

    def _release(self, release: NumberRelease) -> Hit:
        about = _("Replaced by %(number)s") % {"number": release.replacement_e164} if release.replacement_e164 else ""
        return Hit(release.e164, about, self._address("release", release.pk), "arrows-exchange", BADGES[release.state])

    def _import(self, row: UserImport) -> Hit:
        return self._job(_("Import of %(file)s") % {"file": row.file_name}, "user-import", row)

    def _action(self, row: BulkAction) -> Hit:
        return self._job(f"{KINDS[row.kind].label}: {row.chosen_by}", "bulk-action", row)

    def _preview(self, row: Preview) -> Hit:
        return self._job(row.title, "preview", row)

    def _room(self, room: ChatRoom) -> Hit:
        about = _("Plan %(number)s, %(category)s") % {"number": room.plan.number, "category": room.category}
        address = self._address("chat-room", room.plan.number, room.pk)
        return Hit(room.name, about, address, "message-circle", CHAT[room.state])

    def _chat_plan(self, plan: ChatPlan) -> Hit:
        title = _("Plan %(number)s: %(archive)s to %(target)s") % {
            "number": plan.number,
            "archive": plan.archive.name,
            "target": plan.target.name,
        }
        return Hit(title, "", self._address("chat-plan", plan.number), "message-circle", CHAT[plan.state], plan.created)

    def _job(self, title: str, to: str, row: UserImport | BulkAction | Preview) -> Hit:
        return Hit(title, "", self._address(to, row.pk), "clipboard-list", BADGES[row.state], row.created)

    def _address(self, to: str, *args: object) -> str:
        return reverse(to, args=[self.slug, *args])
