"""A message that is ready, as Django's mail backends take it."""

from __future__ import annotations

from collections.abc import Sequence

from django.core.mail import EmailMessage

from migrations_app.mail import imip


class _Composed:
    """What Django's mail backends want of ``EmailMessage.message()``, over bytes that are ready."""

    def __init__(self, message_id: str, data: bytes) -> None:
        self.message_id, self.data = message_id, data

    def __getitem__(self, name: str) -> str | None:
        return self.message_id if name.lower() == "message-id" else None

    def as_bytes(self, unixfrom: bool = False, linesep: str = "\r\n") -> bytes:
        return self.data


class ComposedMessage(EmailMessage):
    """A message for Django's mail backends that is composed already; the envelope's sender is the service."""

    def __init__(self, sender: str, recipients: Sequence[str], message_id: str, data: bytes) -> None:
        super().__init__(from_email=sender, to=recipients)
        self.message_id = message_id
        self._composed = _Composed(message_id, data)

    @classmethod
    def of(cls, content: imip.Content) -> ComposedMessage:
        """The iMIP message."""
        recipients = [person.address for person in content.recipients]
        return cls(content.sender, recipients, content.message_id, imip.compose(content))

    def message(self, **_: object) -> _Composed:  # type: ignore[override]
        return self._composed
