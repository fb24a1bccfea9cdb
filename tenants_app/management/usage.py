"""Wrong usage of a command, told in one sentence; argparse prints ten lines of options before its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

_SENTENCES = (
    (r"the following arguments are required: (.+)", gettext_noop("Give {0}.")),
    (r"one of the arguments (.+) is required", gettext_noop("Give one of {0}.")),
    (r"argument (.+): not allowed with argument (.+)", gettext_noop("{0} cannot be given together with {1}.")),
    (
        r"argument (.+): invalid choice: (.+) \(choose from (.+)\)",
        gettext_noop("{1} is not possible for {0}: choose from {2}."),
    ),
    (r"argument (.+): expected (?:one|at least one) arguments?", gettext_noop("{0} needs a value after it.")),
    (r"argument (.+): expected (\d+) arguments", gettext_noop("{0} needs {1} values after it.")),
    (r"argument (.+): ignored explicit argument (.+)", gettext_noop("{0} takes no value, but is given {1}.")),
    (r"argument (.+): invalid int value: (.+)", gettext_noop("{1} is not a whole number: give one for {0}.")),
    (r"argument (.+): invalid \S+ value: (.+)", gettext_noop("{1} is not usable for {0}.")),
    (r"ambiguous option: (.+) could match (.+)", gettext_noop("{0} may mean several options: write one of {1}.")),
    (r"argument (--?[^:]+): (.+)", "{0}: {1}"),
    (r"argument ([^:]+): (.+)", "{0}: {1}"),
)
"""What ``argparse`` says of wrong usage, and how MMS does."""


def usage_sentence(message: str, options: Sequence[str]) -> str:
    """The sentence for an administrator; ``options`` are those that the command takes."""
    unknown = re.fullmatch(r"unrecognized arguments: (.+)", message, re.DOTALL)
    if unknown:
        return _unknown(unknown[1].split(" "), options)
    for pattern, sentence in _SENTENCES:
        found = re.fullmatch(pattern, message, re.DOTALL)
        if found:
            return _(sentence).format(*found.groups())
    return f"{message[:1].upper()}{message[1:]}"


def _unknown(arguments: Sequence[str], options: Sequence[str]) -> str:
    option = next((each.partition("=")[0] for each in arguments if each.startswith("-")), "")
    if not option:
        return _("%(argument)s is one argument too many.") % {"argument": repr(arguments[0])}
    alike = get_close_matches(option, options, n=1)
    if alike:
        return _("There is no option %(option)s: did you mean %(alike)s?") % {"option": option, "alike": alike[0]}
    return _("There is no option %(option)s.") % {"option": option}
