"""Tables about users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from migrations_app.failures import describe
from migrations_app.screens.filters import (
    UserFilter,
)
from migrations_app.screens.tables.columns import (
    IN_LINE,
    changed_column,
    extra_column,
    setting_column,
    settings_of,
    tick_column,
)
from tenants_app.changes.conference_ids import id_in_use, own_conference_ids
from tenants_app.models import ConferencingUser, ServiceNumber
from tenants_app.screens.cells import Cell, Text, reads
from tenants_app.screens.lists import ListTable


def _conference_id(user: ConferencingUser) -> str:
    return id_in_use(user, getattr(user, "own_id", None))


def _latest_error(user: Any) -> str:
    return describe(user.latest_error, user.latest_detail) if user.latest_error else ""


class UserTable(ListTable):
    """The tenant's users with the state of their latest run; see ``screens.users.with_latest_run``."""

    tick = tick_column()
    upn = Cell(
        template_name="users/cells/name.html",
        verbose_name=gettext_noop("User"),
        files={"UserPrincipalName": reads("upn"), "DisplayName": reads("display_name")},
    )
    latest_state = Cell(
        template_name="users/cells/state.html",
        verbose_name=gettext_noop("Latest run"),
        files={
            "State": reads("latest_state"),
            "LastErrorCode": lambda user: user.latest_error or "",
            "LastErrorMessage": _latest_error,
            "LeftMeeting": reads("still_open"),
            "OutOfDate": reads("is_out_of_date"),
        },
    )
    bridge = Cell(
        "{% load i18n %}{% if value %}{{ value }}"
        "{% else %}<span class='text-secondary'>{% translate 'None' %}</span>{% endif %}",
        verbose_name=gettext_noop("Bridge"),
        order_by="bridge__name",
        attrs=IN_LINE,
        files=settings_of("bridge"),
    )
    audio = Cell(
        template_name="users/cells/audio.html",
        verbose_name=gettext_noop("Audio conferencing"),
        order_by=("-audio_conferencing_license", "-audio_conferencing_enabled"),
        attrs=IN_LINE,
        files=settings_of("audio_conferencing_license", "audio_conferencing_enabled", "conferencing_provider"),
    )
    hosting = Cell(
        "{{ record.get_hosting_display }}",
        verbose_name=gettext_noop("Hosting"),
        attrs=IN_LINE,
        files=settings_of("hosting"),
    )
    latest_modified = changed_column()
    conference_id = Text(
        gettext_noop("Conference ID"),
        _conference_id,
        orderable=False,
        is_extra=True,
        files={"ConferenceId": _conference_id},
    )
    conference_id_type = setting_column("conference_id_type", gettext_noop("Conference ID type"))
    toll_number = setting_column(
        "toll_number", gettext_noop("Toll number"), "toll_number__number", loads=["toll_number"]
    )
    toll_free_number = setting_column(
        "toll_free_number", gettext_noop("Toll-free number"), "toll_free_number__number", loads=["toll_free_number"]
    )
    language = setting_column("language", gettext_noop("Language"))
    sip_address = setting_column("sip_address", gettext_noop("SIP address"))
    mailbox = setting_column("mailbox", gettext_noop("Mailbox"), "mailbox__name", loads=["mailbox"])
    deployment = setting_column("deployment", gettext_noop("Deployment"), "deployment__name", loads=["deployment"])
    mailbox_location = setting_column("mailbox_location", gettext_noop("Mailbox location"))
    meeting_service = setting_column("meeting_service", gettext_noop("Meeting service"))
    created = extra_column(gettext_noop("Created"), "created", "CreateDate")
    user_id = extra_column(gettext_noop("User ID"), "user_id", "UserId")

    list_name = "users"
    address = "users"
    caption = gettext_noop("Users")
    filter_class = UserFilter
    saves_filters = True

    when_empty = gettext_noop("There are no users yet.")

    class Meta:
        model = ConferencingUser
        fields: tuple[str, ...] = ()
        empty_text = gettext_noop("No user matches. Search for a part of the name or clear the filter.")

    def prepare(self, rows: Sequence[Any]) -> None:
        if self.shows("conference_id"):
            own = own_conference_ids(rows)
            for user in rows:
                user.own_id = own.get(user.pk)


class BridgeUserTable(UserTable):
    """The users on one bridge."""

    list_name = "bridge-users"
    address = ""
    caption = gettext_noop("Users on this bridge")
    saves_filters = False
    file_name = "users-of-a-bridge"

    class Meta(UserTable.Meta):
        exclude = ("tick", "bridge")
        empty_text = gettext_noop("Nobody is on this bridge.")


class DependantTable(UserTable):
    """Users who depend on a number; see ``tenants_app.dependants`` and ``screens.users.with_latest_run``."""

    how = Cell(
        "{{ record.depends_by }}",
        verbose_name=gettext_noop("Depends on it by"),
        orderable=False,
        files={"DependsBy": reads("depends_by")},
    )

    list_name = "dependants"
    usual = ("upn", "how", "latest_state", "latest_modified")
    address = ""
    caption = gettext_noop("Users who depend on the number")
    saves_filters = False
    file_name = "users-of-a-number"

    class Meta(UserTable.Meta):
        exclude = ("tick",)
        empty_text = gettext_noop("Nobody has this number, and no invitation shows it.")

    when_empty = Meta.empty_text

    def __init__(self, data: object, number: ServiceNumber) -> None:
        self.number = number
        super().__init__(data)

    def prepare(self, rows: Sequence[Any]) -> None:
        super().prepare(rows)
        for user in rows:
            user.depends_by = self._how(user)

    def _how(self, record: ConferencingUser) -> str:
        number = self.number
        if number.pk in {record.toll_number_id, record.toll_free_number_id}:
            return _("Their own number")
        if number.is_default and record.toll_number_id is None and record.bridge_id == number.bridge_id:
            return _("The bridge's default")
        return _("Invitations that show it")
