from django.apps import AppConfig
from django.utils.translation import gettext_lazy, gettext_noop


class TenantsConfig(AppConfig):
    name = "tenants_app"
    verbose_name = gettext_lazy("Tenants and users")

    def import_models(self) -> None:
        super().import_models()
        from tenants_app.field_names import translate_names

        translate_names(self)

    def ready(self) -> None:
        from django.conf import settings
        from django.core.signals import request_finished, request_started
        from django.db.backends.signals import connection_created
        from django.db.models.signals import pre_delete

        from tenants_app.access import leave_time_zone
        from tenants_app.audit import register_actions, register_values
        from tenants_app.changes.accounts import IN_TENANTS
        from tenants_app.changes.lists import forget_own
        from tenants_app.folding import teach
        from tenants_app.languages import leave_language
        from tenants_app.models import Role
        from tenants_app.speech import begin

        begin()
        pre_delete.connect(forget_own, settings.AUTH_USER_MODEL, dispatch_uid="own filters")
        connection_created.connect(teach, dispatch_uid="folding")
        for of_request in (request_started, request_finished):
            of_request.connect(leave_time_zone, dispatch_uid="time-zone")
            of_request.connect(leave_language, dispatch_uid="language")
        register_values("role", Role.Name.choices)
        register_actions(
            gettext_noop("Users"),
            gettext_noop("create user"),
            gettext_noop("change user"),
            gettext_noop("import users"),
            gettext_noop("mark as up to date"),
        )
        register_actions(
            gettext_noop("Bridges and numbers"),
            gettext_noop("create bridge"),
            gettext_noop("change bridge"),
            gettext_noop("remove bridge"),
            gettext_noop("register number"),
            gettext_noop("describe number"),
            gettext_noop("release number"),
        )
        register_actions(
            gettext_noop("Deployments"),
            gettext_noop("create deployment"),
            gettext_noop("change deployment"),
            gettext_noop("remove deployment"),
            gettext_noop("retire deployment"),
            gettext_noop("take back retirement"),
        )
        register_actions(
            gettext_noop("Mailboxes"),
            gettext_noop("create mailbox connection"),
            gettext_noop("change mailbox connection"),
            gettext_noop("remove mailbox connection"),
            gettext_noop("change default mailbox"),
            gettext_noop("change mailbox sign-ins"),
        )
        register_actions(gettext_noop("Mail"), gettext_noop("change mail server"))
        register_actions(
            gettext_noop("Lists"),
            gettext_noop("share filter"),
            gettext_noop("change shared filter"),
            gettext_noop("unshare filter"),
            gettext_noop("take over shared filter"),
            gettext_noop("delete shared filter"),
        )
        register_actions(
            gettext_noop("Tenant and roles"),
            gettext_noop("create tenant"),
            gettext_noop("change tenant"),
            gettext_noop("renew directory key"),
            gettext_noop("grant role"),
            gettext_noop("revoke role"),
        )
        register_actions(gettext_noop("Accounts of administrators"), *sorted(IN_TENANTS))
        register_actions(
            gettext_noop("Tenant and roles"),
            gettext_noop("invite"),
            gettext_noop("withdraw invitation"),
            gettext_noop("accept invitation"),
        )
