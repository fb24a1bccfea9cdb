"""Settings of the test suite: the real ones over a data folder of its own, on SQLite or MMS_TEST_DATABASE_URL."""

import atexit
import os
import shutil
import tempfile

_data_dir = tempfile.mkdtemp(prefix="mms-tests-")
atexit.register(shutil.rmtree, _data_dir, ignore_errors=True)
for _name in (
    "DEBUG",
    "ALLOWED_HOSTS",
    "CSRF_TRUSTED_ORIGINS",
    "SECRET_KEY",
    "MMS_SECRETS_KEY",
    "EMAIL_URL",
    "CACHE_URL",
    "MMS_BROKER_URL",
    "MMS_SENDER",
    "MMS_ALLOWED_WEBHOOK_HOSTS",
    "MMS_ALLOWED_CHECK_HOSTS",
    "MMS_CHECK_COMMANDS",
    "MMS_MICROSOFT_ENDPOINTS",
    "MMS_MAIL_PER_MINUTE",
    "MMS_MAIL_PER_DOMAIN_PER_MINUTE",
    "MMS_WORKERS",
    "LANGUAGE_CODE",
):
    os.environ.pop(_name, None)
os.environ["MMS_DATA_DIR"] = _data_dir
os.environ["MMS_BASE_URL"] = "http://testserver"
os.environ["DATABASE_URL"] = os.environ.get("MMS_TEST_DATABASE_URL", "") or f"sqlite:///{_data_dir}/db.sqlite3"

from mms_site.settings import *  # noqa: E402, F403 - the environment above must be set first
from mms_site.settings import CACHES, DATABASES, MMS_DATA_DIR, STORAGES  # noqa: E402

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, because tests of concurrency open several connections, which an in-memory database does not isolate.
    DATABASES["default"]["TEST"] = {"NAME": str(MMS_DATA_DIR / "test.sqlite3")}
DATABASES["default"]["CONN_MAX_AGE"] = 0
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGGING = {"version": 1, "disable_existing_loggers": False}
CACHES["default"] = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
# Nothing is collected: files are served from where they stand, and looked for when they are asked for.
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
