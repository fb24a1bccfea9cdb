"""Which archive, target, plan or room a page of chat is about, and what pages of a plan show alike."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, F, Q, Sum
from django.shortcuts import get_object_or_404

from migrations_app.models import ChatArchive, ChatPlan, ChatReading, ChatRoom, ChatTarget
from tenants_app.access import Access

CS = ChatRoom.State


def archive_of(access: Access, pk: int) -> ChatArchive:
    """The tenant's archive with that key; 404 where there is none."""
    found = get_object_or_404(ChatArchive, tenant=access.tenant, pk=pk)
    found.tenant = access.tenant
    return found


def reading_of(access: Access, pk: int) -> ChatReading:
    """What was given to be read, by its key; 404 where there is none."""
    readings = ChatReading.objects.filter(tenant=access.tenant).select_related("archive", "evidence")
    return get_object_or_404(readings, pk=pk)


def target_of(access: Access, pk: int) -> ChatTarget:
    """The tenant's target with that key; 404 where there is none."""
    found = get_object_or_404(ChatTarget, tenant=access.tenant, pk=pk)
    found.tenant = access.tenant
    return found


def plan_of(access: Access, number: int) -> ChatPlan:
    """The tenant's plan of that number; 404 where there is none."""
    plans = ChatPlan.objects.select_related("archive", "target", "replaced_by")
    found = get_object_or_404(plans, tenant=access.tenant, number=number)
    found.tenant = found.archive.tenant = found.target.tenant = access.tenant
    return found


def room_of(plan: ChatPlan, pk: int) -> ChatRoom:
    """A room of the plan; 404 where there is none."""
    found = get_object_or_404(ChatRoom, plan=plan, pk=pk)
    found.plan = plan
    return found


class Standing:
    """How far the import of a plan is, counted by its rooms in one statement."""

    def __init__(self, counted: dict[str, Any]) -> None:
        self._counted = counted

    def _of(self, name: str) -> int:
        return int(self._counted.get(name) or 0)

    @property
    def rooms(self) -> int:
        """Without those that somebody left out."""
        return self._of("rooms") - self.out

    @property
    def out(self) -> int:
        return self._of("out")

    @property
    def imported(self) -> int:
        return self._of("imported")

    @property
    def failed(self) -> int:
        return self._of("failed")

    @property
    def writing(self) -> int:
        return self._of("writing")

    @property
    def ended(self) -> int:
        return self.imported + self.failed

    @property
    def messages(self) -> int:
        return self._of("messages")

    @property
    def written(self) -> int:
        return self._of("written")

    @property
    def verified(self) -> int:
        return self._of("verified")

    @property
    def differ(self) -> int:
        return self._of("differ")

    @property
    def unreadable(self) -> int:
        return self._of("unreadable")

    @property
    def being_compared(self) -> int:
        return self._of("being_compared")

    @property
    def compared(self) -> int:
        return self.verified + self.differ + self.unreadable

    @property
    def parts(self) -> list[tuple[str, float, float]]:
        """The bar of rooms: the tone of each part, where it begins and how wide it is, of a hundred."""
        total, x, parts = self.rooms or 1, 0.0, []
        for tone, count in (("succeeded", self.imported), ("failed", self.failed), ("progress", self.writing)):
            if count:
                width = min(max(count / total * 100, 1.5), 100 - x)
                parts.append((tone, round(x, 2), round(width, 2)))
                x += width
        return parts


_IN = ~Q(state__in=ChatRoom.OUT)
_COUNTED = {
    "rooms": Count("pk"),
    "out": Count("pk", filter=~_IN),
    "imported": Count("pk", filter=Q(state=CS.IMPORTED)),
    "failed": Count("pk", filter=Q(state=CS.FAILED)),
    "writing": Count("pk", filter=Q(state=CS.WRITING)),
    "messages": Sum("message_count", filter=_IN),
    "written": Sum("written", filter=_IN),
    "verified": Count("pk", filter=Q(comparison=ChatRoom.Comparison.VERIFIED)),
    "differ": Count("pk", filter=Q(comparison=ChatRoom.Comparison.DIFFERS)),
    "unreadable": Count("pk", filter=Q(comparison=ChatRoom.Comparison.NOT_READABLE)),
    "being_compared": Count("pk", filter=Q(compare_asked_at__isnull=False)),
}


def standing_of(plan: ChatPlan) -> Standing:
    """How the rooms of the plan stand."""
    return Standing(ChatRoom.objects.filter(plan=plan).aggregate(**_COUNTED))


def standings_of(plans: list[ChatPlan]) -> dict[int, Standing]:
    """The same of several plans, in one statement."""
    rows: Any = ChatRoom.objects.filter(plan__in=plans).order_by().values(of=F("plan")).annotate(**_COUNTED)
    found = {row["of"]: Standing(row) for row in rows}
    return {plan.pk: found.get(plan.pk, Standing({})) for plan in plans}


def plan_context(access: Access, plan: ChatPlan, tab: str) -> dict[str, Any]:
    """What every page of a plan shows; ``tab`` is the one that is open."""
    return {"access": access, "plan": plan, "tab": tab}
