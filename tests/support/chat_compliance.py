"""An archive as files of the compliance service (R105), and the hostile kinds of such files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

from migrations_app.chat.archive.reading import open_archive
from migrations_app.chat.archive.records import Message, MessageKind, Principal
from migrations_app.chat.sources.ticks import UNIX_EPOCH

HEAD = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<Conversations xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xmlns:xsd="http://www.w3.org/2001/XMLSchema">\n'
)
FOOT = "</Conversations>\n"


def sent(
    type_: str,
    content: str = "",
    *,
    id_: int = 0,
    ticks: int = 633482073409535482,
    sender: Mapping[str, str] | None = None,
    name: str = "Message",
) -> str:
    """A message, or with another name a ``FirstMessage``."""
    who = sender or {"UserName": "Ann Lee", "id": "10", "email": "ann@contoso.com", "internal": "true"} | {
        "uri": "sip:ann@contoso.com"
    }
    since = (ticks - UNIX_EPOCH) // 10_000
    return (
        f"<{name} type={_quoted(type_)} content={_quoted(content)} id={_quoted(str(id_))}>"
        f"<Sender {' '.join(f'{key}={_quoted(value)}' for key, value in who.items())} />"
        f'<DateTimeUTC since1970="{since}" string="" long="{ticks}" /></{name}>\n'
    )


def conversation(uri: str, messages: Iterable[str], *, first: str = "", name: str | None = None) -> str:
    shown = uri if name is None else name
    return (
        f"<Conversation><Channel uri={_quoted(uri)} name={_quoted(shown)} islogged='' />\n{first}<Messages>\n"
        f"{''.join(messages)}</Messages>\n<StartTimeUTC since1970='0' /></Conversation>\n"
    )


def write(path: Path, *conversations: str) -> Path:
    path.write_text(f"{HEAD}{''.join(conversations)}{FOOT}", encoding="utf-8")
    return path


def uri_of(room: str) -> str:
    return f"ma-chan://contoso.com/{room}"


def write_compliance(archive: Path, folder: Path, *, files: int = 3) -> Path:
    """What the service would have written while this was said: the messages by time in so many files, each of which
    begins with the last message of the one before. Alerts are ordinary messages there; RTF is not there, nor is what
    XML cannot have."""
    folder.mkdir(parents=True, exist_ok=True)
    parts: list[list[str]] = [[] for _ in range(files)]
    with open_archive(archive) as opened:
        people = {each.id: each for each in opened.principals()}
        for room in opened.rooms():
            messages = [each for each in opened.messages(room.id) if can_be_told(each)]
            for number, piece in enumerate(_pieces(messages, files)):
                said = [_said(each, people[each.author]) for each in piece]
                if said:
                    first = said[0].replace("<Message ", "<FirstMessage ").replace("</Message>", "</FirstMessage>")
                    around = [sent("JOIN"), *said, sent("PART")]
                    parts[number].append(conversation(uri_of(room.id), around, first=first, name=room.name))
    for number, part in enumerate(parts):
        write(folder / f"compliance-{number}.xml", *part)
    return folder


def can_be_told(message: Message) -> bool:
    return "\x07" not in message.text


def _pieces(messages: Sequence[Message], count: int) -> list[Sequence[Message]]:
    size = -(-len(messages) // count)
    return [messages[max(0, at * size - 1) : (at + 1) * size] for at in range(count)]


def _said(message: Message, person: Principal) -> str:
    who = {"UserName": person.name, "id": person.id, "email": person.email, "uri": person.sip or person.id}
    who["internal"] = "false" if person.is_federated else "true"
    kind = "FILEUPLOAD" if message.kind is MessageKind.FILE else "CHAT"
    content = message.file if kind == "FILEUPLOAD" else message.text
    id_ = 0 if kind == "FILEUPLOAD" else message.n
    return sent(kind, content, id_=id_, ticks=message.ticks or 0, sender=who)


def _quoted(value: str) -> str:
    """As .NET writes attributes: lines and what XML cannot have as references."""
    return quoteattr(value, {"\n": "&#xA;", "\r": "&#xD;", "\t": "&#x9;"})
