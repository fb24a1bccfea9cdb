"""Conference IDs: those in use on a bridge, and those of old."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from tenants_app.models.bridges import Bridge
from tenants_app.models.users import ConferencingUser
from tenants_app.validators import validate_conference_id


class ConferenceId(models.Model):
    """A conference ID in use on a bridge: a user's own (empty meeting UID) or one private meeting's.

    One table for both kinds, because they share one number space: the constraint keeps an ID from meaning two
    meetings on a bridge.
    """

    bridge = models.ForeignKey(Bridge, models.CASCADE, related_name="conference_ids")
    digits = models.CharField(max_length=7, validators=[validate_conference_id])
    user = models.ForeignKey(ConferencingUser, models.CASCADE, related_name="conference_ids")
    meeting_uid = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name = _("conference ID")
        verbose_name_plural = _("conference IDs")
        constraints = [
            models.UniqueConstraint(fields=["bridge", "digits"], name="one_use_per_conference_id"),
            models.UniqueConstraint(fields=["user", "bridge", "meeting_uid"], name="one_conference_id_per_meeting"),
        ]

    def __str__(self) -> str:
        return self.digits


class FormerConferenceId(models.Model):
    """A conference ID that MMS once gave to a user, or to one of their meetings, and that is theirs no more (R43).

    Invitations may still show it. It may be somebody else's by now.
    """

    user = models.ForeignKey(ConferencingUser, models.CASCADE, related_name="former_conference_ids")
    bridge = models.ForeignKey(
        Bridge, models.SET_NULL, null=True, related_name="former_conference_ids", help_text=_("Empty: a bridge of old.")
    )
    digits = models.CharField(max_length=7)
    meeting_uid = models.CharField(max_length=500, blank=True)
    taken_out_at = models.DateTimeField(
        null=True, help_text=_("When the last invitations that showed it were brought up to date; empty: not yet.")
    )
    is_free = models.BooleanField(
        default=False, help_text=_("Whether somebody else may be given it: no invitation can get it back any more.")
    )

    class Meta:
        verbose_name = _("former conference ID")
        constraints = [
            models.UniqueConstraint(
                fields=["user", "bridge", "digits", "meeting_uid"],
                name="one_row_per_former_conference_id",
            )
        ]
        indexes = [
            models.Index(fields=["digits"], name="former_ids_by_digits"),
            models.Index(fields=["bridge", "digits"], condition=Q(is_free=False), name="former_ids_that_are_kept"),
            models.Index(
                fields=["taken_out_at"],
                condition=Q(is_free=False, taken_out_at__isnull=False),
                name="former_ids_by_time",
            ),
        ]

    def __str__(self) -> str:
        return self.digits
