from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _
from django_q.brokers import get_broker

from migrations_app.management.monitoring_command import Answer, MonitoringCommand, Status, age
from migrations_app.monitoring import mail_server
from migrations_app.monitoring.health import WORKER_GONE, WORKER_SILENT, clocks, is_stuck, queue_state, workers
from migrations_app.monitoring.machines import machines
from tenants_app.wording import grouped


class Command(MonitoringCommand):
    help = (
        "Tell a monitoring system whether the cluster is alive and the queue is moving: one line with performance "
        "data; exit status 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN."
    )

    def answer(self, options: dict[str, Any]) -> Answer:
        cluster, state = workers(), queue_state()
        silence = cluster.silence
        found = Answer()
        if silence is None:
            found.add(Status.CRITICAL, _("the cluster has given no sign of life: start python manage.py run_cluster"))
        elif cluster.are_silent:
            found.add(
                Status.CRITICAL if cluster.are_gone else Status.WARNING,
                _("the cluster has been silent for %(silence)s: look whether it runs, and start it again")
                % {"silence": age(silence)},
            )
        known = [] if silence is None or cluster.are_silent else machines()
        for machine in known:
            if machine.is_silent:
                found.add(
                    Status.WARNING,
                    _("the machine %(name)s has been silent for %(silence)s: look whether run_cluster runs there")
                    % {"name": machine.name, "silence": age(machine.silence)},
                )
        if is_stuck(state):
            found.add(
                Status.CRITICAL,
                _("a due run has waited for %(longest_wait)s and none is in progress: start the cluster again")
                % {"longest_wait": age(state.longest_wait)},
            )
        if not get_broker().ping():
            found.add(
                Status.WARNING,
                _("the broker of %(setting)s does not answer, so work begins some seconds later: start that Redis")
                % {"setting": "MMS_BROKER_URL"},
            )
        silent = mail_server.silences() if state.unsent else []
        for server, waiting in silent:
            is_own = server.name != mail_server.installations()
            lasts = mail_server.length_of(server)
            if is_own and server.turns_away:
                what = _("the mail server %(name)s has turned MMS away for %(age)s (%(error)s)")
            elif is_own:
                what = _("the mail server %(name)s has not answered for %(age)s (%(error)s)")
            elif server.turns_away:
                what = _("the mail server has turned MMS away for %(age)s (%(error)s)")
            else:
                what = _("the mail server has not answered for %(age)s (%(error)s)")
            found.add(
                Status.CRITICAL if lasts > mail_server.GONE else Status.WARNING,
                _("%(what)s, messages waiting: %(count)s; check %(setting)s and the server")
                % {
                    "what": what % {"name": server.name, "age": age(lasts), "error": server.last_error},
                    "count": grouped(waiting),
                    "setting": "get_mail_server" if is_own else "EMAIL_URL",
                },
            )
        unanswered = max((mail_server.length_of(server) for server, _count in silent), default=timedelta(0))
        _judge_clocks(found)
        limits = f"{int(WORKER_SILENT.total_seconds())};{int(WORKER_GONE.total_seconds())}"
        found.data = {
            "heartbeat": "U" if silence is None else f"{int(silence.total_seconds())}s;{limits};0",
            "oldest_pending": f"{int(state.longest_wait.total_seconds())}s;;;0",
            "in_progress": f"{state.in_progress};;;0",
            "mail_unanswered": f"{int(unanswered.total_seconds())}s;0;{int(mail_server.GONE.total_seconds())};0",
            "unsent": f"{state.unsent};;;0",
        }
        found.when_ok = (
            "" if silence is None else _("the cluster gave a sign of life %(age)s ago") % {"age": age(silence)}
        )
        return found


def _judge_clocks(found: Answer) -> None:
    now = clocks()
    if now.drift:
        sentence = (
            _("the clock of this machine is %(age)s ahead of the database server's: let both follow NTP")
            if now.drift > timedelta(0)
            else _("the clock of this machine is %(age)s behind the database server's: let both follow NTP")
        )
        found.add(Status.WARNING, sentence % {"age": age(abs(now.drift))})
    if now.set_back:
        found.add(
            Status.WARNING,
            _(
                "the clock was set back: something bears a time that is %(set_back)s ahead; what waits for "
                "such a time waits for longer than it should"
            )
            % {"set_back": age(now.set_back)},
        )
