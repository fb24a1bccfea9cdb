"""Items that a check makes in a test mailbox, and deletes again. Nothing else of MMS makes or deletes any."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from exchangelib import UTC, CalendarItem, EWSDate, HTMLBody, ItemId
from exchangelib.items import HARD_DELETE, NEVER_OVERWRITE, SAVE_ONLY, SEND_TO_ALL_AND_SAVE_COPY
from exchangelib.properties import Attendee, OccurrenceItemId
from exchangelib.properties import Mailbox as Address
from exchangelib.recurrence import DailyPattern, Recurrence
from exchangelib.services import CreateItem, DeleteItem, FindItem
from exchangelib.util import create_element

from migrations_app.failures import Failure
from migrations_app.mailboxes.ews import events
from migrations_app.mailboxes.ews.client import Client, OwnFolder
from migrations_app.mailboxes.ews.elements import or_raise
from tenants_app.sentences import sentence

_HALF_AN_HOUR = timedelta(minutes=30)


def make(client: Client, subject: str, html: str, starts_at: datetime, attendee: str, *, occurrences: int = 1) -> str:
    """Make a meeting of half an hour, or a daily series of them, and invite somebody; its id.

    Raises as ``Source.apply`` does: after ``Unsettled`` nobody knows whether it was made.
    """
    begins: Any = starts_at.astimezone(UTC)  # which makes one of exchangelib's own
    item = CalendarItem(
        account=client.account,
        subject=subject,
        body=HTMLBody(html),
        start=begins,
        end=begins + _HALF_AN_HOUR,
        legacy_free_busy_status="Free",
        reminder_is_set=False,
        required_attendees=[Attendee(mailbox=Address(email_address=attendee), response_type="Unknown")],
    )
    if occurrences > 1:
        first = EWSDate(begins.year, begins.month, begins.day)
        item.recurrence = Recurrence(pattern=DailyPattern(interval=1), start=first, number=occurrences)
    with client.writing():
        made = _first(_Making(account=client.account).make(item))
    return str(made.id)


def move_to(client: Client, series_id: str, change_key: str, number: int, place: str) -> None:
    """Give one occurrence of a series another place, by which it becomes an exception. Raises like :func:`make`."""
    which = OccurrenceItemId(id=series_id, changekey=change_key, instance_index=number)
    item = CalendarItem(account=client.account, _id=which, location=place)
    with client.writing():
        item.save(
            update_fields=["location"],
            conflict_resolution=NEVER_OVERWRITE,
            send_meeting_invitations=SEND_TO_ALL_AND_SAVE_COPY,
        )


def find(client: Client, subject: str) -> str:
    """The id of what is called so in the user's default calendar; empty where nothing is. Raises ``Failure``."""
    with client.asking():
        found = [or_raise(each) for each in _Finding(account=client.account, page_size=10).called(subject)]
    try:
        return str(events.id_of(found[0])[0]) if found else ""
    except events.Unreadable as error:
        raise Failure("mailbox-answer", sentence("it lists %(error)s", error=error.args[0])) from None


def delete(client: Client, item_id: str) -> None:
    """Delete a meeting, of which Exchange tells who was invited. Raises like :func:`make`."""
    with client.writing():
        _first(
            DeleteItem(account=client.account).call(
                items=[ItemId(id=item_id)],
                delete_type=HARD_DELETE,
                send_meeting_cancellations=SEND_TO_ALL_AND_SAVE_COPY,
                affected_task_occurrences="AllOccurrences",
                suppress_read_receipts=True,
            )
        )


def _first(answers: Any) -> Any:
    return or_raise(next(iter(answers)))


class _Making(CreateItem):
    def make(self, item: CalendarItem) -> Any:
        how = {"message_disposition": SAVE_ONLY, "send_meeting_invitations": SEND_TO_ALL_AND_SAVE_COPY}
        payload = self._chunked_get_elements(self.get_payload, items=[item], folder=OwnFolder(id="calendar"), **how)
        return self._elems_to_objs(payload)


class _Called:
    """What has exactly this subject."""

    def __init__(self, subject: str) -> None:
        self.subject = subject

    def to_xml(self, version: Any) -> Any:
        restriction, test = create_element("m:Restriction"), create_element("t:IsEqualTo")
        constant = create_element("t:FieldURIOrConstant")
        constant.append(create_element("t:Constant", attrs={"Value": self.subject}))
        test.extend([create_element("t:FieldURI", attrs={"FieldURI": "item:Subject"}), constant])
        restriction.append(test)
        return restriction


class _Finding(FindItem):
    def called(self, subject: str) -> Any:
        return self.call(
            folders=[OwnFolder(id="calendar")],
            additional_fields=None,
            restriction=_Called(subject),
            order_fields=None,
            shape="IdOnly",
            query_string=None,
            depth="Shallow",
            calendar_view=None,
            max_items=None,
            offset=0,
        )

    def _elem_to_obj(self, elem: Any) -> Any:
        return elem
