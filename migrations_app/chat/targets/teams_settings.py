"""What a target of kind ``teams`` is told, what its application must be allowed, and what Teams can take."""

from __future__ import annotations

from migrations_app.chat.conversion.outgoing import Limits
from migrations_app.chat.targets.base import Option, TargetProblem, TargetSettings
from migrations_app.chat.targets.teams_files import LARGEST
from migrations_app.microsoft.clouds import CLOUDS
from migrations_app.microsoft.sign_in import Application
from tenants_app.sentences import sentence

PERMISSIONS = (
    "Teamwork.Migrate.All",
    "Team.Create",
    "Team.ReadBasic.All",
    "TeamSettings.ReadWrite.All",
    "TeamMember.ReadWrite.All",
    "Channel.Create",
    "Channel.ReadBasic.All",
    "ChannelSettings.ReadWrite.All",
    "ChannelMember.ReadWrite.All",
    "ChannelMessage.Read.All",
    "Files.ReadWrite.All",
    "User.Read.All",
)
"""Application permissions, all consented to by an administrator: to import, to let people in, to read back."""
CHANNELS_OF_A_TEAM = 999
"""1,000 with the one called General; private ones count likewise since MC1134737 (before: 30)."""
_NAMES = "|".join(
    (
        r"[~#%&*{}+/\\:<>?|'\",\x00-\x1f\x80-\x9f]",
        r"\.\.",
        r"^[_.]",
        r"\.$",
        r"_vti_",
        r"^(?i:general|forms|con|conin\$|conout\$|prn|aux|nul|com[1-9]|lpt[1-9]|desktop\.ini)$",
    )
)
"""What the name of a channel cannot have. Every team has a channel called General."""

OPTIONS = (
    Option(
        "directory_id",
        sentence("Directory (tenant) ID"),
        sentence("The ID of the organization in Microsoft Entra. The account of the target is the application's ID."),
        is_required=True,
    ),
    Option(
        "owner",
        sentence("Owner of the teams"),
        sentence(
            "The user principal name of an account that owns every team that is made, and every private channel "
            "whose room has no manager. Use one with which nobody works."
        ),
        is_required=True,
    ),
    Option(
        "stand_in",
        sentence("Author for people without an account"),
        sentence(
            "The user principal name of an account that stands for authors who have none, such as "
            "former.staff@contoso.com. Their messages begin with their own name."
        ),
        is_required=True,
    ),
    Option(
        "cloud",
        sentence("Cloud"),
        sentence("Leave it empty or enter “global”: Microsoft offers the import in no other cloud."),
    ),
)

LIMITS = Limits(
    authors_need_accounts=True,
    keeps_keys=False,
    times_are_unique=True,
    room_name=50,
    room_name_forbidden=_NAMES,
    room_names_within_category=True,
    category_name=256,
    description=900,
    message_bytes=24_000,
    file_bytes=LARGEST,
    messages_per_second=4,
    files_per_second=0.5,
    category_is="team",
    keeps_type=False,
    rooms_of_a_category=CHANNELS_OF_A_TEAM,
)


def application_of(settings: TargetSettings) -> Application:
    """The app registration of a target. ``TargetProblem`` where settings are missing, or its cloud has no import."""
    cloud = settings.options.get("cloud") or "global"
    if cloud != "global":
        raise TargetProblem(
            "chat-target-settings",
            sentence(
                "Microsoft offers the import of messages in its global cloud only, not in “%(cloud)s”: choose another "
                "kind of target.",
                cloud=cloud,
            ),
            is_of_room=False,
        )
    missing = [each.label for each in OPTIONS if each.is_required and not settings.options.get(each.name)]
    if not settings.account or not settings.secret or missing:
        raise TargetProblem(
            "chat-target-settings",
            sentence(
                "The target lacks what MMS signs in with: the application's ID as account, its client secret or "
                "certificate, the directory ID, the owner and the author for people without an account."
            ),
            is_of_room=False,
        )
    where = CLOUDS["global"]
    if settings.microsoft_endpoints:
        authority, graph = settings.microsoft_endpoints
        where = where.reached_at(authority.rstrip("/"), graph.rstrip("/"))
    return Application(where, settings.options["directory_id"], settings.account, settings.secret)
