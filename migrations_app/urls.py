"""Addresses below a tenant about its users, bridges, runs and switches."""

from django.urls import path, register_converter

from migrations_app.views import bridges, dashboard, runs, tenant_settings, users


class UPNConverter:
    """A user principal name. It may hold a slash, but not in its domain, so words can follow it."""

    regex = r"[^@\s\x00]+@[A-Za-z0-9.-]+"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(UPNConverter, "upn")

tenant_urlpatterns = [
    path("", dashboard.dashboard, name="dashboard"),
    path("retry-failed/", dashboard.retry_failed, name="retry-failed"),
    path("migrations/", runs.history, name="history"),
    path("migrations/<uuid:correlation_id>/", runs.run, name="run"),
    path("migrations/<uuid:correlation_id>/run-now/", runs.run_now, name="run-now"),
    path("migrations/<uuid:correlation_id>/start-again/", runs.start_again, name="start-again"),
    path("migrations/<uuid:correlation_id>/send-again/", runs.send_again, name="send-again"),
    path("migrations/<uuid:correlation_id>/meetings/<int:pk>/", runs.meeting, name="meeting"),
    path("migrations/<uuid:correlation_id>/meetings/<int:pk>/explain/", runs.explanation, name="explain"),
    path("users/", users.users, name="users"),
    path("users/<upn:upn>/", users.user, name="user"),
    path("users/<upn:upn>/start/", users.start_user, name="start-user"),
    path("bridges/", bridges.bridges, name="bridges"),
    path("bridges/<int:pk>/", bridges.bridge, name="bridge"),
    path("bridges/<int:pk>/move/", bridges.move_everyone, name="move-everyone"),
    path("settings/", tenant_settings.tenant_settings, name="settings"),
    path("settings/rules/", tenant_settings.rules, name="rules"),
    path("settings/<slug:name>/", tenant_settings.switch, name="switch"),
]
