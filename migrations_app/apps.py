from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class MigrationsConfig(AppConfig):
    name = "migrations_app"
    verbose_name = "Meeting migrations"

    def ready(self) -> None:
        from migrations_app import checks  # noqa: F401 - registers the system checks
        from migrations_app.advice import (
            on_command_wanted,
            on_next_steps_wanted,
            on_pages_wanted,
            on_remedy_wanted,
            on_standings_wanted,
            on_version_wanted,
        )
        from migrations_app.mail.receivers import on_mail_server_changed
        from migrations_app.procedures.bulk_kinds import KINDS
        from migrations_app.procedures.mailbox_scans import follow
        from migrations_app.runs.receivers import on_change_foreseen, on_tenant_changed, on_users_changed
        from tenants_app.audit import register_actions
        from tenants_app.signals import (
            change_foreseen,
            command_wanted,
            mail_server_changed,
            mailboxes_changed,
            next_steps_wanted,
            pages_wanted,
            remedy_wanted,
            standings_wanted,
            tenant_changed,
            users_changed,
            version_wanted,
        )

        register_actions("Runs", "start migration", "retry migration", "undo migration", "run now")
        register_actions("Runs", "accept failure", "take back accepted failure")
        register_actions("Runs", "send messages again", "confirm messages delivered")
        register_actions("Runs", "use migration tool")
        register_actions("Runs", "assign meeting to organizer", "meeting dealt with", "open meeting again")
        register_actions("Many users", *(kind.audited for kind in KINDS.values()), "stop what is done for many users")
        register_actions("Many users", "change planned start", "bring planned start forward", "cancel planned start")
        register_actions("Bridges and numbers", "take number off", "take number off now", "cancel taking number off")
        register_actions("Bridges and numbers", "release number anyway", "accept messages given up")
        register_actions("Alerts", "change alerts", "renew alert secret", "send alert again", "stop alert webhook")
        register_actions("Notices to organizers", "change notice", "begin without notices", "send notices again")
        register_actions("Notices to organizers", "tell organizers the new time")
        mail_server_changed.connect(on_mail_server_changed, dispatch_uid="migrations_app")
        mailboxes_changed.connect(follow, dispatch_uid="migrations_app")
        change_foreseen.connect(on_change_foreseen, dispatch_uid="migrations_app")
        users_changed.connect(on_users_changed, dispatch_uid="migrations_app")
        tenant_changed.connect(on_tenant_changed, dispatch_uid="migrations_app")
        remedy_wanted.connect(on_remedy_wanted, dispatch_uid="migrations_app")
        pages_wanted.connect(on_pages_wanted, dispatch_uid="migrations_app")
        standings_wanted.connect(on_standings_wanted, dispatch_uid="migrations_app")
        version_wanted.connect(on_version_wanted, dispatch_uid="migrations_app")
        next_steps_wanted.connect(on_next_steps_wanted, dispatch_uid="migrations_app")
        command_wanted.connect(on_command_wanted, dispatch_uid="migrations_app")
        post_migrate.connect(_ensure_schedule, sender=self)
        pre_migrate.connect(_unwatch, sender=self)
        post_migrate.connect(_watch, sender=self)


def _ensure_schedule(using: str, **_: Any) -> None:
    """Wake the cluster every minute: for runs that become due, retries, and leases that ran out."""
    from django_q.models import Schedule

    Schedule.objects.using(using).get_or_create(
        name="wake-up",
        defaults={"func": "migrations_app.tasks.work_queue", "schedule_type": Schedule.MINUTES, "minutes": 1},
    )


def _unwatch(using: str, plan: list[Any], **_: Any) -> None:
    from migrations_app.monitoring import activity

    if plan:
        activity.unwatch(using)


def _watch(using: str, **_: Any) -> None:
    from migrations_app.monitoring import activity

    activity.watch(using)
