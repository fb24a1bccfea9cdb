from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from migrations_app.mail.notice_texts import PLACEHOLDERS, change_notice_text, reset_notice_text
from migrations_app.models import NoticeKind
from tenants_app.management.arguments import read_text
from tenants_app.management.base import AdministratorCommand, wrong_usage


class Command(AdministratorCommand):
    help = (
        "Set what notices to organizers say in one language; only what is given changes. In both texts these stand for "
        f"what differs from organizer to organizer: {', '.join(f'{{{name}}}' for name in PLACEHOLDERS)}."
    )
    example = '--language en --subject "Your meetings on {day}"'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--language", metavar="CODE", required=True, help="of the text, such as it")
        parser.add_argument(
            "--cancelled", action="store_true", help="the notice that runs are called off, not the one before them"
        )
        parser.add_argument("--subject", metavar="TEXT", help="of the message")
        parser.add_argument("--body-file", metavar="FILE|-", help="a file with the text, or - for standard input")
        parser.add_argument("--default", action="store_true", help="go back to what MMS says by itself")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant, language = self.tenant(options), options["language"]
        kind = NoticeKind.CANCELLED if options["cancelled"] else NoticeKind.ADVANCE
        has_text = options["subject"] is not None or options["body_file"] is not None
        if options["default"] == has_text:
            raise wrong_usage(_("Give --subject, --body-file or both, or else --default."))
        if options["default"]:
            text = reset_notice_text(tenant, kind, language, self.actor)
        else:
            body = read_text(options["body_file"]) if options["body_file"] is not None else None
            text = change_notice_text(tenant, kind, language, self.actor, subject=options["subject"], body=body)
        self.stdout.write(
            _("%(slug)s: %(kind)s in %(language)s: %(subject)s")
            % {"slug": tenant.slug, "kind": kind, "language": language, "subject": text.subject}
        )
