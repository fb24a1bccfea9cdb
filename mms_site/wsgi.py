"""The web server's entrance."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mms_site.settings")
application = get_wsgi_application()

from tenants_app.changes.mailboxes import require_secrets_key  # noqa: E402 - needs the applications

require_secrets_key()
