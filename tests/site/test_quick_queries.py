"""What the suite puts together in less time is what Django puts together (tests/support/quick_queries.py)."""

from __future__ import annotations

from copy import copy
from typing import Any

import pytest
from django.db.models import Case, CharField, Count, Exists, F, OuterRef, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Coalesce, Lower

from migrations_app.models import Run
from tenants_app.models import ConferencingUser, ServiceNumber
from tests.support import quick_queries


def of_all_kinds() -> list[QuerySet[Any]]:
    failed = Run.objects.filter(user=OuterRef("pk"), state="Failed").order_by("-due_at")
    users = ConferencingUser.objects.select_related("tenant", "bridge")
    runs = (
        Run.objects.order_by()
        .values("tenant")
        .annotate(kind=Value("all", CharField()), users=Count("pk", filter=Q(chosen=[])))
    )
    return [
        users.order_by("bridge__name", "-upn"),
        users.annotate(has_failed=Exists(failed)).filter(has_failed=True).exclude(upn__startswith="a"),
        ConferencingUser.objects.annotate(shown=Lower("upn")).order_by(F("shown").desc(nulls_last=True)).only("upn"),
        users.filter(pk__in=failed.values("user")).out_of_date(),
        runs.union(runs.annotate(meetings=Coalesce(Sum("total_meetings"), 0)).values("tenant", "kind", "users")),
        Run.objects.order_by(Case(When(state="Failed", then=0), default=F("total_meetings") + 1), "user__upn"),
        ServiceNumber.objects.filter(bridge__users__runs__state="Failed").distinct().values_list("bridge", "number"),
    ]


def test_queries_are_the_same(db: None) -> None:
    quick = [str(query.query) for query in of_all_kinds()]
    with pytest.MonkeyPatch.context() as patch:
        for of, name, told in quick_queries.AS_DJANGO:
            assert getattr(of, name) is not told, "it is not at work"
            patch.setattr(of, name, told)
        assert [str(query.query) for query in of_all_kinds()] == quick


def test_a_copy_is_one_as_python_makes_it() -> None:
    for expression in (
        F("upn").asc(),
        Lower("upn"),
        Case(When(upn="a", then=1)),
        Value(1),
        Count("pk", filter=Q(pk=1)),
    ):
        made = expression.copy()
        assert made is not expression
        assert type(made) is type(expression)
        assert made.__dict__ == copy(expression).__dict__
        made.only_here = True
        assert not hasattr(expression, "only_here")
