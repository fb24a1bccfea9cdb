"""What can be set of a tenant and of a user: one row for each setting, read by pages, commands, files and the audit.

The fields of the models say how a setting is stored and checked, what it is called (``verbose_name``) and what it does
(``help_text``); the rows here say what depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from django.db.models import BooleanField, Field
from django.utils.text import capfirst
from django.utils.translation import gettext, gettext_noop

from tenants_app.models import Tenant
from tenants_app.wording import pascal_case


@dataclass(frozen=True, slots=True)
class TenantSetting:
    """A setting of a tenant, which ``set_tenant`` sets."""

    field: str
    """The field of :class:`Tenant`."""
    shows_in_invitations: bool = False
    """Whether invitations say something else after a change, so that users are out of date (R36): those who dial in, or
    those who have blocks that MMS wrote."""
    cmdlet: str = ""
    """What ``get_…`` and ``set_…`` are called that show and set it too."""
    switch_label: str = ""
    """What the page calls a switch, where that is not the field's ``verbose_name``."""
    is_on_page: bool = True
    """Whether it can be changed in the browser."""

    @property
    def name(self) -> str:
        """As administrators know it: ``MeetingMigrationEnabled``."""
        return pascal_case(self.field)

    @property
    def model_field(self) -> Field[Any, Any]:
        found: Field[Any, Any] = Tenant._meta.get_field(self.field)  # type: ignore[assignment]
        return found

    @property
    def label(self) -> str:
        return gettext(self.switch_label) if self.switch_label else str(capfirst(self.model_field.verbose_name))

    @property
    def does(self) -> str:
        """What it does, in a sentence or two."""
        return str(self.model_field.help_text)

    @property
    def is_switch(self) -> bool:
        return isinstance(self.model_field, BooleanField)


TENANT_SETTINGS = (
    TenantSetting("name"),
    TenantSetting("domain", is_on_page=False),
    TenantSetting("time_zone"),
    TenantSetting("meeting_url"),
    TenantSetting("meeting_service"),
    TenantSetting("teams_connection"),
    TenantSetting(
        "meeting_migration_enabled",
        cmdlet="tenant_migration_configuration",
        switch_label=gettext_noop("Meeting migration"),
    ),
    TenantSetting(
        "automatically_migrate_user_meetings",
        cmdlet="dial_in_conferencing_tenant_settings",
        switch_label=gettext_noop("Migrate on changes of audio conferencing"),
    ),
    TenantSetting(
        "automatically_replace_acp_provider",
        cmdlet="dial_in_conferencing_tenant_settings",
        switch_label=gettext_noop("Replace the audio conferencing provider"),
    ),
    TenantSetting("same_sequence", switch_label=gettext_noop("Same sequence")),
    TenantSetting("notify_cancelled"),
    TenantSetting("second_factor_required"),
    TenantSetting("dial_in_directory"),
    TenantSetting("attendee_limit"),
    TenantSetting("settling_time"),
    TenantSetting("local_numbers_url", shows_in_invitations=True),
    TenantSetting("help_url", shows_in_invitations=True),
    TenantSetting("legal_url", shows_in_invitations=True),
    TenantSetting("logo_url", shows_in_invitations=True),
    TenantSetting("footer_text", shows_in_invitations=True),
)
"""All settings of a tenant, in the order in which they are listed. Its slug is given once and stays."""

SHOWN_IN_INVITATIONS = frozenset(setting.field for setting in TENANT_SETTINGS if setting.shows_in_invitations)
SWITCHES = tuple(setting for setting in TENANT_SETTINGS if setting.is_switch)
ON_FORM = tuple(setting for setting in TENANT_SETTINGS if setting.is_on_page and not setting.is_switch)
"""Settings that the page has a form for; each switch is turned by itself."""


def settings_of(cmdlet: str) -> tuple[TenantSetting, ...]:
    """What ``get_`` and ``set_`` of that name show and set."""
    return tuple(setting for setting in TENANT_SETTINGS if setting.cmdlet == cmdlet)


class Kind(Enum):
    """How the value of a user's setting is written and read."""

    TEXT = auto()
    ADDRESS = auto()
    """In lower case and without a scheme."""
    PLACE = auto()
    """Online or on-premises."""
    YES_OR_NO = auto()
    PROVIDER = auto()
    """Stored as an empty text for Microsoft."""
    BRIDGE = auto()
    NUMBER = auto()
    """A service number of the bridge."""
    CONFERENCE_ID = auto()
    """Kept in a table of its own, which gives it out."""
    CONFERENCE_ID_TYPE = auto()
    MEETING_SERVICE = auto()
    """Stored as an empty text where it is the tenant's."""
    MAILBOX = auto()
    """A mailbox connection; none where it is the tenant's."""
    DEPLOYMENT = auto()


@dataclass(frozen=True, slots=True)
class UserSetting:
    """A setting of a user."""

    field: str
    """The field of :class:`ConferencingUser`, or ``conference_id``."""
    kind: Kind

    @property
    def name(self) -> str:
        """As commands print it and files carry it: ``SipAddress``."""
        return pascal_case(self.field)


TOLL_NUMBER = UserSetting("toll_number", Kind.NUMBER)
"""Where a user has none, invitations show the bridge's default number."""

USER_SETTINGS = (
    UserSetting("sip_address", Kind.ADDRESS),
    UserSetting("display_name", Kind.TEXT),
    UserSetting("language", Kind.TEXT),
    UserSetting("hosting", Kind.PLACE),
    UserSetting("mailbox_location", Kind.PLACE),
    UserSetting("audio_conferencing_license", Kind.YES_OR_NO),
    UserSetting("audio_conferencing_enabled", Kind.YES_OR_NO),
    UserSetting("conferencing_provider", Kind.PROVIDER),
    UserSetting("bridge", Kind.BRIDGE),
    UserSetting("conference_id", Kind.CONFERENCE_ID),
    UserSetting("conference_id_type", Kind.CONFERENCE_ID_TYPE),
    TOLL_NUMBER,
    UserSetting("toll_free_number", Kind.NUMBER),
    UserSetting("meeting_service", Kind.MEETING_SERVICE),
    UserSetting("mailbox", Kind.MAILBOX),
    UserSetting("deployment", Kind.DEPLOYMENT),
)
"""All settings of a user, in the order in which they are listed. Who the user is, their UPN, stays."""

STORED_WITH_USER = tuple(setting.field for setting in USER_SETTINGS if setting.kind is not Kind.CONFERENCE_ID)
"""Those that are fields of the user."""
