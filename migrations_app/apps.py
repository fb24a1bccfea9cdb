from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate
from django.utils.translation import gettext_lazy, gettext_noop


class MigrationsConfig(AppConfig):
    name = "migrations_app"
    verbose_name = gettext_lazy("Meeting migrations")

    def import_models(self) -> None:
        super().import_models()
        from tenants_app.field_names import translate_names

        translate_names(self)

    def ready(self) -> None:
        from migrations_app import checks  # noqa: F401 - registers the system checks
        from migrations_app.models import CheckAnswer, LeftMeeting, RolloutCheck, TakenListing
        from migrations_app.rollouts import further_conditions
        from tenants_app import signals
        from tenants_app.audit import register_actions, register_actions_later, register_values

        register_values("State", LeftMeeting.State.choices)
        register_values("answer", CheckAnswer.Answer.choices)
        register_values("scope", RolloutCheck.Scope.choices)
        for kinds in (RolloutCheck.Kind, TakenListing.Kind):
            register_values("kind", kinds.choices)
        register_actions(
            gettext_noop("Runs"),
            gettext_noop("start migration"),
            gettext_noop("retry migration"),
            gettext_noop("undo migration"),
            gettext_noop("run now"),
        )
        register_actions(
            gettext_noop("Runs"), gettext_noop("accept failure"), gettext_noop("take back accepted failure")
        )
        register_actions(
            gettext_noop("Runs"), gettext_noop("send messages again"), gettext_noop("confirm messages delivered")
        )
        register_actions(gettext_noop("Runs"), gettext_noop("use migration tool"))
        register_actions(
            gettext_noop("Runs"),
            gettext_noop("assign meeting to organizer"),
            gettext_noop("meeting dealt with"),
            gettext_noop("open meeting again"),
        )
        register_actions_later(gettext_noop("Many users"), _done_for_many_users)
        register_actions(gettext_noop("Many users"), gettext_noop("stop what is done for many users"))
        register_actions(
            gettext_noop("Many users"),
            gettext_noop("change planned start"),
            gettext_noop("bring planned start forward"),
            gettext_noop("cancel planned start"),
        )
        register_actions(
            gettext_noop("Bridges and numbers"),
            gettext_noop("take number off"),
            gettext_noop("take number off now"),
            gettext_noop("cancel taking number off"),
        )
        register_actions(
            gettext_noop("Bridges and numbers"),
            gettext_noop("release number anyway"),
            gettext_noop("accept messages given up"),
        )
        register_actions(
            gettext_noop("Alerts"),
            gettext_noop("change alerts"),
            gettext_noop("renew alert secret"),
            gettext_noop("send alert again"),
            gettext_noop("stop alert webhook"),
            gettext_noop("change rollout people"),
            gettext_noop("renew rollout secret"),
        )
        register_actions(
            gettext_noop("Notices to organizers"),
            gettext_noop("change notice"),
            gettext_noop("begin without notices"),
            gettext_noop("send notices again"),
        )
        register_actions(gettext_noop("Notices to organizers"), gettext_noop("tell organizers the new time"))
        register_actions(
            gettext_noop("Rollouts"),
            gettext_noop("add check"),
            gettext_noop("change check"),
            gettext_noop("remove check"),
            gettext_noop("move check"),
            gettext_noop("check rollout"),
            gettext_noop("answer check"),
            gettext_noop("open gate"),
        )
        register_actions(
            gettext_noop("Rollouts"),
            gettext_noop("create rollout"),
            gettext_noop("change rollout"),
            gettext_noop("change rollout mapping"),
            gettext_noop("end rollout"),
            gettext_noop("add wave"),
            gettext_noop("change wave"),
            gettext_noop("put wave"),
            gettext_noop("split wave"),
            gettext_noop("remove wave"),
            gettext_noop("add wave members"),
            gettext_noop("import wave members"),
            gettext_noop("take out wave members"),
            gettext_noop("exclude wave member"),
        )
        register_actions(
            gettext_noop("Rollouts"),
            gettext_noop("start wave"),
            gettext_noop("pause wave"),
            gettext_noop("resume wave"),
            gettext_noop("retry wave member"),
            gettext_noop("confirm moved accounts"),
            gettext_noop("accept wave"),
            gettext_noop("roll back wave"),
            gettext_noop("search meetings"),
            gettext_noop("tell stranded organizers"),
            gettext_noop("record listing"),
            gettext_noop("accept legacy meeting"),
        )
        register_actions(
            gettext_noop("Chat"),
            gettext_noop("change chat settings"),
            gettext_noop("export chat"),
            gettext_noop("store chat archive"),
            gettext_noop("download chat archive"),
            gettext_noop("delete chat archive"),
            gettext_noop("store chat evidence"),
            gettext_noop("download chat evidence"),
        )
        register_actions(
            gettext_noop("Chat"),
            gettext_noop("add chat target"),
            gettext_noop("change chat target"),
            gettext_noop("download chat files"),
            gettext_noop("remove chat target"),
            gettext_noop("plan chat import"),
            gettext_noop("decide on chat rooms"),
            gettext_noop("accept chat retention"),
            gettext_noop("start chat import"),
            gettext_noop("pause chat import"),
            gettext_noop("resume chat import"),
            gettext_noop("retry chat rooms"),
            gettext_noop("compare chat rooms"),
            gettext_noop("accept chat differences"),
            gettext_noop("look at chat messages"),
            gettext_noop("ask chat people"),
            gettext_noop("remind chat people"),
            gettext_noop("answer chat question"),
        )
        register_actions(
            gettext_noop("Chat"),
            gettext_noop("answer chat condition"),
            gettext_noop("confirm chat condition"),
            gettext_noop("take back chat answer"),
            gettext_noop("do chat step"),
            gettext_noop("take back chat step"),
            gettext_noop("check chat endpoint"),
        )
        further_conditions.register("chat", _loaded_when_sent("chat.gate", "retirement_conditions"))
        for signal, (module, name) in {
            signals.mail_server_changed: ("mail.receivers", "on_mail_server_changed"),
            signals.mailboxes_changed: ("procedures.mailbox_scans", "follow"),
            signals.change_foreseen: ("runs.receivers", "on_change_foreseen"),
            signals.users_changed: ("runs.receivers", "on_users_changed"),
            signals.tenant_changed: ("runs.receivers", "on_tenant_changed"),
            signals.remedy_wanted: ("advice", "on_remedy_wanted"),
            signals.pages_wanted: ("advice", "on_pages_wanted"),
            signals.standings_wanted: ("advice", "on_standings_wanted"),
            signals.version_wanted: ("advice", "on_version_wanted"),
            signals.next_steps_wanted: ("advice", "on_next_steps_wanted"),
            signals.command_wanted: ("advice", "on_command_wanted"),
            signals.letter_wanted: ("mail.at_once", "on_letter_wanted"),
        }.items():
            signal.connect(_loaded_when_sent(module, name), weak=False, dispatch_uid="migrations_app")
        post_migrate.connect(_ensure_schedule, sender=self)
        pre_migrate.connect(_unwatch, sender=self)
        post_migrate.connect(_watch, sender=self)


def _loaded_when_sent(module: str, name: str) -> Callable[..., Any]:
    """The receiver of that name. Its module is loaded when it is needed: most commands need none of them."""

    def receive(*args: Any, **told: Any) -> Any:
        return getattr(import_module(f"migrations_app.{module}"), name)(*args, **told)

    return receive


def _done_for_many_users() -> list[str]:
    from migrations_app.procedures.bulk_kinds import KINDS

    return [kind.audited for kind in KINDS.values()]


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
