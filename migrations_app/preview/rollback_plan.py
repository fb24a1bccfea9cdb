"""Taking a wave back as a plan: what undoing the runs of its members would make of each meeting (R83)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from migrations_app.models import Run, Wave
from migrations_app.preview.foretold import Planned
from migrations_app.runs.outcomes import Outcome
from migrations_app.runs.taking_back import members_to_go_back, runs_to_undo
from migrations_app.runs.undo_start import undoing_of, why_not_undone
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.sentences import sentence


class RollbackOfWave:
    """The runs of all members of a wave who have moved, or of chosen ones, are undone (R84)."""

    kind: ClassVar[str] = "rollback"
    needs_admin: ClassVar[bool] = False

    def __init__(self, tenant: Tenant, terms: Mapping[str, Any]) -> None:
        self.tenant, self.terms = tenant, dict(terms)

    @classmethod
    def of(cls, wave: Wave, users: Collection[int] | None = None) -> RollbackOfWave:
        """Of this wave; of these users (keys) only, where some are chosen."""
        terms: dict[str, Any] = {"wave": wave.pk, "name": wave.name}
        if users is not None:
            terms["users"] = sorted(users)
        return cls(wave.rollout.tenant, terms)

    @property
    def title(self) -> str:
        return sentence("Taking the wave %(wave)s back", wave=self.terms["name"])

    @property
    def users(self) -> QuerySet[ConferencingUser]:
        members = members_to_go_back(self._wave, self.terms.get("users"))
        return ConferencingUser.objects.filter(tenant=self.tenant, pk__in=members.values("user"))

    @property
    def _wave(self) -> Wave:
        found = Wave.objects.select_related("rollout").filter(rollout__tenant=self.tenant, pk=self.terms["wave"])
        wave = found.first()
        if wave is None:
            raise ValidationError(sentence("The wave is not there any more: look again."))
        return wave

    def planned(self, pks: Sequence[int]) -> Iterator[Planned]:
        for member in members_to_go_back(self._wave, pks).select_related("user__tenant", "user__bridge").order_by("pk"):
            runs = runs_to_undo(member)
            if not runs:
                yield Planned(member.user, False, sentence("No undo, because no run has changed their meetings."))
                continue
            refusal = why_not_undone(runs[0])
            # The undo of an earlier run goes on to hold: it is not ended by another one.
            member.user.undo_holds = False
            if refusal:
                yield Planned(member.user, False, refusal)
            else:
                told = sentence("Undo, because the wave is taken back.")
                yield Planned(member.user, True, told, partial(_OneAfterTheOther, runs))


class _OneAfterTheOther:
    """The undo of several runs of a user, the latest first. Of a meeting that several have changed the undo of the
    latest is told: what the others make of it follows from that."""

    def __init__(self, runs: Sequence[Run]) -> None:
        """Raises ``Failure`` as the first undo would."""
        self._runs = runs
        self._first = undoing_of(runs[0])
        self.mailbox = self._first.mailbox

    def foreseen(self) -> Iterator[Outcome]:
        told: set[str] = set()
        for number, run in enumerate(self._runs):
            undoing = self._first if number == 0 else undoing_of(run)
            for outcome in undoing.foreseen():
                if outcome.result.uid not in told:
                    told.add(outcome.result.uid)
                    yield outcome
