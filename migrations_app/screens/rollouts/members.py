"""Who is in a wave: the list, adding by hand and by file, taking out, excluding, and newcomers (R65, R66)."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from migrations_app.models import Wave, WaveMember
from migrations_app.rollouts import members as acts
from migrations_app.rollouts.member_file import (
    COLUMNS,
    MOST_ON_A_PAGE,
    BadRows,
    MemberPlan,
    import_members,
    plan_members,
)
from migrations_app.screens.forms.rollouts import MemberFileForm, MembersForm, ReasonForm, ToWaveForm, users_named
from migrations_app.screens.rollouts.of_page import rollout_of, wave_context, wave_of
from migrations_app.screens.rollouts.waves import filter_in_words
from migrations_app.screens.selection import Misunderstood, selection_of
from migrations_app.screens.tables.rollouts import MemberFilter, MemberTable
from tenants_app.access import Access, access_for
from tenants_app.csv_files.users_in import ignored_in_words
from tenants_app.models import Role
from tenants_app.screens.lists import answer_list
from tenants_app.screens.refusals import refusals_told, tell_errors
from tenants_app.screens.requests import Request
from tenants_app.wording import alternatives

SHOWN_BAD_ROWS = 500
SHOWN_NEWCOMERS = 20


@require_safe
def members(request: Request, slug: str, pk: int, n: int) -> HttpResponseBase:
    """The members of a wave; until it starts an admin adds some and takes some out."""
    access = access_for(request, slug)
    return _members(request, access, wave_of(request, access, pk, n), MembersForm(None))


def _members(request: Request, access: Access, wave: Wave, form: MembersForm) -> HttpResponseBase:
    everyone = WaveMember.objects.filter(wave=wave)
    found = MemberFilter(request.GET, everyone.select_related("user", "run"))
    may_change = access.may_administer and not wave.has_started and not wave.rollout.is_finished
    table = MemberTable(found.qs, wave=wave, may_change=access.may_administer)
    late = acts.newcomers(wave)
    context = wave_context(access, wave, "members") | {
        "form": form,
        "filter_words": filter_in_words(access, wave),
        "newcomers": late.count(),
        "first_newcomers": list(late.order_by("upn")[:SHOWN_NEWCOMERS]),
        "following": acts.following(wave),
        "may_change": may_change,
        "below": "rollouts/take_out.html" if may_change else "",
    }
    return answer_list(request, "rollouts/members.html", table, context, found=found)


@require_POST
def add(request: Request, slug: str, pk: int, n: int) -> HttpResponseBase:
    """Add users by their names."""
    access = access_for(request, slug, Role.Name.ADMIN)
    wave = wave_of(request, access, pk, n)
    form = MembersForm(request.POST)
    if form.is_valid():
        keys, unknown = users_named(access, form.cleaned_data["names"])
        if unknown:
            told = ngettext(
                "There is no user %(names)s: correct the name, or add the user first.",
                "There are no users %(names)s: correct the names, or add the users first.",
                len(unknown),
            )
            form.add_error("names", told % {"names": alternatives(unknown[:10])})
        else:
            with refusals_told(form):
                tell_added(
                    request, wave, acts.add_members(wave, keys, access.actor, reason=form.cleaned_data["reason"])
                )
                return redirect("wave-members", slug, pk, n)
    return _members(request, access, wave, form)


@require_POST
def add_newcomers(request: Request, slug: str, pk: int, n: int) -> HttpResponse:
    """Add those who match the filter of a started wave by now to a following one."""
    access = access_for(request, slug, Role.Name.ADMIN)
    wave = wave_of(request, access, pk, n)
    to = next((each for each in acts.following(wave) if str(each.pk) == request.POST.get("to")), None)
    if to is None:
        messages.error(request, _("Choose a wave behind this one that has not started."))
        return redirect("wave-members", slug, pk, n)
    keys = list(acts.newcomers(wave).order_by("pk").values_list("pk", flat=True)[: acts.MOST_BY_HAND])
    try:
        tell_added(request, to, acts.add_members(to, keys, access.actor))
    except ValidationError as error:
        tell_errors(request, error)
    return redirect("wave-members", slug, pk, n)


@require_POST
def take_out(request: Request, slug: str, pk: int, n: int) -> HttpResponse:
    """Take out the members who are ticked."""
    access = access_for(request, slug, Role.Name.ADMIN)
    keys = [int(key) for key in request.POST.getlist("member") if key.isascii() and key.isdigit() and len(key) < 19]
    if not keys:
        messages.info(request, _("Nobody is ticked, so nobody was taken out."))
        return redirect("wave-members", slug, pk, n)
    try:
        count = acts.take_out(wave_of(request, access, pk, n), keys, access.actor)
        told = ngettext("%(count)s member was taken out.", "%(count)s members were taken out.", count)
        messages.success(request, told % {"count": intcomma(count)})
    except ValidationError as error:
        tell_errors(request, error)
    return redirect("wave-members", slug, pk, n)


@require_http_methods(["GET", "HEAD", "POST"])
def exclude(request: Request, slug: str, pk: int, n: int, member_pk: int) -> HttpResponse:
    """Leave a member of a started wave out, with a reason."""
    access = access_for(request, slug, Role.Name.ADMIN)
    wave = wave_of(request, access, pk, n)
    member = get_object_or_404(WaveMember.objects.select_related("user"), wave=wave, pk=member_pk)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        with refusals_told(form):
            acts.exclude(member, access.actor, reason=form.cleaned_data["reason"])
            messages.success(request, _("%(upn)s is excluded from the wave.") % {"upn": member.user.upn})
            return redirect("wave-members", slug, pk, n)
    context = wave_context(access, wave, "members") | {"member": member, "form": form}
    return render(request, "rollouts/exclude.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def import_file(request: Request, slug: str, pk: int) -> HttpResponse:
    """Members of all waves from a CSV file: checked, and where all is well, or bad rows may be left out, imported."""
    access = access_for(request, slug, Role.Name.ADMIN)
    rollout = rollout_of(access, pk)
    is_post = request.method == "POST"
    form = MemberFileForm(request.POST, request.FILES) if is_post else MemberFileForm()
    planned: MemberPlan | None = None
    is_check = "check" in request.POST
    if is_post and form.is_valid():
        name = form.cleaned_data["file"].name or "members.csv"
        try:
            if is_check:
                planned = plan_members(rollout, form.text, MOST_ON_A_PAGE)
            else:
                skip = form.cleaned_data["skip_bad_rows"]
                planned = import_members(
                    rollout, form.text, access.actor, file_name=name, skip_bad_rows=skip, most=MOST_ON_A_PAGE
                )
        except BadRows as error:
            planned = error.planned
            form.add_error(None, error.messages)
        except ValidationError as error:
            form.add_error("file", error.messages)
        if planned and not is_check and not form.errors and not planned.bad_rows:
            _tell_imported(request, planned)
            return redirect("rollout", slug, pk)
    context: dict[str, Any] = {"access": access, "rollout": rollout, "form": form, "columns": COLUMNS}
    if planned is not None:
        context |= {
            "planned": planned,
            "bad_rows": sorted(planned.bad_rows)[:SHOWN_BAD_ROWS],
            "ignored": ignored_in_words(planned.ignored),
            "by_wave": list(planned.by_wave.items()),
            "is_written": not is_check and not form.errors,
        }
    return render(request, "rollouts/import.html", context)


def _tell_imported(request: Request, planned: MemberPlan) -> None:
    told = ngettext(
        "%(count)s member was added, %(unchanged)s were there already.",
        "%(count)s members were added, %(unchanged)s were there already.",
        len(planned.new),
    )
    messages.success(request, told % {"count": intcomma(len(planned.new)), "unchanged": intcomma(planned.unchanged)})


@require_http_methods(["GET", "HEAD", "POST"])
def selected_to_wave(request: Request, slug: str) -> HttpResponse:
    """The users who are selected on a list, to a wave of a rollout."""
    access = access_for(request, slug, Role.Name.ADMIN)
    try:
        selection = selection_of(request.GET, access)
    except Misunderstood as error:
        messages.error(request, error.sentence)
        return redirect(error.the_list)
    count = selection.users.count()
    if not count:
        messages.info(request, selection.nobody)
        return redirect(selection.the_list)
    form = ToWaveForm(request.POST if request.method == "POST" else None, access)
    if form.is_bound and form.is_valid():
        wave: Wave = form.cleaned_data["wave"]
        keys = list(selection.users.order_by("pk").values_list("pk", flat=True)[: acts.MOST_BY_HAND + 1])
        with refusals_told(form):
            added = acts.add_members(
                wave,
                keys,
                access.actor,
                reason=form.cleaned_data["reason"],
                may_leave=form.cleaned_data["may_leave"],
            )
            tell_added(request, wave, added)
            return redirect("wave-members", slug, wave.rollout_id, wave.position)
    context = {
        "access": access,
        "selection": selection,
        "user_count": count,
        "form": form,
        "cancel": selection.back,
    }
    return render(request, "rollouts/to_wave.html", context)


def tell_added(request: Request, wave: Wave, answer: acts.Added) -> None:
    """What became of users who were to be added, as messages above the next page."""
    told = ngettext(
        "%(count)s user was added to %(wave)s, %(unchanged)s were there already.",
        "%(count)s users were added to %(wave)s, %(unchanged)s were there already.",
        answer.added,
    )
    values = {"count": intcomma(answer.added), "wave": wave, "unchanged": intcomma(answer.unchanged)}
    if answer.added or answer.unchanged:
        messages.success(request, told % values)
    for sentence in answer.sentences:
        messages.warning(request, str(sentence))
    more = answer.refused - len(answer.sentences)
    if more > 0:
        told = ngettext("%(count)s more was left out.", "%(count)s more were left out.", more)
        messages.warning(request, told % {"count": intcomma(more)})
