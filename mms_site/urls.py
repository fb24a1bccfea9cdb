"""All web addresses. Those of the tenants come last: a tenant's name may be almost any word."""

from django.contrib import admin
from django.urls import include, path

from migrations_app.urls import tenant_urlpatterns as migrations_patterns
from tenants_app.urls import tenant_urlpatterns as tenants_patterns

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/", include("mms_site.accounts.urls")),
    path("", include("tenants_app.urls")),
    path("", include("migrations_app.urls")),
    path("<slug:slug>/", include([*migrations_patterns, *tenants_patterns])),
]
