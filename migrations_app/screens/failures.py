"""Users whose latest run failed, by what failed: where it is cured, trying again, accepting; and the catalogue."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.contrib.humanize.templatetags.humanize import intcomma
from django.http import Http404, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST, require_safe

from migrations_app.failures import ALERTS, CATALOGUE, CHAT, FAILED, SKIPPED, UNSENT, entry_of
from migrations_app.models import Run
from migrations_app.runs import failed
from migrations_app.runs.left import open_by_reason
from migrations_app.screens.filters import FailureFilter
from migrations_app.screens.tables.runs import FailureTable
from tenants_app.access import Access, access_for
from tenants_app.models import ConferencingUser, Role
from tenants_app.screens.forms import style_fields
from tenants_app.screens.lists import all_of, answer_list
from tenants_app.screens.requests import Request
from tenants_app.validators import validate_one_line

LONGEST_NOTE = Run._meta.get_field("accepted_note").max_length


class AcceptForm(forms.Form):
    """Why it may be that runs fail, and how many of them the page showed."""

    note = forms.CharField(
        label=gettext_lazy("Why it is accepted"),
        max_length=LONGEST_NOTE,
        validators=[validate_one_line],
        help_text=gettext_lazy("It stands beside the failure and in the audit."),
        error_messages={"required": gettext_lazy("Say why it is accepted: whoever looks next must know.")},
    )
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, data: QueryDict | None = None, seen: int = 0) -> None:
        super().__init__(data, auto_id="accept_%s", initial={"seen": seen})
        style_fields(self)


@require_safe
def catalogue(request: Request, slug: str) -> HttpResponse:
    """Every code with what happened, what to do and where (R31)."""
    access = access_for(request, slug)
    parts = [
        (_("Why a meeting is skipped"), _("The meeting stays exactly as it is and nobody is told."), SKIPPED),
        (_("Why a meeting or a run fails"), _("A meeting that fails stays as it is, and the others go on."), FAILED),
        (_("Why a message to attendees is not sent"), _("The meeting itself is migrated."), UNSENT),
        (_("Why an alert is not delivered"), _("To administrators, by mail or webhook."), ALERTS),
        (_("Why a room of chat is not imported"), _("What was written stays, and nothing is written twice."), CHAT),
    ]
    return render(request, "failures/catalogue.html", {"access": access, "parts": parts})


@require_safe
def failures(request: Request, slug: str) -> HttpResponse:
    """All groups, with a way to the cure of each; and what needs a person though its run succeeded, by reason."""
    access = access_for(request, slug)
    context = {"access": access, "groups": failed.groups(access.tenant), "left": open_by_reason(access.tenant)}
    return render(request, "failures/failures.html", context)


@require_safe
def group(request: Request, slug: str, code: str) -> HttpResponseBase:
    """The users of one group, with what happened to each, and what can be done for all of them."""
    return _group(request, access_for(request, slug), code, AcceptForm())


def _group(request: Request, access: Access, code: str, form: AcceptForm) -> HttpResponseBase:
    table, found = _failed(request, access, code)
    (shown,) = [each for each in failed.groups(access.tenant) if each.code == code] or [failed.Group(code)]
    if not form.is_bound:
        form = AcceptForm(seen=shown.to_see_to)
    context = {"access": access, "group": shown, "entry": entry_of(code), "form": form}
    return answer_list(request, "failures/group.html", table, context, found=found)


@require_safe
def group_csv(request: Request, slug: str, code: str) -> HttpResponseBase:
    """The users of the group that the filter of the page finds, as a file."""
    access = access_for(request, slug)
    return all_of(request, access, *_failed(request, access, code))


def _failed(request: Request, access: Access, code: str) -> tuple[FailureTable, FailureFilter]:
    _check(code)
    found = FailureFilter(request.GET, failed.failed_runs(access.tenant, code).select_related("user"))
    table = FailureTable(found.qs)
    table.file_name = f"failures-{code}"
    return table, found


@require_POST
def accept_group(request: Request, slug: str, code: str) -> HttpResponseBase:
    """Accept the failures of a group, as it was when the page was shown, with a note."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    _check(code)
    form = AcceptForm(request.POST)
    runs = failed.failed_runs(access.tenant, code).filter(accepted_at=None)
    if form.is_valid():
        count, seen = runs.count(), form.cleaned_data["seen"]
        if count == 0:
            messages.info(request, _("No failure of this group is left to accept, so nothing was changed."))
        elif seen is not None and seen != count:
            messages.warning(
                request,
                _(
                    "Nothing was accepted: the group has %(count)s to accept now, and the page showed %(seen)s. Look "
                    "at it again, then accept."
                )
                % {"count": intcomma(count), "seen": intcomma(seen)},
            )
        else:
            _tell_accepted(request, failed.accept(access.tenant, runs, form.cleaned_data["note"], access.actor))
        return redirect("failure-group", slug, code)
    return _group(request, access, code, form)


@require_POST
def take_back_group(request: Request, slug: str, code: str) -> HttpResponse:
    """Let the accepted failures of a group count again."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    _check(code)
    runs = failed.failed_runs(access.tenant, code).exclude(accepted_at=None)
    _tell_taken_back(request, failed.take_back(access.tenant, runs, access.actor))
    return redirect("failure-group", slug, code)


@require_POST
def accept_failure(request: Request, slug: str, upn: str) -> HttpResponse:
    """Accept that the user's latest run failed, with a note."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    runs = failed.failed_runs(access.tenant).filter(user=_user(access, upn))
    form = AcceptForm(request.POST)
    if form.is_valid():
        _tell_accepted(request, failed.accept(access.tenant, runs, form.cleaned_data["note"], access.actor))
    else:
        for sentence in form.errors.get("note", []):
            messages.error(request, _("Nothing was accepted. %(sentence)s") % {"sentence": sentence})
    return redirect("user", slug, upn)


@require_POST
def take_back_acceptance(request: Request, slug: str, upn: str) -> HttpResponse:
    """Let the user's accepted failure count again."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    runs = failed.failed_runs(access.tenant).filter(user=_user(access, upn))
    _tell_taken_back(request, failed.take_back(access.tenant, runs, access.actor))
    return redirect("user", slug, upn)


def _tell_accepted(request: Request, count: int) -> None:
    if count:
        told = ngettext(
            "The failure of %(count)s user is accepted until the next run.",
            "The failures of %(count)s users are accepted until the next run.",
            count,
        )
        messages.success(request, told % {"count": intcomma(count)})
    else:
        messages.info(request, _("There is no failure to accept any more, so nothing was changed."))


def _tell_taken_back(request: Request, count: int) -> None:
    if count:
        told = ngettext(
            "The failure of %(count)s user counts again.", "The failures of %(count)s users count again.", count
        )
        messages.success(request, told % {"count": intcomma(count)})
    else:
        messages.info(request, _("No failure is accepted here any more, so nothing was changed."))


def _check(code: str) -> None:
    if code not in CATALOGUE:
        raise Http404


def _user(access: Access, upn: str) -> ConferencingUser:
    found = ConferencingUser.objects.with_upns(access.tenant, [upn]).first()
    if found is None:
        raise Http404
    return found
