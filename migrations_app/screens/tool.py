"""The Meeting Migration Tool in the browser: files in, a ZIP file out, and nothing of it kept (R38)."""

from __future__ import annotations

import zipfile
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any, cast

from django import forms
from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import FileResponse, Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from migrations_app.screens.forms.bridges import E164Field
from migrations_app.screens.forms.starting import MeetingTypesForm
from migrations_app.targets import ALL_CURRENT
from migrations_app.tool.errors import Refused
from migrations_app.tool.migration import Migration
from migrations_app.tool.reading import Limits, read_files
from migrations_app.tool.report import rows_of
from migrations_app.tool.settings import ByHand, settings_by_hand, settings_of
from migrations_app.tool.use import use
from migrations_app.triggers.rules import why_not_served
from tenants_app.access import Access, access_for
from tenants_app.models import Bridge, ConferencingUser, MeetingService, Role, Tenant
from tenants_app.screens.forms import style_fields
from tenants_app.screens.requests import Request
from tenants_app.user_settings import UserSettings

LARGEST_UPLOAD = 25_000_000
"""Octets of a request."""
LIMITS = Limits(files=2_000, octets=50_000_000)
MOST_MEETINGS = 2_000
"""Meetings that are migrated while somebody waits for the page."""
MOST_SHOWN = 200
"""Meetings that the page shows; the report has all."""


class _FileInput(forms.FileInput):
    allow_multiple_selected = True


class _FilesField(forms.FileField):
    """One file or several, as a list."""

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        files = data if isinstance(data, list) else [data]
        return [super(_FilesField, self).clean(each, initial) for each in files or [None]]


class ToolForm(forms.Form):
    """Whose calendar it is, the files, and what is given by hand."""

    user = forms.CharField(
        label=gettext_lazy("User"),
        max_length=320,
        required=False,
        widget=forms.TextInput({"placeholder": "anna@contoso.com", "autocapitalize": "off", "spellcheck": "false"}),
        help_text=gettext_lazy(
            "The UPN of the organizer. Of somebody who is no user here give the address instead, further below."
        ),
    )
    calendar = _FilesField(
        label=gettext_lazy("Calendar"),
        allow_empty_file=True,  # which is refused with more of a reason
        error_messages={"required": gettext_lazy("Choose an .ics file, an .eml file or a ZIP file of them.")},
        widget=_FileInput({"accept": ".ics,.eml,.zip,text/calendar,message/rfc822,application/zip"}),
    )
    sends = forms.BooleanField(
        label=gettext_lazy("MMS sends the messages to attendees at once. Without this they come back as .eml files."),
        required=False,
    )
    addresses = forms.CharField(
        label=gettext_lazy("Organizer's addresses"),
        max_length=650,
        required=False,
        help_text=gettext_lazy("Of somebody who is no user here: one, or two with a comma between."),
    )
    display_name = forms.CharField(label=gettext_lazy("Display name"), max_length=200, required=False)
    language = forms.CharField(
        label=gettext_lazy("Language"), max_length=35, required=False, help_text=gettext_lazy("Such as es-ES.")
    )
    meeting_service = forms.ChoiceField(
        label=gettext_lazy("Meeting service"),
        choices=[("", gettext_lazy("As the settings say")), *MeetingService.choices],
        required=False,
        help_text=gettext_lazy("Where meetings are made anew, if any are."),
    )
    bridge = forms.ModelChoiceField(
        label=gettext_lazy("Bridge"),
        queryset=Bridge.objects.none(),
        required=False,
        empty_label=gettext_lazy("As the settings say"),
        help_text=gettext_lazy("Whose numbers the invitations show."),
    )
    toll_number = E164Field(
        label=gettext_lazy("Toll number"), required=False, help_text=gettext_lazy("Of the bridge, or of any provider.")
    )
    toll_free_number = E164Field(label=gettext_lazy("Toll-free number"), required=False)
    place = forms.CharField(
        label=gettext_lazy("Place of the toll number"),
        max_length=100,
        required=False,
        help_text=gettext_lazy("Where it is no service number here, such as Madrid."),
    )
    conference_id = forms.CharField(label=gettext_lazy("Conference ID"), max_length=12, required=False)
    former_ids = forms.CharField(
        label=gettext_lazy("Conference IDs that give way to it"),
        max_length=500,
        required=False,
        help_text=gettext_lazy("As the invitations show them now. Any other ID stays as it is."),
    )
    no_dial_in = forms.BooleanField(label=gettext_lazy("Leave the dial-in details out"), required=False)

    def __init__(self, tenant: Tenant, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        bridges = cast("forms.ModelChoiceField[Bridge]", self.fields["bridge"])
        bridges.queryset = Bridge.objects.filter(tenant=tenant)
        self.fields["calendar"].help_text = _(
            ".ics files, messages with an invitation (.eml), or one ZIP file of them: at most %(upload)s MB, "
            "%(unpacked)s MB unpacked, %(meetings)s meetings. The command migrate_calendar takes more."
        ) % {
            "upload": LARGEST_UPLOAD // 10**6,
            "unpacked": LIMITS.octets // 10**6,
            "meetings": intcomma(MOST_MEETINGS),
        }
        style_fields(self)

    @property
    def first(self) -> list[forms.BoundField]:
        return [self["user"], self["calendar"], self["sends"]]

    @property
    def by_hand(self) -> list[forms.BoundField]:
        return [field for field in self if field.name not in {"user", "calendar", "sends"}]

    @property
    def has_by_hand(self) -> bool:
        """Whether something was given by hand, or is wrong there."""
        return any(field.errors or field.value() for field in self.by_hand)

    def given_by_hand(self) -> ByHand:
        """What was given beside the user's settings."""
        found = self.cleaned_data
        return ByHand(
            display_name=found["display_name"],
            language=found["language"],
            meeting_service=found["meeting_service"],
            has_dial_in=not found["no_dial_in"],
            bridge=found["bridge"],
            toll_number=found["toll_number"],
            toll_free_number=found["toll_free_number"],
            place=found["place"],
            conference_id=found["conference_id"],
            former_ids=tuple(found["former_ids"].replace(",", " ").split()),
        )


@csrf_exempt  # by the middleware, which would read all that was sent; the view behind looks at the token
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def tool(request: Request, slug: str) -> HttpResponseBase:
    """The tool. ``?user=`` fills in whose calendar it is. A POST answers with what would happen, or with a ZIP file."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    initial = {"user": request.GET.get("user", "").strip()}
    if initial["user"] and not ConferencingUser.objects.with_upns(access.tenant, [initial["user"]]).exists():
        raise Http404
    told = request.headers.get("Content-Length", "")
    octets = int(told) if told.isascii() and told.isdigit() else 0
    if octets > LARGEST_UPLOAD:
        refusal = _(
            "The files have %(size)s MB, and at most %(most)s MB go at once here: divide them, or use the command "
            "migrate_calendar."
        ) % {"size": intcomma(round(octets / 1e6)), "most": LARGEST_UPLOAD // 10**6}
        return _page(request, access, ToolForm(access.tenant, initial=initial), refusal, status=413)
    return _tool(request, access, initial)


@csrf_protect
def _tool(request: Request, access: Access, initial: dict[str, str]) -> HttpResponseBase:
    if request.method != "POST":
        return _page(request, access, ToolForm(access.tenant, initial=initial))
    form = ToolForm(access.tenant, request.POST, request.FILES)
    if not form.is_valid():
        return _page(request, access, form)
    try:
        migration = _migration(request, access, form)
        if request.POST.get("do") == "migrate":
            return _download(migration, access, sends=form.cleaned_data["sends"])
        migration.work(ahead=True)
    except Refused as refused:
        return _page(request, access, form, str(refused))
    return _page(request, access, form, migration=migration)


def _migration(request: Request, access: Access, form: ToolForm) -> Migration:
    types = MeetingTypesForm(request.POST, access.tenant)
    if not types.is_valid():
        raise Refused(" ".join(str(error) for errors in types.errors.values() for error in errors))
    by_hand = form.given_by_hand()
    upn = form.cleaned_data["user"].strip()
    addresses = form.cleaned_data["addresses"].replace(",", " ").split()
    if upn and addresses:
        raise Refused(_("A user has the addresses of their settings: leave out either the user or the addresses."))
    if not upn and not addresses:
        raise Refused(_("Say whose calendar it is: give the user, or the organizer's address."))
    if upn:
        user = settings_of(_user(access.tenant, upn), by_hand)
    else:
        user = settings_by_hand(access.tenant, addresses, by_hand)
    given = read_files([(str(file.name), file) for file in form.cleaned_data["calendar"]], LIMITS)
    return Migration(user, given, types.targets() or ALL_CURRENT, by_hand, most_meetings=MOST_MEETINGS)


def _user(tenant: Tenant, upn: str) -> ConferencingUser:
    users = ConferencingUser.objects.with_upns(tenant, [upn])
    user = users.select_related("tenant", "bridge", "toll_number", "toll_free_number").first()
    if user is None:
        raise Refused(
            _(
                "There is no user %(user)s in %(tenant)s: check the spelling, or leave it empty and give the "
                "organizer's address."
            )
            % {"user": upn, "tenant": tenant.name}
        )
    return user


def _download(migration: Migration, access: Access, *, sends: bool) -> FileResponse:
    """All that comes back as a ZIP file, which is gone from this machine when it was sent."""
    packed = TemporaryFile()  # noqa: SIM115 - the response closes it
    try:
        with TemporaryDirectory() as folder:
            use(migration, Path(folder), access.actor, sends=sends, hand_over=lambda: _pack(Path(folder), packed))
    except OSError as error:
        packed.close()
        raise Refused(
            _("The result cannot be written (%(problem)s): give the files other names, or try again later.")
            % {"problem": error.strerror}
        ) from error
    except BaseException:
        packed.close()
        raise
    packed.seek(0)
    return FileResponse(packed, as_attachment=True, filename=f"{migration.user.upn}-migrated.zip")


def _pack(folder: Path, packed: IO[bytes]) -> None:
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))


def _why(user: ConferencingUser) -> str:
    """Why MMS does not migrate the user itself, without the advice that led here; empty where it does."""
    refusal = why_not_served(UserSettings.of(user, ""))
    return str(refusal.sentence).partition(": ")[0] if refusal else ""


def _page(
    request: Request,
    access: Access,
    form: ToolForm,
    refusal: str = "",
    migration: Migration | None = None,
    status: int = 200,
) -> HttpResponse:
    shown = None
    if upn := str(form["user"].value() or "").strip():
        shown = ConferencingUser.objects.with_upns(access.tenant, [upn]).select_related("tenant", "bridge").first()
    types = MeetingTypesForm(request.POST if request.method == "POST" and status == 200 else request.GET, access.tenant)
    context = {
        "access": access,
        "form": form,
        "types": types,
        "refusal": refusal,
        "user_shown": shown,
        "why": _why(shown) if shown else "",
        "migration": migration,
    }
    if migration:
        counts = migration.counts()
        context |= {
            "counts": counts,
            "rows": list(islice(rows_of(migration, first=lambda outcome: outcome.is_change), MOST_SHOWN)),
            "is_cut": counts.all > MOST_SHOWN,
            "most_shown": MOST_SHOWN,
        }
    return render(request, "tool/tool.html", context, status=status)
