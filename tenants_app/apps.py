from django.apps import AppConfig


class TenantsConfig(AppConfig):
    name = "tenants_app"
    verbose_name = "Tenants and users"

    def ready(self) -> None:
        from django.conf import settings
        from django.core.signals import request_finished, request_started
        from django.db.backends.signals import connection_created
        from django.db.models.signals import pre_delete

        from tenants_app.access import leave_time_zone
        from tenants_app.audit import register_actions
        from tenants_app.changes.lists import forget_own
        from tenants_app.folding import teach

        pre_delete.connect(forget_own, settings.AUTH_USER_MODEL, dispatch_uid="own filters")
        connection_created.connect(teach, dispatch_uid="folding")
        for of_request in (request_started, request_finished):
            of_request.connect(leave_time_zone, dispatch_uid="time-zone")
        register_actions("Users", "create user", "change user", "import users", "mark as up to date")
        register_actions(
            "Bridges and numbers",
            "create bridge",
            "change bridge",
            "remove bridge",
            "register number",
            "describe number",
            "release number",
        )
        register_actions(
            "Mailboxes",
            "create mailbox connection",
            "change mailbox connection",
            "remove mailbox connection",
            "change default mailbox",
            "change mailbox sign-ins",
        )
        register_actions("Mail", "change mail server")
        register_actions(
            "Lists",
            "share filter",
            "change shared filter",
            "unshare filter",
            "take over shared filter",
            "delete shared filter",
        )
        register_actions(
            "Tenant and roles", "create tenant", "change tenant", "renew directory key", "grant role", "revoke role"
        )
