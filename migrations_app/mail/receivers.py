"""What happens to waiting messages when ``tenants_app`` announces that they go out in another way now."""

from __future__ import annotations

from typing import Any

from migrations_app.mail import outbox
from migrations_app.monitoring import mail_server
from migrations_app.runs.queue import wake_cluster
from tenants_app.models import Tenant


def on_mail_server_changed(sender: object, *, tenant: Tenant, **_: Any) -> None:
    """Try at once what is asleep: limits, refusals and silence were those of the old way."""
    mail_server.forget(tenant)
    if outbox.wake(tenant):
        wake_cluster()
