"""What becomes of the accounts with which administrators sign in, each with its trace."""

from __future__ import annotations

from collections.abc import Mapping

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from tenants_app.audit import Actor, entry
from tenants_app.audit import record as record_entries
from tenants_app.changes.tenants import grant_role, revoke_role
from tenants_app.local_times import time_zone_names
from tenants_app.models import AccountEvent, Preferences, Role, Tenant
from tenants_app.sealing import UnopenableSecret, seal, unseal
from tenants_app.sentences import Sentence, at_most, sentence, sentence_plural

IN_TENANTS = frozenset(
    {
        gettext_noop("refuse sign-in"),
        gettext_noop("add second factor"),
        gettext_noop("remove second factor"),
        gettext_noop("renew recovery codes"),
        gettext_noop("connect sign-in"),
        gettext_noop("change password"),
        gettext_noop("switch off account"),
        gettext_noop("switch on account"),
        gettext_noop("make administrator"),
        gettext_noop("end administrator"),
    }
)
"""What the audit of each tenant tells too in which the account has a role; sign-ins themselves would crowd it."""

OF_ACCOUNTS = IN_TENANTS | {
    gettext_noop("sign in"),
    gettext_noop("sign out"),
    gettext_noop("create account"),
    gettext_noop("change name"),
    gettext_noop("change preferences"),
    gettext_noop("refuse language"),
    gettext_noop("end sessions"),
    gettext_noop("ask for sign-in link"),
}
"""All that happens to accounts."""

BY_INVITATION = gettext_noop("By an invitation.")
"""How an account came to be whose address a tenant has given: its mail went out by the tenant's own server, or not at
all, so whoever made it need not be who has the address."""

SEALED_FOR = "second factor"
"""What the keys of second factors are bound to, which allauth has encrypted before it knows their row."""
SEALED_IN = ("secret", "seed")
"""Where such a key stands in what allauth keeps of a second factor: of an app, of recovery codes."""


@transaction.atomic
def note(
    what: str, actor: Actor, *, account: User | None = None, name: str = "", detail: str = "", address: str = ""
) -> None:
    """Keep what happened to an account, or that somebody wanted to be one, and from which address.

    It stands in the audit of the account's tenants as well where it is one of :data:`IN_TENANTS`. Raises ``ValueError``
    for what is not one of :data:`OF_ACCOUNTS`: nobody could read it in their language.
    """
    if what not in OF_ACCOUNTS:
        raise ValueError(f"{what!r} is nothing that happens to accounts: add it to OF_ACCOUNTS.")
    named = (account.get_username() if account else name).replace("\0", "")[:200]
    AccountEvent.objects.create(account=account, name=named, what=what, detail=at_most(500, detail), address=address)
    if account is not None and what in IN_TENANTS:
        tenants = Tenant.objects.filter(roles__account=account)
        record_entries(entry(tenant, actor, what, named, consequence=detail) for tenant in tenants)


@transaction.atomic
def make_account(actor: Actor, username: str, email: str, full_name: str) -> User:
    """An account without a password, for somebody whom another sign-in knows."""
    account = User(username=username, email=email)
    account.first_name, account.last_name = _first_and_last(full_name)
    account.set_unusable_password()
    account.full_clean()
    account.save()
    note("create account", actor, account=account)
    return account


def _first_and_last(full_name: str) -> tuple[str, str]:
    first, _space, last = " ".join(full_name.split()).partition(" ")
    return first[:150], last[:150]


@transaction.atomic
def rename(account: User, full_name: str, actor: Actor) -> None:
    """Let people see this name beside the user name, with which one goes on signing in."""
    before = account.get_full_name()
    account.first_name, account.last_name = _first_and_last(full_name)
    if account.get_full_name() != before:
        account.full_clean()
        account.save(update_fields=["first_name", "last_name"])
        told = sentence("From “%(before)s” to “%(after)s”.", before=before, after=account.get_full_name())
        note("change name", actor, account=account, detail=told)


@transaction.atomic
def prefer(account: User, actor: Actor, **values: str) -> None:
    """Keep how somebody likes to see the pages; ``values`` are fields of :class:`Preferences`."""
    User.objects.select_for_update(no_key=True).get(pk=account.pk)  # who chooses first has no row to lock
    row = Preferences.objects.filter(account=account).first() or Preferences(account=account)
    changed = {name: value for name, value in values.items() if getattr(row, name) != value or row._state.adding}
    for name, value in changed.items():
        setattr(row, name, value)
    if row.language and row.language not in dict(settings.LANGUAGES):
        raise ValidationError({"language": _("There is no such language here: choose one of the list.")})
    if row.time_zone and row.time_zone not in time_zone_names():
        raise ValidationError({"time_zone": _("There is no time zone of that name: choose one like Europe/Rome.")})
    row.full_clean()
    if changed:
        row.save()
        account.preferences = row  # for the rest of the request
        told = ", ".join(f"{name}: {value or '—'}" for name, value in changed.items())
        note("change preferences", actor, account=account, detail=told)


def refuse_language(account: User, actor: Actor, language: str) -> None:
    """Keep that somebody asked for a language that there is not, which no page of MMS offers."""
    note("refuse language", actor, account=account, detail=language.replace("\0", "")[:100])


@transaction.atomic
def change_password(account: User, password: str, actor: Actor, keep: str | None) -> None:
    """A new password, which the caller has checked. All sessions but ``keep`` end."""
    account.set_password(password)
    account.save(update_fields=["password"])
    ended = _end(account, keep)
    told = sentence_plural("%(n)s other session was ended.", "%(n)s other sessions were ended.", ended)
    note("change password", actor, account=account, detail=told)


@transaction.atomic
def end_sessions(account: User, actor: Actor, *, keep: str | None = None, only: int | None = None) -> int:
    """Sign the account out everywhere but in the session ``keep``, or in the session ``only``. Says of how many."""
    ended = _end(account, keep, only)
    if ended:
        note("end sessions", actor, account=account, detail=_ended(ended))
    return ended


def _ended(count: int) -> Sentence:
    return sentence_plural("%(n)s session was ended.", "%(n)s sessions were ended.", count)


def _end(account: User, keep: str | None, only: int | None = None) -> int:
    sessions = UserSession.objects.filter(user=account).exclude(session_key=keep)
    ended = list(sessions.filter(pk=only) if only is not None else sessions)
    for session in ended:
        session.end()
    return len(ended)


@transaction.atomic
def switch_account(account: User, on: bool, actor: Actor) -> None:
    """Let somebody sign in, or not any more: their sessions end at once, and what they have stays theirs."""
    account = _lock(account)
    if account.is_active == on:
        return
    if not on:
        _keep_an_administrator(account)
    account.is_active = on
    account.save(update_fields=["is_active"])
    ended = 0 if on else _end(account, None)
    told = _ended(ended) if ended else ""
    note("switch on account" if on else "switch off account", actor, account=account, detail=told)


@transaction.atomic
def make_administrator(account: User, on: bool, actor: Actor) -> None:
    """Let somebody act in all tenants and look after all accounts, or not any more."""
    account = _lock(account)
    if account.is_superuser == on:
        return
    if not on:
        _keep_an_administrator(account)
    account.is_superuser = account.is_staff = on
    account.save(update_fields=["is_superuser", "is_staff"])
    note("make administrator" if on else "end administrator", actor, account=account)


def _lock(account: User) -> User:
    """The account as it is stored, with all administrators locked: two must not take each other's place away."""
    rows = User.objects.select_for_update().filter(Q(is_superuser=True) | Q(pk=account.pk)).order_by("pk")
    return next(row for row in rows if row.pk == account.pk)


def is_last_administrator(account: User) -> bool:
    """Whether nobody else looks after the accounts of the installation. As it is stored, whatever a form has set."""
    left = User.objects.filter(is_superuser=True, is_active=True).values_list("pk", flat=True)[:2]
    return list(left) == [account.pk]


def last_administrator(account: User) -> str:
    """What whoever wants to end that is told."""
    return _("%(account)s is the last administrator of the installation: make somebody else one first.") % {
        "account": account.get_username()
    }


def _keep_an_administrator(account: User) -> None:
    if is_last_administrator(account):
        raise ValidationError(last_administrator(account))


@transaction.atomic
def connect_sign_in(actor: Actor, account: User, provider: str, uid: str, detail: str) -> None:
    """Let who is ``uid`` to the provider sign in to the account from now on."""
    SocialAccount.objects.create(user=account, provider=provider, uid=uid)
    note("connect sign-in", actor, account=account, detail=detail)


def is_taken_by_address(account: User, provider: str) -> bool:
    """Whether the account may be somebody else's than of whoever the provider says has its address: it was made by an
    invitation, or the provider knows somebody as its owner already, who may have had the address before."""
    made = account.events.filter(what="create account", detail=BY_INVITATION)
    return made.exists() or SocialAccount.objects.filter(user=account, provider=provider).exists()


@transaction.atomic
def follow_groups(account: User, given: Mapping[str, str], actor: Actor) -> None:
    """Make the roles that groups give those of ``given``, by tenant's slug; what a person has granted stays."""
    held = {role.tenant.slug: role for role in account.tenant_roles.select_related("tenant", "account")}
    for slug, role in held.items():
        if role.by_groups and slug not in given:
            revoke_role(role, actor)
    for tenant in Tenant.objects.filter(slug__in=given):
        found: Role | None = held.get(tenant.slug)
        if found is None or (found.by_groups and found.name != given[tenant.slug]):
            grant_role(tenant, account, given[tenant.slug], actor, by_groups=True)


@transaction.atomic
def remove_second_factor(account: User, actor: Actor) -> None:
    """Take away all second factors of somebody who has lost them; the password alone signs in then."""
    if not Authenticator.objects.filter(user=account).delete()[0]:
        raise ValidationError(
            sentence("%(account)s has no second factor: a password is enough.", account=account.get_username())
        )
    note("remove second factor", actor, account=account, detail=sentence("All were removed, because they were lost."))


def rotate_second_factors() -> tuple[int, list[str]]:
    """Close every key of a second factor with the newest key of ``MMS_SECRETS_KEY``, as ``rotate_secrets`` does."""
    count = 0
    unopenable: list[str] = []
    factors = Authenticator.objects.filter(data__has_any_keys=SEALED_IN).order_by("pk")
    for pk in factors.values_list("pk", flat=True):
        with transaction.atomic():
            row = Authenticator.objects.select_for_update().select_related("user").filter(pk=pk).first()
            if row is None:
                continue
            try:
                for name in set(SEALED_IN) & set(row.data):
                    row.data[name] = seal(unseal(row.data[name], SEALED_FOR), SEALED_FOR)
            except UnopenableSecret:
                unopenable.append(sentence("second factor of %(account)s", account=row.user.get_username()))
                continue
            row.save(update_fields=["data"])
            count += 1
    return count, unopenable
