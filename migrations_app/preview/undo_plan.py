"""The undo of a run as a plan, for one that has changed more meetings than somebody can wait for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from migrations_app.models import Run
from migrations_app.preview.foretold import Planned
from migrations_app.runs.undo_start import undoing_of, why_not_undone
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.sentences import sentence


class Undo:
    """All meetings of one run are put back (section 5)."""

    kind: ClassVar[str] = "undo"
    needs_admin: ClassVar[bool] = False

    def __init__(self, tenant: Tenant, terms: Mapping[str, Any]) -> None:
        self.tenant, self.terms = tenant, dict(terms)

    @classmethod
    def of(cls, run: Run) -> Undo:
        """The undo of this run."""
        terms = {"run": str(run.correlation_id), "users": [run.user_id], "upn": run.user.upn}
        return cls(run.tenant, terms)

    @property
    def title(self) -> str:
        return sentence("Undo of a run of %(upn)s", upn=self.terms["upn"])

    @property
    def users(self) -> QuerySet[ConferencingUser]:
        return ConferencingUser.objects.filter(tenant=self.tenant, pk__in=self.terms["users"])

    def planned(self, pks: Sequence[int]) -> Iterator[Planned]:
        runs = Run.objects.filter(tenant=self.tenant, user__in=pks, correlation_id=self.terms["run"])
        run = runs.select_related("tenant", "user__tenant", "user__bridge", "user__mailbox").first()
        if run is None:
            raise ValidationError(sentence("The run is not in the history any more, so it cannot be undone."))
        if refusal := why_not_undone(run):
            raise ValidationError(refusal)
        # An earlier undo of the user's goes on to hold: it is not ended by another one.
        run.user.undo_holds = False
        yield Planned(run.user, True, sentence("Undo, because it was started by hand."), partial(undoing_of, run))
