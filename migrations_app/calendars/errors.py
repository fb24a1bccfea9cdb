"""Why a calendar object cannot be used."""


class UnreadableCalendar(ValueError):
    """The object is not a calendar that can be read; the message is one sentence for an administrator.

    Waiting does not cure it: the object stays as it is until somebody mends it.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class NoMeeting(UnreadableCalendar):
    """The object is a calendar without any event: calendar servers keep to-dos and free/busy times in such files."""
