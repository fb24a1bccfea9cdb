"""What the Django admin shows of signing in: what happened, and none of the keys that allauth keeps."""

from __future__ import annotations

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.utils.text import capfirst
from django.utils.translation import gettext, gettext_lazy

from tenants_app.admin.base import ReadOnly
from tenants_app.models import AccountEvent

for _model in (Authenticator, EmailAddress, SocialAccount, SocialApp, SocialToken, UserSession):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


@admin.register(AccountEvent)
class AccountEventAdmin(ReadOnly):
    list_display = ["at", "name", "happened", "detail", "address"]
    list_filter = ["what"]
    search_fields = ["name"]
    date_hierarchy = "at"
    show_full_result_count = False

    @admin.display(description=gettext_lazy("what"), ordering="what")
    def happened(self, event: AccountEvent) -> str:
        return capfirst(gettext(event.what))
