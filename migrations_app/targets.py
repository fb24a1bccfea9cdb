"""What a run makes of the meetings of each service: they stay in it, or are made anew in another (R40)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import combinations

from migrations_app.rewriting.services import Service
from tenants_app.sentences import Sentence, english, sentence

SKYPE, TEAMS, LINK = Service.SKYPE.value, Service.TEAMS.value, Service.LINK.value
SOURCES = (SKYPE, TEAMS, LINK)
"""The services that a run tells apart; meetings of others, such as Zoom, are left alone."""
ALL = "All"
"""As a source meeting type: the meetings of all of them."""
CURRENT = "Current"
"""As a target: the meetings stay in their service."""
NO_SERVICE = "none"
"""As a target, by a move to online alone: the meetings would be made anew, and nothing can make them (R39)."""
SOURCE_TYPES = (ALL, *SOURCES)
TARGET_TYPES = (CURRENT, TEAMS, LINK)


def service_name(service: str) -> str:
    """What people call a service."""
    return Service(service).product if service in SOURCES else service


@dataclass(frozen=True, slots=True)
class Targets:
    """The target of the meetings of each service; those of a service without one are skipped as ``not-selected``."""

    pairs: tuple[tuple[str, str], ...]
    """Source and target, in the order of :data:`SOURCES`."""

    @classmethod
    def of(cls, stored: Mapping[str, str]) -> Targets:
        """Those of ``Run.targets``."""
        return cls(tuple((source, stored[source]) for source in SOURCES if source in stored))

    @classmethod
    def of_types(cls, source: str, target: str) -> Targets:
        """Those of a source and a target meeting type."""
        return cls.of(dict.fromkeys(SOURCES if source == ALL else (source,), target))

    @classmethod
    def of_move(cls, service: str) -> Targets:
        """Those of a move to online (R1): the user's meeting service, or ``NO_SERVICE``, for Skype's meetings."""
        return cls.of({SKYPE: service, TEAMS: CURRENT, LINK: CURRENT})

    @classmethod
    def of_deployments(cls, sources: Collection[str], service: str) -> Targets:
        """Those of a move to another deployment (R62): its meeting service for meetings of these services."""
        return cls.of({source: service if source in sources else CURRENT for source in SOURCES})

    @property
    def stored(self) -> dict[str, str]:
        """As ``Run.targets`` has them."""
        return dict(self.pairs)

    def target_of(self, service: str) -> str | None:
        """``Current``, a service's name, or ``NO_SERVICE``; None where the run was not started for its meetings."""
        return self.stored.get(service)

    @property
    def selects_all(self) -> bool:
        """Whether no meeting is left out. Only such a run makes a user up to date, or lets go of a number (R40)."""
        return len(self.pairs) == len(SOURCES)

    @property
    def services(self) -> frozenset[str]:
        """The services in which meetings are made anew."""
        return frozenset(target for _, target in self.pairs) - {CURRENT, NO_SERVICE}

    def joined(self, later: Targets) -> Targets:
        """Those of a pending run that a later change joins: for each source a service goes before ``Current`` (R40).

        Of two services the later one counts, because it is what the settings ask for by now.
        """
        targets = self.stored
        for source, target in later.pairs:
            if source not in targets or _rank(target) >= _rank(targets[source]):
                targets[source] = target
        return Targets.of(targets)

    @property
    def migration_type(self) -> str:
        """The name that the record of a run has for them (R44), such as ``ToSameType`` or ``SkypeForBusinessToLink``.

        Meetings of several services, but not all, are joined by And: ``SkypeForBusinessAndTeamsToLink``.
        """
        moves = [
            f"{'And'.join(sources) if len(sources) < len(SOURCES) else ALL}To{service}"
            for service, sources in self._sources().items()
            if service not in {CURRENT, NO_SERVICE}
        ]
        return "And".join(moves) or "ToSameType"

    @property
    def words(self) -> Sentence:
        """What becomes of the meetings, as the end of a sentence."""
        told: list[Sentence] = []
        sources = self._sources()
        staying = sources.pop(CURRENT, [])
        for target, some in sources.items():
            if target == NO_SERVICE:
                told.append(
                    sentence(
                        "%(meetings)s stay as they are, because no meeting service can make them anew",
                        meetings=_meetings(some),
                    )
                )
            elif some == [target]:
                told.append(sentence(english(_ELSEWHERE[target]), meetings=_meetings(some)))
            else:
                told.append(
                    sentence("%(meetings)s move to %(service)s", meetings=_meetings(some), service=service_name(target))
                )
        if staying:
            told.append(
                sentence("all others stay in their service")
                if told and self.selects_all
                else sentence("%(meetings)s stay in their service", meetings=_meetings(staying))
            )
        if not self.selects_all:
            told.append(sentence("meetings of other services are left alone"))
        first, *others = told
        for each in others[:-1]:
            first = sentence("%(first)s, %(second)s", first=first, second=each)
        return sentence("%(first)s, and %(second)s", first=first, second=others[-1]) if others else first

    def _sources(self) -> dict[str, list[str]]:
        """By target, in the order in which they are named first."""
        found: dict[str, list[str]] = {}
        for source, target in self.pairs:
            found.setdefault(target, []).append(source)
        return found


_ELSEWHERE = {
    LINK: sentence("%(meetings)s whose link does not begin with the meeting URL get a new one"),
    TEAMS: sentence("%(meetings)s of another organization get a new one"),
}
"""Which of a service's own meetings are made anew in it."""


def _rank(target: str) -> int:
    return {CURRENT: 0, NO_SERVICE: 1}.get(target, 2)


def _meetings(sources: list[str]) -> Sentence:
    if len(sources) == len(SOURCES):
        return sentence("all meetings")
    first, *others = map(service_name, sources)
    for each in others:
        first = sentence("%(first)s and %(second)s", first=first, second=each)
    return sentence("%(services)s meetings", services=first)


UNDO = "Undo"
"""What the record of a run has as its type that puts meetings back."""
ALL_CURRENT = Targets.of_types(ALL, CURRENT)
"""What every change but a move to online means, and a start by hand without types."""
MIGRATION_TYPES = (
    ALL_CURRENT.migration_type,
    *(
        Targets.of(dict.fromkeys(some, service)).migration_type
        for service in (LINK, TEAMS)
        for n in (3, 1, 2)
        for some in combinations(SOURCES, n)
    ),
    UNDO,
)
"""The names that runs have by the services there are."""
