"""Addresses about its users, bridges, runs and switches."""

from base64 import b64decode, urlsafe_b64encode

from django.urls import path, register_converter
from django.urls.converters import IntConverter

from migrations_app.screens import (
    alerts,
    bridges,
    bulk_actions,
    dashboard,
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

urlpatterns = [path("metrics", metrics.metrics, name="metrics")]
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
