"""Invitations to have a role in a tenant: made, withdrawn, and accepted once and within their days."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from tenants_app.audit import Actor, Channel, entry
from tenants_app.changes.accounts import BY_INVITATION, note
from tenants_app.changes.locking import lock
from tenants_app.changes.tenants import grant_role
from tenants_app.mail_addresses import accounts_with
from tenants_app.models import Invitation, Role, Tenant
from tenants_app.sentences import sentence, sentence_plural
from tenants_app.validators import validate_address

UNKNOWN = gettext_noop("This link belongs to no invitation. It may have been withdrawn: ask for a new one.")
DAYS = 7
"""For how many days an invitation can be accepted."""


def hash_of(token: str) -> str:
    """What is kept of the secret in a link."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


@transaction.atomic
def invite(tenant: Tenant, actor: Actor, email: str, role: str, language: str = "") -> tuple[Invitation, str]:
    """Invite whoever reads the mail of that address; an earlier invitation of it ends. With the secret of the link.

    ``language`` is that of the mail; empty: not known.
    """
    validate_address(email)
    if role not in Role.Name.values:
        raise ValidationError(_("There is no role “%(role)s”: use viewer, operator or admin.") % {"role": role[:40]})
    if language and language not in dict(settings.LANGUAGES):
        raise ValidationError(_("There is no such language here: choose one of the list."))
    lock(tenant)  # of two invitations at once, one is the former
    if tenant.roles.filter(account__in=accounts_with(email)).exists():
        raise ValidationError(_("%(email)s has a role here already: change it in the list.") % {"email": email})
    tenant.invitations.filter(email__iexact=email, used_at=None).delete()
    token = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        tenant=tenant,
        email=email,
        role=role,
        language=language,
        token_hash=hash_of(token),
        invited_by=actor.name,
        expires_at=timezone.now() + timedelta(days=DAYS),
    )
    entry(tenant, actor, "invite", email, {}, {"role": role}).save()
    return invitation, token


@transaction.atomic
def withdraw(invitation: Invitation, actor: Actor) -> None:
    """Let the link of the invitation do nothing any more. Raises ``ValidationError`` where it was used meanwhile."""
    if not Invitation.objects.select_for_update().filter(pk=invitation.pk, used_at=None).exists():
        told = _("The invitation of %(email)s was used or withdrawn meanwhile.")
        raise ValidationError(told % {"email": invitation.email})
    entry(invitation.tenant, actor, "withdraw invitation", invitation.email, {"role": invitation.role}).save()
    invitation.delete()


def find(token: str) -> Invitation | None:
    """The invitation that the link belongs to, whether it can still be accepted or not."""
    return Invitation.objects.select_related("tenant").filter(token_hash=hash_of(token)).first()


def why_not(invitation: Invitation) -> str:
    """Why it cannot be accepted any more; empty where it can."""
    if invitation.used_at is not None:
        return sentence("This invitation was used already. Sign in, or ask for a new one.")
    if invitation.expires_at <= timezone.now():
        return sentence_plural(
            "This invitation is older than %(n)s day. Ask for a new one.",
            "This invitation is older than %(n)s days. Ask for a new one.",
            DAYS,
        )
    return ""


@transaction.atomic
def accept(invitation: Invitation, account: User) -> None:
    """Give the account the role of the invitation, once. A role that it has already, it keeps.

    Raises ``ValidationError`` where it cannot be accepted any more. ``account`` may be new, and is saved then.
    """
    found = Invitation.objects.select_for_update(of=("self",)).select_related("tenant").filter(pk=invitation.pk).first()
    if found is None:
        raise ValidationError(_(UNKNOWN))
    invitation = found
    if problem := why_not(invitation):
        raise ValidationError(problem)
    is_new = account.pk is None
    if is_new:
        account.full_clean()
        account.save()
    actor = Actor(account.get_username(), Channel.SCREEN)
    if is_new:
        note("create account", actor, account=account, detail=sentence(BY_INVITATION))
    invitation.used_at = timezone.now()
    invitation.save(update_fields=["used_at"])
    given = sentence("%(actor)s had invited %(email)s.", actor=invitation.invited_by, email=invitation.email)
    entry(invitation.tenant, actor, "accept invitation", invitation.email, {}, {"role": invitation.role}, given).save()
    if not invitation.tenant.roles.filter(account=account).exists():
        grant_role(invitation.tenant, account, invitation.role, actor)
