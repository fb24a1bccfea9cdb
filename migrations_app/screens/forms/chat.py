"""Forms about archives, plans and settings of chat. They only read what was typed: ``chat`` checks and saves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from migrations_app.models import ChatArchive, ChatRoom, ChatSettings, ChatTarget
from migrations_app.screens.forms.rollouts import EditingForm
from tenants_app.access import Access
from tenants_app.screens.forms import MergingForm, style_fields

LARGEST_UPLOAD = 500_000_000
"""Octets of a request; more is given by command."""

ON_CONFLICT = (
    ("refuse", _("Refuse: it is an error")),
    ("merge", _("Merge: messages are added by time, members are united")),
    ("rename", _("Rename: it gets a suffix")),
    ("skip", pgettext_lazy("room", "Skip: it is not imported")),
)
"""The answers to a name that exists at the target (R120)."""


class GivenForm(forms.Form):
    """A file with the history of rooms."""

    file = forms.FileField(
        label=_("File"),
        allow_empty_file=True,  # which is refused with more of a reason
        error_messages={"required": _("Choose a ZIP file, or an XML file of the compliance service.")},
        widget=forms.FileInput({"accept": ".zip,.xml,application/zip,application/xml,text/xml"}),
    )
    kind = forms.ChoiceField(
        label=_("What it is"),
        required=False,
        choices=[
            ("", _("As it looks")),
            ("mms-chat", _("An archive of MMS")),
            ("mgc-tables", _("Tables of the old database, as CSV files")),
            ("compliance-xml", _("XML files of the compliance service")),
        ],
    )
    name = forms.CharField(
        label=_("Name of the archive"), max_length=150, required=False, help_text=_("Empty: that of the file.")
    )
    level = forms.ChoiceField(
        label=_("What is taken"),
        required=False,
        choices=[
            ("All", _("Everything")),
            ("User", _("Only people")),
            ("Category", _("People and categories")),
            ("RoomDirectory", _("People, categories and rooms, without messages")),
            ("Content", _("Messages and files")),
        ],
    )
    scope = forms.CharField(
        label=_("Only these categories"),
        max_length=5000,
        required=False,
        widget=forms.Textarea({"rows": 2}),
        help_text=_("One on each line, with their rooms. Empty: all."),
    )
    start_date = forms.DateField(
        label=_("Messages from"),
        required=False,
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
        help_text=_("Earlier ones are left out, and counted. Empty: all."),
    )
    include_disabled = forms.BooleanField(
        label=_("Take rooms too that are disabled at the source"),
        required=False,
    )
    is_multipart_form = True

    def __init__(self, data: QueryDict | None, files: Any = None) -> None:
        super().__init__(data, files, auto_id="given_%s")
        style_fields(self)

    @property
    def first(self) -> list[forms.BoundField]:
        return [self["file"], self["kind"], self["name"]]

    @property
    def more(self) -> list[forms.BoundField]:
        return [self["level"], self["start_date"], self["scope"], self["include_disabled"]]

    @property
    def has_more(self) -> bool:
        """Whether something further was given, or is wrong there."""
        return self.is_bound and any(
            field.errors or field.value() not in ("", "All", None, False) for field in self.more
        )

    def options(self) -> dict[str, Any]:
        """What was said of what is taken, as ``readings.submit`` keeps it."""
        given = self.cleaned_data
        return {
            "level": given["level"] or "All",
            "scope": [line.strip() for line in given["scope"].splitlines() if line.strip()],
            "start_date": given["start_date"].isoformat() if given["start_date"] else None,
            "include_disabled": given["include_disabled"],
        }


class PlanForm(forms.Form):
    """What is planned: which rooms, where to, and how."""

    archive = forms.ModelChoiceField(ChatArchive.objects.none(), label=_("Archive"), empty_label=_("Choose one"))
    target = forms.ModelChoiceField(ChatTarget.objects.none(), label=_("Target"), empty_label=_("Choose one"))
    on_conflict = forms.ChoiceField(
        label=_("Where a name exists at the target"),
        choices=ON_CONFLICT,
        help_text=_("Nothing is ever overwritten. Each room can have an answer of its own afterwards."),
    )
    keeps_root_managers = forms.BooleanField(
        label=_("Managers of the top category manage every room"),
        required=False,
        help_text=_("As at the source. Without this they are left out."),
    )
    prefixes_rooms = forms.BooleanField(
        label=_("Rooms get the names of their categories before their own"),
        required=False,
        help_text=_("Persistent Chat needs it and gets it in any case; elsewhere only where two rooms would collide."),
    )
    includes_disabled = forms.BooleanField(
        label=_("Import rooms too that are disabled at the source"),
        required=False,
        help_text=_("They become read-only."),
    )

    def __init__(self, data: QueryDict | None, access: Access, initial: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, initial={"keeps_root_managers": True} | dict(initial or {}), auto_id="plan_%s")
        archives = ChatArchive.objects.filter(tenant=access.tenant, state=ChatArchive.State.STORED)
        self.fields["archive"].queryset = archives  # type: ignore[attr-defined]
        self.fields["target"].queryset = ChatTarget.objects.filter(tenant=access.tenant)  # type: ignore[attr-defined]
        label = gettext("%(name)s (%(kind)s)")
        self.fields["target"].label_from_instance = lambda target: (  # type: ignore[attr-defined]
            label % {"name": target.name, "kind": target.get_kind_display()}
        )
        for name, rows in (("archive", archives), ("target", self.fields["target"].queryset)):  # type: ignore[attr-defined]
            found = list(rows[:2])
            if len(found) == 1 and name not in self.initial:
                self.initial[name] = found[0].pk
        style_fields(self)


class ChoosingForm(forms.Form):
    """Rooms of a plan that were ticked, and what is to be done with them."""

    MOST = 5000

    do = forms.ChoiceField(
        choices=[(name, name) for name in ("deselect", "select", "conflict", "retry", "verify", "import")],
        error_messages={
            "required": _("Say what is to be done with these rooms."),
            "invalid_choice": _("Say what is to be done with these rooms."),
        },
    )
    reason = forms.CharField(label=_("Why"), max_length=500, required=False)
    on_conflict = forms.ChoiceField(
        label=_("Where the name exists"),
        choices=ON_CONFLICT,
        required=False,
        error_messages={"invalid_choice": _("Choose what happens where the name exists.")},
    )

    def __init__(self, data: QueryDict | None) -> None:
        super().__init__(data, auto_id="choosing_%s")
        style_fields(self)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("do") == "deselect" and not cleaned.get("reason"):
            raise ValidationError(gettext("Say why these rooms are left out: the report shows it."))
        if cleaned.get("do") == "conflict" and cleaned.get("on_conflict") == "":
            raise ValidationError(gettext("Choose what happens where the name exists."))
        return cleaned

    @property
    def rooms(self) -> list[int]:
        """Keys of the rooms that were ticked."""
        ticked = self.data.getlist("room") if isinstance(self.data, QueryDict) else []
        return [int(key) for key in ticked[: self.MOST] if key.isascii() and key.isdigit() and len(key) < 19]


class NamesForm(EditingForm):
    """What a room and its category are to be called at the target."""

    room = forms.CharField(
        label=_("Another name for the room"), max_length=300, required=False, help_text=_("Empty: its own.")
    )
    category = forms.CharField(
        label=_("Another name for its category"),
        max_length=300,
        required=False,
        help_text=_("For all rooms of the category. Empty: as its categories are called."),
    )

    def __init__(self, data: QueryDict | None, room: ChatRoom) -> None:
        category = room.planned.get("category", {}).get("id")
        initial = {"room": room.chosen_name, "category": room.plan.category_names.get(category, "")}
        super().__init__(data, initial, "names_%s")


class ReasonForm(forms.Form):
    """Why somebody decides something."""

    reason = forms.CharField(label=_("Why"), max_length=500, widget=forms.Textarea({"rows": 2}))

    def __init__(self, data: QueryDict | None, *, help_text: str = "", is_required: bool = True) -> None:
        super().__init__(data, auto_id="reason_%s")
        self.fields["reason"].required = is_required
        self.fields["reason"].help_text = help_text
        style_fields(self)


class StepForm(forms.Form):
    """How somebody shows that a step was taken, or a condition holds."""

    evidence = forms.CharField(
        label=_("Evidence"),
        max_length=4000,
        required=False,
        widget=forms.Textarea({"rows": 3, "spellcheck": "false"}),
        help_text=_("What was seen: output of the cmdlet, or an answer."),
    )
    file = forms.FileField(
        label=_("Or a file"), required=False, help_text=_("It is kept with its checksum, and not read.")
    )

    MOST_OCTETS = 20_000_000

    def __init__(self, data: QueryDict | None, files: Any = None, key: str = "step") -> None:
        super().__init__(data, files, auto_id=f"{key}_%s")
        style_fields(self)

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file and file.size > self.MOST_OCTETS:
            raise ValidationError(gettext("The file is larger than 20 MB: give its name and checksum as text instead."))
        return file


class ChatSettingsForm(MergingForm):
    """How the tenant wants its chat to be treated."""

    class Meta:
        model = ChatSettings
        fields = ["separator", "keep_archives_days"]
        labels = {
            "separator": _("Between the names of nested categories"),
            "keep_archives_days": _("Days for which archives are kept"),
        }
        help_texts = {
            "separator": _("Categories A / B / C become one, whose name has this between the three."),
            "keep_archives_days": _("Then they are deleted from the disk of MMS. Empty: they are kept."),
        }

    def __init__(self, data: QueryDict | None, *, instance: ChatSettings) -> None:
        super().__init__(data, instance=instance, auto_id="chat_%s")
        self.fields["separator"].strip = False  # type: ignore[attr-defined]
        style_fields(self)

    def _post_clean(self) -> None:
        """The change itself checks the row."""


class AnswerForm(forms.Form):
    """What somebody says of their rooms."""

    answer = forms.ChoiceField(
        label=_("Is anything missing?"),
        choices=[("complete", _("Everything is there")), ("missing", _("Something is missing"))],
        widget=forms.RadioSelect,
        error_messages={"required": _("Choose one of the two.")},
    )
    said = forms.CharField(
        label=_("What is missing"),
        max_length=2000,
        required=False,
        widget=forms.Textarea({"rows": 4}),
        help_text=_("Which room, and roughly from when. Please copy no confidential text into this field."),
    )

    def __init__(self, data: QueryDict | None) -> None:
        super().__init__(data, auto_id="answer_%s")
        style_fields(self)
        self.fields["answer"].widget.attrs["class"] = "form-check-input"

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("answer") == "missing" and not cleaned.get("said"):
            self.add_error("said", gettext("Say what is missing, so that somebody can look for it."))
        return cleaned
