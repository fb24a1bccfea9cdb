"""Settings, read from the environment. `.env.example` lists every variable with its default."""

from __future__ import annotations

import math
import os
import socket
import warnings
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from cryptography.fernet import Fernet
from csp.constants import NONE, SELF
from django.core.validators import validate_email
from django.urls import reverse

from migrations_app.rewriting.labels import LANGUAGES as LANGUAGES_OF_INVITATIONS
from mms_site.backends import broker, cache, check_writable, data_folder, database, mail
from mms_site.environment import (
    base_url,
    development_secret,
    exit_naming,
    folder_of_programs,
    given,
    group_roles,
    is_fernet_key,
    is_host,
    is_long_key,
    is_origin,
    load_file,
    load_secrets,
    openid_issuer,
    read,
    read_bool,
    read_choice,
    read_int,
    read_list,
)

BASE_DIR = Path(__file__).resolve().parent.parent
if (BASE_DIR / ".env").is_file():
    load_file(BASE_DIR / ".env")
load_secrets(
    "SECRET_KEY",
    "DATABASE_URL",
    "CACHE_URL",
    "MMS_BROKER_URL",
    "EMAIL_URL",
    "MMS_SECRETS_KEY",
    "MMS_METRICS_KEY",
    "MMS_OIDC_CLIENT_SECRET",
)

DEBUG = read_bool("DEBUG", default=False)
MMS_DATA_DIR = data_folder(BASE_DIR / given("MMS_DATA_DIR", "var"))
MMS_DEVELOPMENT = DEBUG or not (given("DEBUG") or given("ALLOWED_HOSTS"))
"""True on a fresh clone that nobody has configured, reachable from this machine only: a missing SECRET_KEY
is made up and cookies travel over plain HTTP. Setting DEBUG=false or ALLOWED_HOSTS makes it production."""

ALLOWED_HOSTS = read_list("ALLOWED_HOSTS", "127.0.0.1,localhost", "host names like mms.example.org", is_host)
SECRET_KEY = given("SECRET_KEY")
if not SECRET_KEY:
    if not MMS_DEVELOPMENT:
        raise exit_naming("SECRET_KEY", "is not set: give the service a long random value of its own.")
    check_writable("MMS_DATA_DIR", MMS_DATA_DIR)
    SECRET_KEY = development_secret(MMS_DATA_DIR / "secret-key")

MMS_SECRETS_KEYS = read_list(
    "MMS_SECRETS_KEY", "", "Fernet keys (44 characters each) separated by commas, the newest first", is_fernet_key
)
"""Encrypt the passwords with which MMS signs in to mail systems. Not made of SECRET_KEY, which must be free to change
by itself."""
if not MMS_SECRETS_KEYS and MMS_DEVELOPMENT:
    check_writable("MMS_DATA_DIR", MMS_DATA_DIR)
    _key = development_secret(MMS_DATA_DIR / "secrets-key", lambda: Fernet.generate_key().decode("ascii"))
    if not is_fernet_key(_key):
        raise exit_naming("MMS_DATA_DIR", "has a file secrets-key that holds no key: put the old one back.")
    MMS_SECRETS_KEYS = [_key]

CSRF_TRUSTED_ORIGINS = read_list("CSRF_TRUSTED_ORIGINS", "", "addresses like https://mms.example.org", is_origin)
MMS_BASE_URL = base_url(ALLOWED_HOSTS, CSRF_TRUSTED_ORIGINS)
"""Where people reach the site; begins each link that leaves it, as in mails and in what commands print."""

INSTALLED_APPS = [
    "mms_site.apps.DataFixesConfig",  # django.contrib.admin, for superusers alone
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "mms_site.apps.OpenIdConfig",  # allauth.socialaccount
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    "axes",
    "csp",
    "django_filters",
    "django_htmx",
    "django_q",
    "django_tables2",
    "tenants_app",
    "migrations_app",
    "mms_site.accounts",
]

MIDDLEWARE = [
    "mms_site.middleware.QuietDirectory",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "mms_site.middleware.CompressedPages",
    "mms_site.middleware.PrivatePages",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "mms_site.languages.LanguageOfReader",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "tenants_app.screens.lost_posts.LostPosts",
    "mms_site.middleware.SignInRequired",
    "mms_site.accounts.second_factor.SecondFactorRequired",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "mms_site.sign_in.KnownDevices",
    "mms_site.accounts.sessions.SessionsUsed",
]

ROOT_URLCONF = "mms_site.urls"
# The pages of these rows are not those of the app that has their models, so the site says where they are.
ABSOLUTE_URL_OVERRIDES = {
    "tenants_app.tenant": lambda tenant: reverse("dashboard", args=[tenant.slug]),
    "tenants_app.conferencinguser": lambda user: reverse("user", args=[user.tenant.slug, user.upn]),
    "tenants_app.bridge": lambda bridge: reverse("bridge", args=[bridge.tenant.slug, bridge.pk]),
    "tenants_app.servicenumber": lambda number: reverse(
        "number", args=[number.tenant.slug, number.bridge_id, number.pk]
    ),
    "tenants_app.deployment": lambda deployment: reverse("deployment", args=[deployment.tenant.slug, deployment.pk]),
    "tenants_app.mailboxconnection": lambda connection: reverse(
        "mailbox-connection", args=[connection.tenant.slug, connection.pk]
    ),
}
WSGI_APPLICATION = "mms_site.wsgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "mms_site.navigation.tabs",
                "mms_site.languages.languages",
                "mms_site.accounts.theme.theme",
            ],
        },
    },
]

warnings.filterwarnings("ignore", "Engine not recognized", module="environ")  # said below, in one line

# --- data ---------------------------------------------------------------------------------------------

DATABASES: dict[str, Any] = {"default": database(MMS_DATA_DIR)}
# Kept open between tasks. No connection pool: the cluster's forks would share it, and it breaks there.
DATABASES["default"]["CONN_MAX_AGE"] = 60
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": cache(MMS_DATA_DIR),
    # Counts of requests from strangers, who could crowd everything else out of the one above.
    "throttle": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "throttle",
        "OPTIONS": {"MAX_ENTRIES": 20_000},
    },
}

# --- the cluster --------------------------------------------------------------------------------------

MMS_WORKERS = read_int("MMS_WORKERS", default=2, least=1, most=256)
MMS_MACHINE_NAME = (given("MMS_MACHINE_NAME") or socket.gethostname())[:64]
"""What this machine is called among those whose background services share the database."""
MMS_BROKER_URL = broker()
"""The Redis in which wake-ups wait; empty: they wait in the database."""
MMS_TASK_SECONDS = 600
"""A wake-up task is ended by the cluster after this many seconds; it stops by itself well before."""

_queue_limit, _bulk = 1, 1  # prefetching starts the redelivery clock of tasks that nobody works on yet
Q_CLUSTER = {
    "name": "mms",
    "broker_class": "migrations_app.cluster."
    + ("redis_broker.RedisBroker" if MMS_BROKER_URL else "broker.DatabaseBroker"),
    "orm": "default",
    "workers": MMS_WORKERS,
    "queue_limit": _queue_limit,
    "bulk": _bulk,
    "timeout": MMS_TASK_SECONDS,
    "retry": MMS_TASK_SECONDS * (1 + math.ceil((_queue_limit + _bulk) / MMS_WORKERS)) + 60,
    "max_attempts": 1,
    "ack_failures": True,
    "save_limit": 0,
    "catch_up": False,
    "poll": 0.3,
    "label": "Task queue",
}

# --- mail ---------------------------------------------------------------------------------------------

_mail = mail(MMS_DATA_DIR)
EMAIL_BACKEND = _mail["EMAIL_BACKEND"]
EMAIL_HOST = _mail["EMAIL_HOST"]
EMAIL_PORT = _mail["EMAIL_PORT"]
EMAIL_USE_TLS = _mail["EMAIL_USE_TLS"]
EMAIL_USE_SSL = _mail["EMAIL_USE_SSL"]
EMAIL_HOST_USER = _mail["EMAIL_HOST_USER"]
EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_PASSWORD"]
EMAIL_FILE_PATH = _mail["EMAIL_FILE_PATH"]
EMAIL_TIMEOUT = 30
MMS_SENDER = given("MMS_SENDER")
"""Address that stands as Sender beside the organizer's From; empty: meeting-migration@<the tenant's domain>."""
if MMS_SENDER:
    read("MMS_SENDER", "an address like meetings@example.org", lambda: validate_email(MMS_SENDER))

MMS_MAIL_PER_MINUTE = read_int("MMS_MAIL_PER_MINUTE", 0, 0, 100_000)
"""How many messages the installation's mail server is given in a minute, by all workers together; 0: no limit."""
MMS_MAIL_PER_DOMAIN_PER_MINUTE = read_int("MMS_MAIL_PER_DOMAIN_PER_MINUTE", 0, 0, 100_000)
"""To how many recipients of one domain it is given messages in a minute; 0: no limit."""

# --- mailboxes ----------------------------------------------------------------------------------------

MMS_ALLOWED_MAIL_HOSTS = read_list(
    "MMS_ALLOWED_MAIL_HOSTS", "", "host names or addresses like dav.contoso.com,10.0.0.7", is_host
)
"""Mail servers that may be at private addresses, and be spoken to without TLS."""
MMS_ALLOWED_WEBHOOK_HOSTS = read_list(
    "MMS_ALLOWED_WEBHOOK_HOSTS", "", "host names or addresses like hooks.contoso.com,10.0.0.7", is_host
)
"""Servers of webhooks that may be at private addresses, and be posted to without TLS."""
MMS_ALLOWED_CHECK_HOSTS = read_list(
    "MMS_ALLOWED_CHECK_HOSTS", "", "host names or addresses like pool.contoso.local,10.0.0.7", is_host
)
"""Hosts that checks of rollouts may reach at private addresses, or on this machine."""
MMS_CHECK_COMMANDS = folder_of_programs("MMS_CHECK_COMMANDS", BASE_DIR)
"""The directory of the programs that checks and movers of rollouts may run, or none."""
MMS_MICROSOFT_ENDPOINTS = read_list(
    "MMS_MICROSOFT_ENDPOINTS",
    "",
    "two addresses, of the sign-in and of Graph, like https://login.example.org,https://graph.example.org",
    is_origin,
)
"""Where Microsoft's sign-in and Graph are for all connections, instead of in their clouds; for trials. Without TLS only
at hosts of MMS_ALLOWED_MAIL_HOSTS. Whoever answers there gets the sign-ins of all tenants."""
if len(MMS_MICROSOFT_ENDPOINTS) not in {0, 2}:
    raise exit_naming("MMS_MICROSOFT_ENDPOINTS", "is not usable: expected two addresses, of the sign-in and of Graph.")

# --- monitoring ---------------------------------------------------------------------------------------

MMS_METRICS_KEY = given("MMS_METRICS_KEY")
"""With it whoever watches the service reads /metrics; empty: there is no such address."""
if MMS_METRICS_KEY and not is_long_key(MMS_METRICS_KEY):
    raise exit_naming(
        "MMS_METRICS_KEY", "is not usable: expected at least 20 characters that a header can carry, without spaces."
    )

# --- people -------------------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "mms_site.accounts.backends.AccountBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "account_login"
MMS_SECOND_FACTOR = read_choice("MMS_SECOND_FACTOR", "optional", "required")
"""Whether everybody must sign in with a second factor; tenants can ask for one by themselves."""
ACCOUNT_ADAPTER = "mms_site.accounts.adapters.AccountAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_REAUTHENTICATION_TIMEOUT = 600
MFA_ADAPTER = "mms_site.accounts.adapters.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_TOLERANCE = 1
"""How many half minutes the clock of a telephone may be wrong."""
MFA_ALLOW_UNVERIFIED_EMAIL = True
SOCIALACCOUNT_ADAPTER = "mms_site.accounts.adapters.OpenIdAdapter"

# --- the organization's own sign-in -------------------------------------------------------------------

MMS_OIDC_ISSUER, MMS_OIDC_NAME = openid_issuer(MMS_DEVELOPMENT), ""
"""Where the organization's OpenID provider is; empty: there is none."""
if MMS_OIDC_ISSUER:
    MMS_OIDC_NAME = given("MMS_OIDC_NAME", "your organization")
MMS_OIDC_PROVIDER_ID = f"oidc-{sha256(MMS_OIDC_ISSUER.encode()).hexdigest()[:16]}"
"""Follows from the issuer: who is known to one is nobody to another."""
MMS_OIDC_GROUPS_CLAIM = given("MMS_OIDC_GROUPS_CLAIM", "groups")
MMS_OIDC_ROLES = group_roles()
"""The role in a tenant that each group gives: (group, tenant's slug, role)."""
SOCIALACCOUNT_PROVIDERS: dict[str, Any] = {
    "openid_connect": {"provider_class": "mms_site.accounts.openid.SignInProvider"}
}
if MMS_OIDC_ISSUER:
    SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"] = [
        {
            "provider_id": MMS_OIDC_PROVIDER_ID,
            "name": MMS_OIDC_NAME,
            "client_id": given("MMS_OIDC_CLIENT_ID"),
            "secret": given("MMS_OIDC_CLIENT_SECRET"),
            "settings": {"server_url": f"{MMS_OIDC_ISSUER.rstrip('/')}/.well-known/openid-configuration"},
        }
    ]
    if not given("MMS_OIDC_CLIENT_ID"):
        raise exit_naming("MMS_OIDC_CLIENT_ID", "is not set: give the name of MMS at the provider of MMS_OIDC_ISSUER.")

# --- wrong passwords ----------------------------------------------------------------------------------

MMS_TRUSTED_PROXIES = read(
    "MMS_TRUSTED_PROXIES",
    "addresses or networks like 127.0.0.1,10.0.0.0/8",
    lambda: [
        ip_network(proxy.strip(), strict=False)
        for proxy in os.environ.get("MMS_TRUSTED_PROXIES", "127.0.0.1,::1").split(",")
        if proxy.strip()
    ],
)
"""The proxies whose word about whom they forward is taken."""
AXES_HANDLER = "mms_site.sign_in.SignInTries"
AXES_CLIENT_IP_CALLABLE = "mms_site.sign_in.client_address"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"], "username", "ip_address"]
MMS_SIGN_IN_LIMITS = (8, 40, 30)
"""After how many wrong passwords each of AXES_LOCKOUT_PARAMETERS is locked. The second is so much higher that one
address cannot lock a name for others. A browser that is known for a name has the first to itself."""
AXES_FAILURE_LIMIT = MMS_SIGN_IN_LIMITS[0]
AXES_COOLOFF_TIME = 0.25  # hours
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "registration/locked_out.html"
AXES_VERBOSE = False

# --- protection ---------------------------------------------------------------------------------------

CSRF_FAILURE_VIEW = "tenants_app.screens.lost_posts.form_too_old"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
SESSION_COOKIE_HTTPONLY = True
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if not MMS_DEVELOPMENT:
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = read_bool("SECURE_SSL_REDIRECT", default=True)
    SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# Off unless asked for: a browser that was told once insists on HTTPS for that long, for all that the host serves.
SECURE_HSTS_SECONDS = read_int("SECURE_HSTS_SECONDS", default=0, least=0, most=10**9)
SECURE_HSTS_INCLUDE_SUBDOMAINS = read_bool("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = read_bool("SECURE_HSTS_PRELOAD", default=False)
if SECURE_HSTS_INCLUDE_SUBDOMAINS and not SECURE_HSTS_SECONDS:
    raise exit_naming("SECURE_HSTS_INCLUDE_SUBDOMAINS", "has no effect: set SECURE_HSTS_SECONDS too.")
if SECURE_HSTS_PRELOAD and not SECURE_HSTS_INCLUDE_SUBDOMAINS:
    raise exit_naming("SECURE_HSTS_PRELOAD", "has no effect: set SECURE_HSTS_INCLUDE_SUBDOMAINS too.")

# --- language, time, static files ---------------------------------------------------------------------

LANGUAGES = [("en", "English"), ("es", "Spanish"), ("it", "Italian")]
"""What pages, mails and commands speak."""
LANGUAGE_CODE = read_choice("LANGUAGE_CODE", *dict(LANGUAGES))
"""The language of who has chosen none, where no browser asks for one: of commands, and of mails to strangers."""
LANGUAGE_COOKIE_NAME = "language"
LOCALE_PATHS = [BASE_DIR / "mms_site" / "locale", BASE_DIR / "mms_site" / "sentences_of_django"]
"""What MMS says, in other languages; and what Django says of bad input, as MMS says it, in all of them."""
TIME_ZONE = read("TIME_ZONE", "a name like Europe/Rome", lambda: ZoneInfo(given("TIME_ZONE", "UTC")).key)
MMS_INVITATION_LANGUAGES = LANGUAGES_OF_INVITATIONS
"""The languages that invitations are written in, each with its name; others get English. From ``labels.toml``."""
USE_I18N = True
FORMAT_MODULE_PATH = "mms_site.formats"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = MMS_DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "django.contrib.staticfiles.storage.StaticFilesStorage"
            if DEBUG
            else "whitenoise.storage.CompressedManifestStaticFilesStorage"
        )
    },
}
# Files go compressed, under names that change with what is in them, so that browsers keep them for good: collectstatic
# puts them there, and `serve` does by itself. Only with DEBUG they are served as they are being edited.
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
if MMS_DEVELOPMENT:
    STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # WhiteNoise warns where it is missing, though nothing is in it
DJANGO_TABLES2_TEMPLATE = "tables/table.html"
DJANGO_TABLES2_TABLE_ATTRS = {"class": "table card-table table-vcenter cards-on-phones"}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "mms_site.logs.OneLine", "format": "{asctime} {levelname} {name}: {message}", "style": "{"}
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": given("LOG_LEVEL", "INFO").upper()},
    "loggers": {
        "django-q": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
        "httpx2": {"level": "WARNING"},  # one line for each request
        "django.server": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
    },
}
if LOGGING["root"]["level"] not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:  # type: ignore[index]
    raise exit_naming("LOG_LEVEL", "is not usable: expected DEBUG, INFO, WARNING, ERROR or CRITICAL.")
