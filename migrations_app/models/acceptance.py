"""What was accepted of a wave, by name, when a person said that it is good as it is (R81)."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from migrations_app.models.rollouts import Wave
from tenants_app.models import ConferencingUser
from tenants_app.sentence_fields import SentenceField


class AcceptedItem(models.Model):
    """A member who failed, or a meeting that needs a person, as it stood when the wave was accepted.

    It is a copy: what becomes of the user and the meeting later changes nothing of what was accepted.
    """

    class Kind(models.TextChoices):
        FAILED_MEMBER = "failed-member", _("Failed member")
        FAILED_MEETING = "failed-meeting", _("Failed meeting")
        SKIPPED_MEETING = "skipped-meeting", _("Skipped meeting")
        IN_REVIEW = "in-review", _("Meeting in need of review")

    wave = models.ForeignKey(Wave, models.CASCADE, related_name="accepted_items")
    kind = models.CharField(max_length=15, choices=Kind.choices)
    user = models.ForeignKey(ConferencingUser, models.SET_NULL, null=True, related_name="+")
    upn = models.CharField(max_length=320)
    uid = models.CharField(max_length=500, blank=True)
    subject = models.CharField(max_length=255, blank=True)
    starts_at = models.DateTimeField(null=True)
    sentence = SentenceField(help_text="Why it failed, was skipped, or needs a person.")

    class Meta:
        ordering = ["wave", "pk"]
        indexes = [models.Index(fields=["wave", "kind"], name="accepted_items_by_kind")]

    def __str__(self) -> str:
        return f"{self.upn}: {self.sentence}"
