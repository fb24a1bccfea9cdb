"""The broker of django-q on the database, which tells in passing that the sentinel is at its post."""

from __future__ import annotations

from django.dispatch import Signal
from django_q.brokers.orm import ORM

guarded = Signal()
"""Sent in the sentinel, twice a second: it has looked after the cluster's processes just now."""


class Broker(ORM):
    """Named as ``broker_class``. Only the sentinel saves a status, once in each turn of its loop."""

    def set_stat(self, key: str, value: str, timeout: int) -> None:
        guarded.send(sender=Broker)
        super().set_stat(key, value, timeout)
