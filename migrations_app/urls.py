"""Addresses about its users, bridges, runs and switches."""

from base64 import b64decode, urlsafe_b64encode

from django.urls import path, register_converter
from django.urls.converters import IntConverter

from migrations_app.screens import (
    alerts,
    bridges,
    bulk_actions,
    dashboard,
    deployments,
    dial_in_directory,
    failures,
    first_steps,
    left_meetings,
    mail_settings,
    mailboxes,
    meetings,
    metrics,
    notices,
    numbers,
    plans,
    previews,
    releases,
    runs,
    search,
    selecting,
    starting,
    tenant_settings,
    tool,
    undoing,
    user_imports,
    users,
)
from migrations_app.screens.chat import answers as chat_answers
from migrations_app.screens.chat import archives as chat_archives
from migrations_app.screens.chat import importing as chat_importing
from migrations_app.screens.chat import overview as chat_overview
from migrations_app.screens.chat import people as chat_people
from migrations_app.screens.chat import plans as chat_plans
from migrations_app.screens.chat import report as chat_report
from migrations_app.screens.chat import rooms as chat_rooms
from migrations_app.screens.chat import switching as chat_switching
from migrations_app.screens.chat import targets as chat_targets
from migrations_app.screens.chat.chat_settings import chat_settings
from migrations_app.screens.rollouts import acceptance as wave_acceptance
from migrations_app.screens.rollouts import check_definitions, rollouts
from migrations_app.screens.rollouts import checks as rollout_checks
from migrations_app.screens.rollouts import company as rollout_company
from migrations_app.screens.rollouts import gates as rollout_gates
from migrations_app.screens.rollouts import going_back as rollout_going_back
from migrations_app.screens.rollouts import members as rollout_members
from migrations_app.screens.rollouts import people as rollout_people
from migrations_app.screens.rollouts import readiness as rollout_readiness
from migrations_app.screens.rollouts import report as rollout_report
from migrations_app.screens.rollouts import retirement as rollout_retirement
from migrations_app.screens.rollouts import wave as wave_screens
from migrations_app.screens.rollouts import waves as rollout_waves


class UPNConverter:
    """A user principal name. It may hold a slash, but not in its domain, so words can follow it."""

    regex = r"[^@\s\x00]+@[A-Za-z0-9.-]+"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class UIDConverter:
    """The UID of a meeting, which may be any text: as URL-safe Base64 (RFC 4648 section 5) without padding."""

    regex = r"[A-Za-z0-9_-]+"

    def to_python(self, value: str) -> str:
        """Raises ``ValueError``, which Django answers with 404, where it is no such text."""
        uid = b64decode(value + "=" * (-len(value) % 4), altchars="-_", validate=True).decode()
        if "\0" in uid:  # in no calendar, and in no text that PostgreSQL takes
            raise ValueError("a UID has no NUL")
        return uid

    def to_url(self, value: str) -> str:
        return urlsafe_b64encode(value.encode()).decode().rstrip("=")


class KeyConverter(IntConverter):
    """The number of a row, no longer than both databases can compare it with."""

    regex = "[0-9]{1,18}"


register_converter(UPNConverter, "upn")
register_converter(KeyConverter, "key")
register_converter(UIDConverter, "uid")

urlpatterns = [
    path("metrics", metrics.metrics, name="metrics"),
    path("chat-answer/<slug:token>/", chat_answers.answer, name="chat-answer"),
]
"""About all tenants."""

tenant_urlpatterns = [
    path("", dashboard.dashboard, name="dashboard"),
    path("first-steps/", first_steps.put_away, name="first-steps"),
    path("errors/", failures.catalogue, name="errors"),
    path("failures/", failures.failures, name="failures"),
    path("failures/<slug:code>/", failures.group, name="failure-group"),
    path("failures/<slug:code>/export.csv", failures.group_csv, name="failure-group-csv"),
    path("failures/<slug:code>/accept/", failures.accept_group, name="accept-group"),
    path("failures/<slug:code>/take-back/", failures.take_back_group, name="take-back-group"),
    path("left/", left_meetings.left_meetings, name="left-meetings"),
    path("left/export.csv", left_meetings.left_csv, name="left-csv"),
    path("left/assign/", left_meetings.assign_left, name="assign-left"),
    path("left/deal-with/", left_meetings.deal_with_left, name="deal-with-left"),
    path("left/open-again/", left_meetings.open_left_again, name="open-left-again"),
    path("left/look-again/", left_meetings.look_again, name="look-again"),
    path("left/<key:pk>/", left_meetings.left_meeting, name="left-meeting"),
    path("migrations/", runs.history, name="history"),
    path("migrations/<uuid:correlation_id>/", runs.run, name="run"),
    path("migrations/<uuid:correlation_id>/run-now/", runs.run_now, name="run-now"),
    path("migrations/<uuid:correlation_id>/start-again/", runs.start_again, name="start-again"),
    path("migrations/<uuid:correlation_id>/undo/", undoing.undo_run, name="undo-run"),
    path("migrations/<uuid:correlation_id>/undo/<key:pk>/", undoing.undo_meeting, name="undo-meeting"),
    path("migrations/<uuid:correlation_id>/send-again/", runs.send_again, name="send-again"),
    path("migrations/<uuid:correlation_id>/send-in-doubt-again/", runs.send_in_doubt_again, name="send-in-doubt-again"),
    path("migrations/<uuid:correlation_id>/confirm-delivered/", runs.confirm_delivered, name="confirm-delivered"),
    path("migrations/<uuid:correlation_id>/meetings/<key:pk>/", runs.meeting, name="meeting"),
    path("migrations/<uuid:correlation_id>/meetings/<key:pk>/explain/", runs.explanation, name="explain"),
    path("previews/", previews.previews, name="previews"),
    path("previews/<key:pk>/", previews.preview, name="preview"),
    path("previews/<key:pk>/start/", previews.start_preview, name="start-preview"),
    path("previews/<key:pk>/meetings.csv", previews.preview_csv, name="preview-csv"),
    path("previews/<key:pk>/report.html", previews.preview_report, name="preview-report"),
    path("previews/<key:pk>/meetings/<key:meeting_pk>/", previews.previewed_meeting, name="previewed-meeting"),
    path("users/", users.users, name="users"),
    path("users/selected/<slug:kind>/", selecting.selected, name="selected"),
    path("users/actions/", bulk_actions.bulk_actions, name="bulk-actions"),
    path("users/actions/<key:pk>/", bulk_actions.bulk_action, name="bulk-action"),
    path("users/actions/<key:pk>/results.csv", bulk_actions.results_csv, name="bulk-action-csv"),
    path("users/actions/<key:pk>/stop/", bulk_actions.stop, name="stop-bulk-action"),
    path("users/planned/", plans.all_plans, name="plans"),
    path("users/planned/<key:pk>/", plans.plan, name="plan"),
    path("users/planned/<key:pk>/cancel/", plans.cancel, name="cancel-plan"),
    path("users/planned/<key:pk>/begin/", plans.begin, name="begin-plan"),
    path("users/export.csv", user_imports.users_csv, name="users-csv"),
    path("users/import/", user_imports.user_imports, name="user-imports"),
    path("users/import/template.csv", user_imports.template, name="users-template"),
    path("users/import/<key:pk>/", user_imports.user_import, name="user-import"),
    path("users/import/<key:pk>/apply/", user_imports.apply, name="apply-import"),
    path("users/import/<key:pk>/check/", user_imports.check_again, name="check-import"),
    path("users/import/<key:pk>/discard/", user_imports.discard, name="discard-import"),
    path("users/<upn:upn>/", users.user, name="user"),
    path("users/<upn:upn>/start/", starting.start_user, name="start-user"),
    path("users/<upn:upn>/start/options/", starting.start_options, name="start-options"),
    path("users/<upn:upn>/mark-up-to-date/", users.mark_as_up_to_date, name="mark-up-to-date"),
    path("users/<upn:upn>/accept-failure/", failures.accept_failure, name="accept-failure"),
    path("users/<upn:upn>/take-back-acceptance/", failures.take_back_acceptance, name="take-back-acceptance"),
    path("users/<upn:upn>/scan-now/", mailboxes.scan_now, name="scan-now"),
    path("users/<upn:upn>/meetings/", users.user_meetings, name="user-meetings"),
    path("search/", search.search, name="search"),
    path("meetings/", meetings.meetings, name="meetings"),
    path("users/<upn:upn>/meetings/<uid:uid>/story/", meetings.story, name="meeting-story"),
    path("users/<upn:upn>/meetings/<uid:uid>/", users.user_meeting, name="user-meeting"),
    path("bridges/", bridges.bridges, name="bridges"),
    path("bridges/add/", bridges.add_bridge, name="add-bridge"),
    path("bridges/<key:pk>/", bridges.bridge, name="bridge"),
    path("bridges/<key:pk>/edit/", bridges.edit_bridge, name="edit-bridge"),
    path("bridges/<key:pk>/remove/", bridges.remove, name="remove-bridge"),
    path("bridges/<key:pk>/numbers/add/", bridges.add_number, name="add-number"),
    path("bridges/<key:pk>/numbers/<key:number_pk>/", numbers.number, name="number"),
    path("bridges/<key:pk>/numbers/<key:number_pk>/default/", numbers.set_default, name="set-default-number"),
    path("bridges/<key:pk>/numbers/<key:number_pk>/describe/", numbers.describe, name="describe-number"),
    path("bridges/<key:pk>/numbers/<key:number_pk>/release/", numbers.release_number, name="release-number"),
    path("bridges/<key:pk>/numbers/<key:number_pk>/replace/", numbers.replace_number, name="replace-number"),
    path("notices/<key:pk>/", notices.notice_round, name="notice-round"),
    path("notices/<key:pk>/notices.csv", notices.round_csv, name="notice-round-csv"),
    path("notices/<key:pk>/begin/", notices.begin_anyway, name="begin-without-notices"),
    path("notices/<key:pk>/new-time/", notices.tell_new_time, name="tell-new-time"),
    path("notices/<key:pk>/again/", notices.tell_again, name="tell-again"),
    path("releases/", releases.releases, name="releases"),
    path("releases/<key:pk>/", releases.release, name="release"),
    path("releases/<key:pk>/cancel/", releases.cancel, name="cancel-release"),
    path("releases/<key:pk>/begin/", releases.begin, name="begin-release"),
    path("releases/<key:pk>/start-runs/", releases.start_runs, name="start-release-runs"),
    path("releases/<key:pk>/anyway/", releases.anyway, name="release-anyway"),
    path("releases/<key:pk>/accept-given-up/", releases.accept, name="accept-given-up"),
    path("rollouts/<key:pk>/checks/", rollout_checks.checks, name="rollout-checks"),
    path("rollouts/<key:pk>/checks/look/", rollout_checks.look_at_checks, name="look-at-rollout-checks"),
    path("rollouts/<key:pk>/checks/new/", check_definitions.new_check, name="new-rollout-check"),
    path("rollouts/<key:pk>/checks/open/", rollout_gates.open_retirement, name="open-retirement-gate"),
    path("rollouts/<key:pk>/checks/<key:check>/", rollout_checks.check, name="rollout-check"),
    path("rollouts/<key:pk>/checks/<key:check>/answer/", rollout_checks.answer_check, name="answer-rollout-check"),
    path("rollouts/<key:pk>/checks/<key:check>/look/", rollout_checks.look_at_check, name="look-at-rollout-check"),
    path("rollouts/<key:pk>/checks/<key:check>/change/", check_definitions.change, name="change-rollout-check"),
    path("rollouts/<key:pk>/checks/<key:check>/move/", check_definitions.move, name="move-rollout-check"),
    path("rollouts/<key:pk>/checks/<key:check>/remove/", check_definitions.remove, name="remove-rollout-check"),
    path("rollouts/<key:pk>/waves/<key:n>/", wave_screens.wave, name="wave"),
    path("rollouts/<key:pk>/waves/<key:n>/start/", wave_screens.start, name="start-wave"),
    path("rollouts/<key:pk>/waves/<key:n>/pause/", wave_screens.pause, name="pause-wave"),
    path("rollouts/<key:pk>/waves/<key:n>/resume/", wave_screens.resume, name="resume-wave"),
    path("rollouts/<key:pk>/waves/<key:n>/accept/", wave_acceptance.accept, name="accept-wave"),
    path("rollouts/<key:pk>/waves/<key:n>/accept/items.csv", wave_acceptance.items_csv, name="accept-wave-csv"),
    path("rollouts/<key:pk>/waves/<key:n>/moves/", wave_screens.moves, name="wave-moves"),
    path("rollouts/<key:pk>/waves/<key:n>/moves/list.txt", wave_screens.move_list, name="wave-move-list"),
    path("rollouts/<key:pk>/waves/<key:n>/members/<key:member>/retry/", wave_screens.retry, name="retry-wave-member"),
    path("rollouts/<key:pk>/waves/<key:n>/open-gate/", rollout_gates.open_wave, name="open-gate"),
    path("rollouts/<key:pk>/waves/<key:n>/roll-back/", rollout_going_back.roll_back_wave, name="roll-back-wave"),
    path("rollouts/<key:pk>/waves/<key:n>/stranded/", rollout_going_back.cannot_go_back, name="wave-stranded"),
    path("rollouts/<key:pk>/waves/<key:n>/stranded.csv", rollout_going_back.stranded_csv, name="wave-stranded-csv"),
    path("rollouts/<key:pk>/waves/<key:n>/stranded/search/", rollout_going_back.search_wave, name="search-stranded"),
    path("rollouts/<key:pk>/waves/<key:n>/stranded/tell/", rollout_going_back.tell_organizers, name="tell-stranded"),
    path("rollouts/<key:pk>/retirement/", rollout_retirement.gate, name="rollout-retirement"),
    path(
        "rollouts/<key:pk>/retirement/listing/<slug:kind>/", rollout_retirement.take_listing, name="retirement-listing"
    ),
    path("rollouts/<key:pk>/retirement/search/", rollout_retirement.search, name="retirement-search"),
    path("rollouts/<key:pk>/retirement/accept/", rollout_retirement.accept, name="retirement-accept"),
    path("rollouts/<key:pk>/retirement/retire/", rollout_retirement.retire, name="retire-deployment"),
    path("rollouts/<key:pk>/retirement/take-back/", rollout_retirement.take_back, name="take-back-retirement"),
    path("rollouts/<key:pk>/redirects/", rollout_retirement.redirect_map, name="rollout-redirects"),
    path("rollouts/<key:pk>/redirects/<slug:kind>/", rollout_retirement.redirect_file, name="redirects-file"),
    path("users/to-wave/", rollout_members.selected_to_wave, name="selected-to-wave"),
    path("rollouts/", rollouts.rollouts, name="rollouts"),
    path("rollouts/<key:pk>/", rollouts.rollout, name="rollout"),
    path("rollouts/<key:pk>/settings/", rollouts.settings, name="rollout-settings"),
    path("rollouts/<key:pk>/close/", rollouts.close, name="close-rollout"),
    path("rollouts/<key:pk>/mapping/", rollouts.mapping, name="rollout-mapping"),
    path("rollouts/<key:pk>/import/", rollout_members.import_file, name="rollout-import"),
    path("rollouts/<key:pk>/waves/add/", rollouts.add, name="add-wave"),
    path("rollouts/<key:pk>/waves/<key:n>/settings/", rollout_waves.settings, name="wave-settings"),
    path("rollouts/<key:pk>/waves/<key:n>/put/", rollout_waves.put, name="put-wave"),
    path("rollouts/<key:pk>/waves/<key:n>/split/", rollout_waves.split, name="split-wave"),
    path("rollouts/<key:pk>/waves/<key:n>/remove/", rollout_waves.remove, name="remove-wave"),
    path("rollouts/<key:pk>/waves/<key:n>/members/", rollout_members.members, name="wave-members"),
    path("rollouts/<key:pk>/waves/<key:n>/members/add/", rollout_members.add, name="add-wave-members"),
    path("rollouts/<key:pk>/waves/<key:n>/members/take-out/", rollout_members.take_out, name="take-out-members"),
    path("rollouts/<key:pk>/waves/<key:n>/newcomers/", rollout_members.add_newcomers, name="add-newcomers"),
    path(
        "rollouts/<key:pk>/waves/<key:n>/members/<key:member_pk>/exclude/",
        rollout_members.exclude,
        name="exclude-member",
    ),
    path("rollouts/<key:pk>/waves/<key:n>/meetings/", rollout_company.company, name="wave-meetings"),
    path("rollouts/<key:pk>/waves/<key:n>/readiness/", rollout_readiness.readiness, name="wave-readiness"),
    path("rollouts/<key:pk>/report/", rollout_report.rollout_report, name="rollout-report"),
    path("rollouts/<key:pk>/report/<slug:kind>/", rollout_report.rollout_report_file, name="rollout-report-file"),
    path("rollouts/<key:pk>/waves/<key:n>/report/", rollout_report.wave_report, name="wave-report"),
    path(
        "rollouts/<key:pk>/waves/<key:n>/report/<slug:kind>/", rollout_report.wave_report_file, name="wave-report-file"
    ),
    path("rollouts/<key:pk>/people/", rollout_people.people, name="rollout-people"),
    path("rollouts/<key:pk>/people/secret/", rollout_people.new_secret, name="rollout-people-secret"),
    path("chat/", chat_overview.overview, name="chat"),
    path("chat/settings/", chat_settings, name="chat-settings"),
    path("chat/archives/", chat_archives.archives, name="chat-archives"),
    path("chat/archives/script/<slug:kind>/", chat_archives.script, name="chat-script"),
    path("chat/archives/evidence/<key:pk>/", chat_archives.download_evidence, name="chat-evidence"),
    path("chat/archives/given/<key:pk>/", chat_archives.reading, name="chat-reading"),
    path("chat/archives/<key:pk>/", chat_archives.archive, name="chat-archive"),
    path("chat/archives/<key:pk>/download/", chat_archives.download, name="download-chat-archive"),
    path("chat/archives/<key:pk>/delete/", chat_archives.delete, name="delete-chat-archive"),
    path("chat/targets/", chat_targets.targets, name="chat-targets"),
    path("chat/targets/<key:pk>/", chat_targets.target, name="chat-target"),
    path("chat/targets/<key:pk>/try/", chat_targets.try_target, name="try-chat-target"),
    path("chat/targets/<key:pk>/remove/", chat_targets.remove, name="remove-chat-target"),
    path("chat/targets/<key:pk>/take/", chat_targets.product, name="chat-target-file"),
    path("chat/plans/new/", chat_plans.new_plan, name="new-chat-plan"),
    path("chat/plans/<key:number>/", chat_plans.plan, name="chat-plan"),
    path("chat/plans/<key:number>/again/", chat_plans.plan_again, name="plan-chat-again"),
    path("chat/plans/<key:number>/retention/", chat_plans.retention, name="accept-chat-retention"),
    path("chat/plans/<key:number>/findings/", chat_plans.findings, name="chat-findings"),
    path("chat/plans/<key:number>/start/", chat_importing.start, name="start-chat-import"),
    path("chat/plans/<key:number>/pause/", chat_importing.pause, name="pause-chat-import"),
    path("chat/plans/<key:number>/resume/", chat_importing.resume, name="resume-chat-import"),
    path("chat/plans/<key:number>/retry/", chat_importing.retry, name="retry-chat-import"),
    path("chat/plans/<key:number>/verify/", chat_importing.verify, name="verify-chat"),
    path("chat/plans/<key:number>/rooms/", chat_rooms.rooms, name="chat-rooms"),
    path("chat/plans/<key:number>/rooms/choose/", chat_rooms.choose, name="choose-chat-rooms"),
    path("chat/plans/<key:number>/rooms/<key:pk>/", chat_rooms.room, name="chat-room"),
    path("chat/plans/<key:number>/rooms/<key:pk>/name/", chat_rooms.name_room, name="name-chat-room"),
    path("chat/plans/<key:number>/rooms/<key:pk>/accept/", chat_rooms.accept, name="accept-chat-differences"),
    path("chat/plans/<key:number>/rooms/<key:pk>/verify/", chat_rooms.verify_room, name="verify-chat-room"),
    path("chat/plans/<key:number>/rooms/<key:pk>/retry/", chat_rooms.retry_room, name="retry-chat-room"),
    path("chat/plans/<key:number>/rooms/<key:pk>/sample/", chat_rooms.sample, name="chat-room-sample"),
    path("chat/plans/<key:number>/gate/", chat_switching.gate, name="chat-gate"),
    path("chat/plans/<key:number>/gate/<slug:key>/", chat_switching.answer_condition, name="answer-chat-gate"),
    path(
        "chat/plans/<key:number>/gate/<slug:key>/confirm/",
        chat_switching.confirm_condition,
        name="confirm-chat-gate",
    ),
    path(
        "chat/plans/<key:number>/gate/<slug:key>/take-back/",
        chat_switching.take_back_answer,
        name="take-back-chat-gate",
    ),
    path("chat/plans/<key:number>/steps/", chat_switching.steps, name="chat-steps"),
    path("chat/plans/<key:number>/steps/<slug:key>/", chat_switching.do_step, name="do-chat-step"),
    path(
        "chat/plans/<key:number>/steps/<slug:key>/take-back/",
        chat_switching.take_back_step,
        name="take-back-chat-step",
    ),
    path("chat/plans/<key:number>/endpoint/", chat_switching.endpoint, name="chat-endpoint"),
    path("chat/plans/<key:number>/endpoint/compare/", chat_switching.compare_endpoint, name="compare-chat-endpoint"),
    path("chat/plans/<key:number>/endpoint/ask/", chat_switching.ask_pool, name="ask-chat-pool"),
    path("chat/plans/<key:number>/endpoint/<slug:key>/", chat_switching.answer_client, name="answer-chat-client"),
    path(
        "chat/plans/<key:number>/endpoint/<slug:key>/take-back/",
        chat_switching.take_back_client,
        name="take-back-chat-client",
    ),
    path("chat/plans/<key:number>/people/", chat_people.people, name="chat-people"),
    path("chat/plans/<key:number>/report/", chat_report.report, name="chat-report"),
    path("chat/plans/<key:number>/report/<slug:kind>/", chat_report.report_file, name="chat-report-file"),
    path("settings/", tenant_settings.tenant_settings, name="settings"),
    path("settings/service/off/", tenant_settings.service_off, name="service-off"),
    path("settings/rules/", tenant_settings.rules, name="rules"),
    path("settings/directory-key/", tenant_settings.directory_key, name="directory-key"),
    path("settings/mail/", mail_settings.mail_settings, name="mail"),
    path("settings/mail/test/", mail_settings.try_mail_server, name="mail-test"),
    path("settings/mail/test-message/", mail_settings.send_test_message, name="mail-test-message"),
    path("settings/mail/deliverability/", mail_settings.check_deliverability, name="mail-deliverability"),
    path("settings/alerts/", alerts.alerts, name="alerts"),
    path("settings/alerts/test-mail/", alerts.test_mail, name="alert-test-mail"),
    path("settings/alerts/test-webhook/", alerts.test_webhook, name="alert-test-webhook"),
    path("settings/alerts/secret/", alerts.new_secret, name="alert-secret"),
    path("settings/alerts/<key:pk>/send-again/", alerts.send_again, name="send-alert-again"),
    path("settings/deployments/", deployments.deployments, name="deployments"),
    path("settings/deployments/<key:pk>/", deployments.deployment, name="deployment"),
    path("settings/deployments/<key:pk>/remove/", deployments.remove, name="remove-deployment"),
    path("settings/mailboxes/", mailboxes.connections, name="mailboxes"),
    path("settings/mailboxes/<key:pk>/", mailboxes.connection, name="mailbox-connection"),
    path("settings/mailboxes/<key:pk>/try/", mailboxes.try_it, name="try-mailbox-connection"),
    path("settings/mailboxes/<key:pk>/sign-ins/", mailboxes.sign_ins, name="mailbox-sign-ins"),
    path("settings/mailboxes/<key:pk>/remove/", mailboxes.remove, name="remove-mailbox-connection"),
    path("settings/notices/", notices.notices, name="notices"),
    path("settings/notices/<slug:kind>/<slug:language>/", notices.notice_text, name="notice-text"),
    path("settings/notices/<slug:kind>/<slug:language>/default/", notices.reset_text, name="reset-notice-text"),
    path("settings/notices/<slug:kind>/<slug:language>/test/", notices.send_test, name="send-test-notice"),
    path("settings/<slug:name>/", tenant_settings.switch, name="switch"),
    path("tool/", tool.tool, name="tool"),
    path("dial-in/phoneNumberList", dial_in_directory.phone_number_list, name="phone-number-list"),
    path("dial-in/conferenceMapper", dial_in_directory.conference_mapper, name="conference-mapper"),
]
