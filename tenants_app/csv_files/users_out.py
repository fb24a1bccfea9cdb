"""Users as a CSV file with the columns of the import: what comes out goes in again and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.db.models import QuerySet

from tenants_app.bulk import batched
from tenants_app.catalogue import USER_SETTINGS, Kind, UserSetting
from tenants_app.changes.conference_ids import id_in_use, own_conference_ids
from tenants_app.csv_files.cells import BYTE_ORDER_MARK, lines
from tenants_app.csv_files.user_columns import COLUMNS
from tenants_app.models import ConferencingUser
from tenants_app.records import written
from tenants_app.wording import plain


def header_line() -> str:
    """All columns; begins with the mark by which Excel knows UTF-8."""
    return BYTE_ORDER_MARK + lines([COLUMNS])


def user_lines(users: QuerySet[ConferencingUser]) -> Iterator[str]:
    """The lines of the file, users in the order in which they were created, some at a time.

    Who is among them is settled at the beginning, by their keys: a cursor would keep a transaction open for as long as
    the download takes, and a filter would find others by then.
    """
    yield header_line()
    keys = list(users.order_by("pk").values_list("pk", flat=True))
    told = ConferencingUser.objects.prefetch_related("bridge", "toll_number", "toll_free_number", "deployment")
    for some in batched(keys):
        yield lines(_rows(list(told.filter(pk__in=some).order_by("pk"))))


def _rows(users: Sequence[ConferencingUser]) -> Iterator[list[str]]:
    own_ids = own_conference_ids(users)
    for user in users:
        conference_id = id_in_use(user, own_ids.get(user.pk))
        yield [user.upn, *(_cell(user, each, conference_id) for each in USER_SETTINGS)]


def _cell(user: ConferencingUser, setting: UserSetting, conference_id: str) -> str:
    """A setting as the import reads it; empty for a number that is the bridge's default."""
    value = conference_id if setting.kind is Kind.CONFERENCE_ID else getattr(user, setting.field)
    return plain(written(setting.kind, value))
