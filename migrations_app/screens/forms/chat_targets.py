"""The form of a target of chat: the settings that its kind has, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from migrations_app.chat.target_rows import has_secret
from migrations_app.chat.targets.of_kind import options_of
from migrations_app.models import ChatTarget
from migrations_app.screens.forms.rollouts import EditingForm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.utils.functional import _StrOrPromise

Kind = ChatTarget.Kind
_NAMED: Mapping[str, Mapping[str, tuple[_StrOrPromise, _StrOrPromise]]] = {
    Kind.MATRIX: {
        "address": (_("Address of the homeserver"), _("Such as https://matrix.contoso.com.")),
        "account": (_("Name of the application service's own user"), _("Its sender_localpart, such as mms.")),
        "secret": (_("Token of the application service"), _("The as_token of its registration file.")),
    },
    Kind.TEAMS: {
        "account": (_("Application (client) ID"), _("Of the app registration in Microsoft Entra: a GUID.")),
        "secret": (_("Client secret"), _("Its value, as Microsoft Entra showed it once.")),
    },
}
"""Which of address, account and secret a kind has, with the words of that kind; what only it has, its module says."""
KEPT = _("It is kept encrypted and never shown again. Empty: the one that is stored stays.")


class TargetForm(EditingForm):
    """A target of one kind, with the settings that this kind has and no others."""

    name = forms.CharField(label=_("Name"), max_length=100)

    def __init__(self, data: QueryDict | None, kind: str, target: ChatTarget | None = None) -> None:
        self.kind, self.target = kind, target
        initial: dict[str, Any] = {}
        if target is not None:
            initial = {"name": target.name, "address": target.address, "account": target.account}
            initial |= {f"option_{name}": value for name, value in target.options.items()}
        super().__init__(data, initial, "target_%s")
        for field in self.fields.values():
            if isinstance(field.widget, forms.PasswordInput):
                field.show_hidden_initial = False

    def offer(self) -> None:
        self.fields |= fields_of(self.kind, self.target)

    def edited(self) -> dict[str, Any]:
        """What was edited, as ``set_target`` takes it, and no secret where none was typed."""
        values = super().edited()
        options = {name: values.pop(name) for name in list(values) if name.startswith("option_")}
        if options:
            values["options"] = {name.removeprefix("option_"): value for name, value in options.items()}
        return values


def fields_of(kind: str, target: ChatTarget | None) -> dict[str, forms.Field]:
    """The fields of the kind beside the name. A secret that is stored need not be typed again."""
    fields: dict[str, forms.Field] = {}
    for name, (label, hint) in _NAMED.get(kind, {}).items():
        if name == "secret":
            fields[name] = _secret(label, hint, is_stored=target is not None and has_secret(target), is_required=True)
        else:
            fields[name] = forms.CharField(label=label, max_length=320, help_text=hint)
    for option in options_of(kind):
        label, hint = str(option.label), str(option.help)
        if option.is_secret:
            is_stored = target is not None and has_secret(target, option.name)
            field: forms.Field = _secret(label, hint, is_stored=is_stored, is_required=option.is_required)
        else:
            field = forms.CharField(label=label, help_text=hint, required=option.is_required, max_length=500)
        fields[f"option_{option.name}"] = field
    return fields


def _secret(label: _StrOrPromise, hint: _StrOrPromise, *, is_stored: bool, is_required: bool) -> forms.CharField:
    return forms.CharField(
        label=label,
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
        help_text=KEPT if is_stored else hint,
        required=is_required and not is_stored,
        max_length=4000,
    )
