"""Users whose invitations do not say what their settings ask for (R36): how many there are, and going through them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from migrations_app.models import Run
from migrations_app.runs.served import not_served
from tenants_app.bulk import batched
from tenants_app.models import Bridge, ConferencingUser, Tenant
from tenants_app.sentences import Sentence, sentence, sentence_plural

CHUNK = 500
"""Users who are looked at, or started, together: few enough for memory, and for workers that wait for it."""


@dataclass(frozen=True, slots=True)
class OutOfDate:
    """How many users of a tenant are out of date, how many of them have a run under way, and how many can have none."""

    users: int
    with_run: int = 0
    not_served: int = 0
    """Of those without a run under way, whom MMS cannot serve (R15 to R17)."""
    failed: int = 0
    """Of those for whom a run can be started, whose latest one failed, which nobody has accepted."""

    def __bool__(self) -> bool:
        return self.users > 0

    @property
    def count(self) -> Sentence:
        """How many they are, in words."""
        return sentence_plural("%(n)s user is out of date", "%(n)s users are out of date", self.users)

    @property
    def sentence(self) -> Sentence:
        """What that means."""
        return sentence_plural(
            "%(n)s user is out of date: their invitations do not say what their settings ask for.",
            "%(n)s users are out of date: their invitations do not say what their settings ask for.",
            self.users,
        )

    @property
    def under_way(self) -> str:
        """Who need not be started; empty where nobody's run is under way."""
        if not self.with_run:
            return ""
        if self.users == 1:
            return sentence("Their run is pending or in progress.")
        if self.with_run == self.users:
            return sentence("All of them have a run pending or in progress.")
        return sentence_plural(
            "%(n)s of them has a run pending or in progress.",
            "%(n)s of them have a run pending or in progress.",
            self.with_run,
        )

    @property
    def cannot_start(self) -> str:
        """Who is left to the Meeting Migration Tool; empty where nobody is."""
        if not self.not_served:
            return ""
        if self.users == 1:
            return sentence("MMS cannot serve this user, so no run can be started.")
        if self.not_served == self.users:
            return sentence(
                "All %(n)s of them MMS cannot serve, so no run can be started for these.", n=self.not_served
            )
        return sentence_plural(
            "%(n)s of them MMS cannot serve, so no run can be started for this one.",
            "%(n)s of them MMS cannot serve, so no run can be started for these.",
            self.not_served,
        )

    @property
    def startable(self) -> int:
        """For how many of them a run can be started."""
        return max(self.users - self.with_run - self.not_served, 0)

    @property
    def need_a_start(self) -> bool:
        """Whether anybody is left without a run who can have one."""
        return self.startable > 0

    @property
    def are_failures(self) -> bool:
        """Whether all for whom a run can be started are such as failed, so that a retry is what they need."""
        return 0 < self.startable <= self.failed

    @property
    def have_failed(self) -> str:
        """Who waits for a retry, where that is all of those for whom a run can be started."""
        if self.startable == self.users:
            return sentence("Their run has failed.") if self.users == 1 else sentence("All of them have failed runs.")
        return sentence_plural("%(n)s of them has a failed run.", "%(n)s of them have failed runs.", self.startable)


def users_out_of_date(tenant: Tenant) -> QuerySet[ConferencingUser]:
    return ConferencingUser.objects.filter(tenant=tenant).out_of_date()


def count_out_of_date(tenant: Tenant, bridge: Bridge | None = None) -> OutOfDate:
    """How many users, of a bridge or of all, are out of date; by indexes, however many users there are."""
    found = users_out_of_date(tenant)
    if bridge is not None:
        found = found.filter(bridge=bridge)
    users = found.count()
    if not users:
        return OutOfDate(0)
    latest = Run.objects.filter(user=OuterRef("pk"), is_latest=True)
    under_way = latest.filter(state__in=[Run.State.PENDING, Run.State.IN_PROGRESS])
    without = found.filter(~Exists(under_way)).order_by()
    has_failed = Exists(latest.filter(state=Run.State.FAILED, accepted_at=None))
    rows = without.aggregate(
        rows=Count("pk"),
        not_served=Count("pk", filter=not_served()),
        failed=Count("pk", filter=~not_served() & Q(has_failed)),
    )
    return OutOfDate(users, users - rows["rows"], rows["not_served"], rows["failed"])


def in_chunks(users: QuerySet[ConferencingUser]) -> Iterator[list[ConferencingUser]]:
    """The users with their bridges, some at a time, without those who have left ``users`` in the meantime."""
    pks = list(users.order_by("pk").values_list("pk", flat=True))
    for keys in batched(pks, CHUNK):
        some = users.filter(pk__in=keys)
        yield list(some.select_related("bridge", "toll_number", "toll_free_number").order_by("pk"))
