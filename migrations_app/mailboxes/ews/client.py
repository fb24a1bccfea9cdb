"""One mailbox of an Exchange server, by exchangelib: what MMS asks of it, and what its refusals mean.

Nothing is asked twice and nothing is waited for in here: both are up to rows.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import requests
from exchangelib import (
    DELEGATE,
    IMPERSONATION,
    UTC,
    Body,
    CalendarItem,
    Configuration,
    Credentials,
    ExtendedProperty,
    HTMLBody,
    ItemId,
    Version,
    errors,
)
from exchangelib import Account as ExchangeAccount
from exchangelib.account import Identity
from exchangelib.fields import FieldPath
from exchangelib.items import NEVER_OVERWRITE, SEND_TO_ALL_AND_SAVE_COPY
from exchangelib.properties import DistinguishedFolderId, FolderId
from exchangelib.protocol import CachingProtocol, Protocol, RetryPolicy
from exchangelib.services import FindFolder, FindItem, GetFolder, GetItem
from exchangelib.transport import DEFAULT_HEADERS
from exchangelib.util import create_element
from exchangelib.version import EXCHANGE_2013_SP1

from migrations_app.failures import Failure
from migrations_app.https.session import Account, Interrupted, Limits
from migrations_app.mailboxes.ews.elements import folder_of, id_of, or_raise, to_the_end
from migrations_app.mailboxes.ews.refusals import (
    failure_of,
    failure_of_status,
    is_unsettling,
    refusal_of,
)
from migrations_app.mailboxes.ews.sign_in import auth_for
from migrations_app.mailboxes.ews.transport import Adapter
from migrations_app.mailboxes.exchange.events import PROPERTIES, Change
from migrations_app.mailboxes.exchange.source import Changed, Gone, Refused, Unsettled
from tenants_app.sentences import sentence

# What exchangelib logs of a failure holds the whole request, with the text of the meeting.
logging.getLogger("exchangelib").setLevel(logging.CRITICAL + 1)

_ATTRIBUTES = {name: f"mms_{name.lower()}" for name in PROPERTIES}
_USER_AGENT = "Meeting-Migration-Service"
_ON_A_PAGE = 500
_AT_ONCE = 10
"""Meetings read by one request: their texts come with them."""
_FIELDS = (
    *("subject", "body", "uid", "recurrence_id", "start", "end", "original_start", "is_all_day", "location"),
    *("is_cancelled", "type", "my_response_type", "organizer", "required_attendees", "optional_attendees", "resources"),
    *("appointment_sequence_number", "appointment_state", "recurrence", "modified_occurrences", "deleted_occurrences"),
    *("meeting_request_was_sent", "_start_timezone"),
)


def _register() -> None:
    """Make the named properties known to exchangelib: once for the whole process."""
    for name, attribute in _ATTRIBUTES.items():
        what = {"distinguished_property_set_id": "PublicStrings", "property_name": name, "property_type": "String"}
        CalendarItem.register(attribute, type(ExtendedProperty)(name, (ExtendedProperty,), what))


_register()


def _paths(names: Sequence[str]) -> set[Any]:
    return {FieldPath(field=CalendarItem.get_field_by_fieldname(name)) for name in names}


_READ = _paths([*_FIELDS, *_ATTRIBUTES.values()])
_LISTED = _paths(["type", "end"])


_NOT_GIVEN = (
    errors.ErrorItemNotFound,
    errors.ErrorInvalidIdMalformed,
    errors.ErrorInvalidIdNotAnItemAttachmentId,
    errors.ErrorItemCorrupt,
    errors.ErrorCorruptData,
    errors.ErrorCalendarOccurrenceIsDeletedFromRecurrence,
)
"""About one item: it is gone, or Exchange cannot give it out itself."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """A folder of calendar items."""

    id: str
    name: str
    may_write: bool
    is_default: bool


class _NothingTwice(RetryPolicy):
    """Every answer that is none of EWS is a failure at once, with a code of the catalogue."""

    fail_fast = True
    back_off_until = None

    def __init__(self, adapter: Adapter, sign_in_by: str) -> None:
        self.adapter, self.sign_in_by = adapter, sign_in_by

    def back_off(self, seconds: float) -> None:
        raise ValueError("MMS waits in rows.")

    def raise_response_errors(self, response: requests.Response) -> None:
        if response.status_code == 200 or (response.status_code == 500 and b"Envelope" in response.content[:500]):
            return
        raise failure_of_status(response, self.adapter.origin.host, self.sign_in_by, writing=self.adapter.writing)


class _Uncached(CachingProtocol):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return type.__call__(self, *args, **kwargs)


class _Protocol(Protocol, metaclass=_Uncached):
    """One session over our own adapter; exchangelib keeps no copy of it for others."""

    def __init__(self, config: Any, adapter: Adapter, auth: Any) -> None:
        self._adapter, self._auth = adapter, auth
        super().__init__(config=config)

    def create_session(self) -> Any:
        session: Any = requests.Session()
        session.trust_env = False  # neither proxies nor passwords from elsewhere
        session.headers.update(DEFAULT_HEADERS)
        session.headers["User-Agent"] = _USER_AGENT
        session.adapters.clear()
        session.mount(self.service_endpoint, self._adapter)
        session.auth = self._auth
        session.session_id, session.usage_count = 0, 0
        return session


class OwnFolder(DistinguishedFolderId):
    """A folder of whoever is impersonated, or signed in: named without an address, which need not be the UPN."""

    def clean(self, version: Any = None) -> None:
        super(DistinguishedFolderId, self).clean(version=version)


class _Items(GetItem):
    def _elem_to_obj(self, elem: Any) -> Any:
        return elem


class _Listing(FindItem):
    def _elem_to_obj(self, elem: Any) -> Any:
        return elem


class _Folder(GetFolder):
    def _elems_to_objs(self, elems: Any) -> Any:
        return elems


class _Folders(FindFolder):
    def below(self, folder: Any) -> Any:
        """All folders below one, as they stand in the answer."""
        what = {"additional_fields": None, "restriction": None, "shape": "AllProperties", "depth": "Deep"}
        return self._paged_call(
            self.get_payload, max_items=None, folders=[folder], page_size=self.page_size, offset=0, **what
        )


class _AfterOrRecurring:
    """What ends after a moment, and every series. A series says of itself in two ways that it is one: its own End is
    that of the first occurrence."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def to_xml(self, version: Any) -> Any:
        restriction, either = create_element("m:Restriction"), create_element("t:Or")
        recurring = create_element(
            "t:ExtendedFieldURI",
            attrs={"DistinguishedPropertySetId": "Appointment", "PropertyId": 0x8223, "PropertyType": "Boolean"},
        )
        for test, path, value in (
            ("IsGreaterThan", create_element("t:FieldURI", attrs={"FieldURI": "calendar:End"}), f"{self.now:%FT%TZ}"),
            ("IsEqualTo", create_element("t:FieldURI", attrs={"FieldURI": "calendar:IsRecurring"}), "true"),
            ("IsEqualTo", recurring, "true"),
        ):
            element, constant = create_element(f"t:{test}"), create_element("t:FieldURIOrConstant")
            constant.append(create_element("t:Constant", attrs={"Value": value}))
            element.extend([path, constant])
            either.append(element)
        restriction.append(either)
        return restriction


class Client:
    """A session with the mailbox of ``upn``. Signed in as its own user where ``impersonate`` is false."""

    def __init__(
        self,
        account: Account,
        upn: str,
        *,
        sign_in_by: str = "ntlm",
        impersonate: bool = True,
        allowed_hosts: Collection[str] = (),
        limits: Limits | None = None,
    ) -> None:
        self.upn = upn
        self.adapter = Adapter(account, allowed_hosts, limits)
        self.adapter.headers["X-AnchorMailbox"] = upn  # so that it goes to the server that has the mailbox
        auth = auth_for(account, sign_in_by, self.adapter)
        config = Configuration(
            service_endpoint=self.adapter.url,
            credentials=Credentials(account.username, account.password),
            auth_type="NTLM" if sign_in_by == "ntlm" else "basic",
            version=Version(build=EXCHANGE_2013_SP1, api_version="Exchange2013_SP1"),
            retry_policy=_NothingTwice(self.adapter, sign_in_by),
        )
        try:
            self.account = ExchangeAccount(
                upn,
                access_type=IMPERSONATION if impersonate else DELEGATE,
                config=config,
                default_timezone=UTC,
                locale="en_US",
            )
        except ValueError:
            raise Failure("mailbox-not-found", sentence("%(upn)s is no address of a mailbox", upn=upn)) from None
        with suppress(KeyError):
            del Protocol[config]
        self.account.protocol = _Protocol(config, self.adapter, auth)
        self.account.identity = Identity(upn=upn)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.account.protocol.close()
        self.adapter.close()

    @property
    def server_version(self) -> str:
        """As the server has said it with its last answer."""
        return str(self.account.version.build)

    def calendars(self) -> list[Calendar]:
        """Of the mailbox, but for what was thrown away; the default one first. Raises ``Failure``."""
        with self.asking():
            service = _Folder(account=self.account)
            wanted = [OwnFolder(id=name) for name in ("calendar", "deleteditems", "msgfolderroot")]
            first = [
                or_raise(each) for each in service.call(folders=wanted, additional_fields=None, shape="AllProperties")
            ]
            default, trash, root = (folder_of(each) for each in first)
            below = _Folders(account=self.account, page_size=_ON_A_PAGE).below(FolderId(id=root["id"]))
            folders = [folder_of(each) for each in to_the_end(below)]
        gone = {trash["id"]}
        found = [Calendar(default["id"], default["name"], default["may_write"], True)]
        for folder in folders:
            if folder["parent"] in gone:
                gone.add(folder["id"])
            elif folder["kind"].startswith("IPF.Appointment") and folder["id"] not in {default["id"], *gone}:
                found.append(Calendar(folder["id"], folder["name"], folder["may_write"], False))
        return [calendar for calendar in found if calendar.id not in gone]

    def items(self, calendar: Calendar, now: datetime) -> Iterator[Any]:
        """Single items of a calendar that end after ``now``, and all series, as elements with little in them."""
        with self.asking():
            service = _Listing(account=self.account, page_size=_ON_A_PAGE)
            answers = service.call(
                folders=[FolderId(id=calendar.id)],
                additional_fields=_LISTED,
                restriction=_AfterOrRecurring(now),
                order_fields=None,
                shape="IdOnly",
                query_string=None,
                depth="Shallow",
                calendar_view=None,
                max_items=None,
                offset=0,
            )
            yield from to_the_end(answers)

    def read(self, ids: Sequence[str]) -> Mapping[str, Any]:
        """These items with all that MMS reads of them, by their ids, as elements; those that are gone are missing."""
        found = {}
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            for item_id, answer in zip(some, self._answers(some), strict=True):
                if not isinstance(answer, _NOT_GIVEN):
                    item = self._given(answer)
                    if id_of(item) == item_id:
                        found[item_id] = item
        return found

    def _answers(self, ids: Sequence[str]) -> list[Any]:
        """Where the answer about several cannot be used they are asked about in halves, so that one keeps nobody from
        the others; about one alone, that is an answer too."""
        try:
            with self.asking():
                service = _Items(account=self.account)
                wanted = [ItemId(id=each) for each in ids]
                answers = list(service.call(items=wanted, additional_fields=_READ, shape="IdOnly"))
            if len(answers) != len(ids):
                raise Failure("mailbox-answer", sentence("it answers for other meetings than it was asked about"))
        except Failure as failure:
            if failure.code != "mailbox-answer" or self.adapter.is_no_server:
                raise
            if len(ids) == 1:
                return [errors.ErrorItemCorrupt(failure.detail)]
            middle = len(ids) // 2
            return [*self._answers(ids[:middle]), *self._answers(ids[middle:])]
        return answers

    def _given(self, answer: Any) -> Any:
        with self.asking():
            return or_raise(answer)

    def write(self, change: Change) -> str:
        """Write one change, on condition of its change key; the new one. Raises as ``Source.apply`` does."""
        item = CalendarItem(account=self.account, id=change.event_id, changekey=change.change_key)
        fields = []
        if change.body is not None:
            item.body = (HTMLBody if change.body_is_html else Body)(change.body)
            fields.append("body")
        if change.location is not None:
            item.location = change.location or None
            fields.append("location")
        for name, value in change.properties.items():
            setattr(item, _ATTRIBUTES[name], value or None)
            fields.append(_ATTRIBUTES[name])
        if not fields:
            return change.change_key
        with self.writing():
            item.save(
                update_fields=fields,
                conflict_resolution=NEVER_OVERWRITE,
                send_meeting_invitations=SEND_TO_ALL_AND_SAVE_COPY,
            )
        return str(item.changekey)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around one request that writes: what its refusal means. Raises as ``Source.apply`` does."""
        self.adapter.writing = True
        try:
            yield
        except (errors.ErrorIrresolvableConflict, errors.ErrorInvalidChangeKey):
            raise Changed from None
        except (errors.ErrorItemNotFound, errors.ErrorCalendarOccurrenceIsDeletedFromRecurrence):
            raise Gone from None
        except (Interrupted, ValueError):
            raise Unsettled from None
        except Failure as failure:
            if failure.code == "mailbox-answer":  # it has answered, so it may have written
                raise Unsettled(failure.detail) from None
            raise
        except errors.EWSError as error:
            if refused := refusal_of(error):
                raise Refused("meeting-refused-by-server", refused) from None
            told = failure_of(error, self.upn, self.adapter.asked_to_wait)
            if is_unsettling(error) or told.code == "mailbox-answer":
                raise Unsettled(told.detail) from None
            raise told from None
        finally:
            self.adapter.writing = False

    @contextmanager
    def asking(self) -> Iterator[None]:
        try:
            yield
        except Interrupted as interrupted:
            raise Failure("mailbox-unavailable", interrupted.why) from None
        except errors.EWSError as error:
            raise failure_of(error, self.upn, self.adapter.asked_to_wait) from None
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
            # Of exchangelib, about a shape that it does not expect; its sentence may quote the answer.
            told = sentence(
                "%(host)s answers in a shape that is not that of Exchange's web services", host=self.adapter.origin.host
            )
            raise Failure("mailbox-answer", told) from None
