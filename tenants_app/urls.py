"""Addresses about people and tenants; those below a tenant stand in ``tenant_urlpatterns``."""

from django.urls import path

from tenants_app.screens import list_settings, people, views

urlpatterns = [
    path("", views.index, name="index"),
    path("healthz", views.healthz, name="healthz"),
    path("accounts/theme/", views.choose_theme, name="theme"),
    path("accounts/keyboard/", views.keyboard, name="keyboard"),
    path("accounts/keyboard/keys/", views.choose_keys, name="keys"),
]

tenant_urlpatterns = [
    path("people/", people.people, name="people"),
    path("people/<int:pk>/role/", people.change_role, name="change-role"),
    path("people/<int:pk>/remove/", people.remove, name="remove-person"),
    path("people/invitations/<int:pk>/withdraw/", people.withdraw, name="withdraw-invitation"),
    path("audit/", views.audit, name="audit"),
    path("audit/export.csv", views.audit_csv, name="audit-csv"),
    path("lists/<slug:name>/layout/", list_settings.layout, name="list-layout"),
    path("lists/<slug:name>/filters/", list_settings.saved_filters, name="saved-filters"),
    path("lists/<slug:name>/filters/<int:pk>/", list_settings.saved_filter, name="saved-filter"),
]
