"""What happened to this meeting: finding it, and its whole story for whoever has a caller on the line."""

from __future__ import annotations

import re

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_safe

from migrations_app.mail.waiting import Queue
from migrations_app.models import CalendarObject
from migrations_app.screens.tables.meetings import FoundMeetingTable
from migrations_app.stories.search import Found, Wanted, find
from migrations_app.stories.story import story_of
from tenants_app.access import access_for
from tenants_app.models import ConferencingUser
from tenants_app.screens.filters import DayFilter, StyledForm, search_box
from tenants_app.screens.fragments import answer
from tenants_app.screens.lists import arrange
from tenants_app.screens.requests import Request

_LONGEST_UID = CalendarObject._meta.get_field("uid").max_length


class SearchForm(StyledForm):
    """What is known of the meeting."""

    caption = gettext_lazy("Find a meeting")

    organizer = forms.CharField(
        label=gettext_lazy("Organizer"),
        required=False,
        max_length=320,
        widget=search_box(gettext_lazy("Name or address, or a part of it")),
    )
    subject = forms.CharField(
        label=gettext_lazy("Subject"),
        required=False,
        max_length=255,
        widget=search_box(gettext_lazy("A part of it")),
    )
    day = forms.DateField(
        label=gettext_lazy("Day"),
        required=False,
        widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"),
        validators=[
            MinValueValidator(DayFilter.FIRST, DayFilter.SENTENCE),
            MaxValueValidator(DayFilter.LAST, DayFilter.SENTENCE),
        ],
    )
    conference_id = forms.CharField(
        label=gettext_lazy("Conference ID"), required=False, max_length=40, widget=search_box("1234567")
    )
    number = forms.CharField(
        label=gettext_lazy("Dial-in number"), required=False, max_length=40, widget=search_box("+14255550100")
    )
    uid = forms.CharField(
        label="UID",
        required=False,
        max_length=_LONGEST_UID,
        widget=search_box(gettext_lazy("As in the invitation")),
    )

    def clean_conference_id(self) -> str:
        return self._with_digits("conference_id", gettext("Write a conference ID with its digits."))

    def clean_number(self) -> str:
        return self._with_digits("number", gettext("Write a telephone number with its digits."))

    def _with_digits(self, name: str, refusal: str) -> str:
        typed: str = self.cleaned_data[name]
        if typed and not re.search(r"[0-9]", typed):
            raise ValidationError(refusal)
        return typed


@require_safe
def meetings(request: Request, slug: str) -> HttpResponseBase:
    """The meetings of which is true what was typed; nothing where nothing was."""
    access = access_for(request, slug)
    form = SearchForm(request.GET)
    wanted = Wanted(**form.cleaned_data) if form.is_valid() else Wanted()
    found = find(access.tenant, wanted) if wanted else Found()
    table = FoundMeetingTable(found.meetings)
    if instead := arrange(request, access, table):
        return instead
    context = {"access": access, "form": form, "wanted": wanted, "found": found, "table": table}
    return answer(request, "stories/search.html", "stories/results.html", context)


@require_safe
def story(request: Request, slug: str, upn: str, uid: str) -> HttpResponse:
    """Everything about one meeting of one user, in the order of time; reads its text and writes nothing."""
    access = access_for(request, slug)
    user = (
        ConferencingUser.objects.with_upns(access.tenant, [upn])
        .select_related("tenant__mailbox", "bridge", "mailbox")
        .first()
    )
    if user is None:
        raise Http404
    told = story_of(user, uid)
    if not told:
        raise Http404
    context = {
        "access": access,
        "user_shown": user,
        "story": told,
        "queue": Queue(access.tenant),
        "now": timezone.now(),
    }
    return answer(request, "stories/story.html", "stories/told.html", context)
