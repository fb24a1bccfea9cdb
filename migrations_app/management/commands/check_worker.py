from __future__ import annotations

from datetime import timedelta
from typing import Any

from migrations_app.management.monitoring_command import Answer, MonitoringCommand, Status, age
from migrations_app.monitoring import mail_server
from migrations_app.monitoring.health import WORKER_GONE, WORKER_SILENT, clocks, is_stuck, queue_state, workers


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
            found.add(Status.CRITICAL, "the cluster has given no sign of life: start python manage.py run_cluster")
        elif cluster.are_silent:
            found.add(
                Status.CRITICAL if cluster.are_gone else Status.WARNING,
                f"the cluster has been silent for {age(silence)}: look whether it runs, and start it again",
            )
        if is_stuck(state):
            found.add(
                Status.CRITICAL,
                f"a due run has waited for {age(state.longest_wait)} and none is in progress: start the cluster again",
            )
        silent = mail_server.silences() if state.unsent else []
        for server, waiting in silent:
            is_own = server.name != mail_server.installations()
            lasts, which = mail_server.length_of(server), f"mail server {server.name}" if is_own else "mail server"
            found.add(
                Status.CRITICAL if lasts > mail_server.GONE else Status.WARNING,
                f"the {which} has {'turned MMS away' if server.turns_away else 'not answered'} for {age(lasts)} "
                f"({server.last_error}), messages waiting: {waiting:,}; check "
                f"{'get_mail_server' if is_own else 'EMAIL_URL'} and the server",
            )
        unanswered = max((mail_server.length_of(server) for server, _ in silent), default=timedelta(0))
        _judge_clocks(found)
        limits = f"{int(WORKER_SILENT.total_seconds())};{int(WORKER_GONE.total_seconds())}"
        found.data = {
            "heartbeat": "U" if silence is None else f"{int(silence.total_seconds())}s;{limits};0",
            "oldest_pending": f"{int(state.longest_wait.total_seconds())}s;;;0",
            "in_progress": f"{state.in_progress};;;0",
            "mail_unanswered": f"{int(unanswered.total_seconds())}s;0;{int(mail_server.GONE.total_seconds())};0",
            "unsent": f"{state.unsent};;;0",
        }
        found.when_ok = "" if silence is None else f"the cluster gave a sign of life {age(silence)} ago"
        return found


def _judge_clocks(found: Answer) -> None:
    now = clocks()
    if now.drift:
        where = "ahead of" if now.drift > timedelta(0) else "behind"
        found.add(
            Status.WARNING,
            f"the clock of this machine is {age(abs(now.drift))} {where} the database server's: let both follow NTP",
        )
    if now.set_back:
        found.add(
            Status.WARNING,
            f"the clock was set back: something bears a time that is {age(now.set_back)} ahead; what waits for such "
            "a time waits for longer than it should",
        )
