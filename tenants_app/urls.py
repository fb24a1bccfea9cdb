"""Addresses about accounts and tenants; those below a tenant stand in ``tenant_urlpatterns``."""

from django.contrib.auth import views as auth_views
from django.urls import path

from tenants_app.screens import list_settings, views

urlpatterns = [
    path("", views.index, name="index"),
    path("healthz", views.healthz, name="healthz"),
    path("accounts/login/", views.SignIn.as_view(), name="login"),
    path("accounts/logout/", auth_views.LogoutView.as_view(), name="logout"),
    path(
        "accounts/sign-in-link/<uidb64>/<token>/",
        auth_views.PasswordResetConfirmView.as_view(
            post_reset_login=True,
            post_reset_login_backend="django.contrib.auth.backends.ModelBackend",
            success_url="/",
        ),
        name="password_reset_confirm",
    ),
    path("accounts/theme/", views.choose_theme, name="theme"),
    path("accounts/keyboard/", views.keyboard, name="keyboard"),
    path("accounts/keyboard/keys/", views.choose_keys, name="keys"),
]

tenant_urlpatterns = [
    path("audit/", views.audit, name="audit"),
    path("audit/export.csv", views.audit_csv, name="audit-csv"),
    path("lists/<slug:name>/layout/", list_settings.layout, name="list-layout"),
    path("lists/<slug:name>/filters/", list_settings.saved_filters, name="saved-filters"),
    path("lists/<slug:name>/filters/<int:pk>/", list_settings.saved_filter, name="saved-filter"),
]
