"""The documentation says what is there: pages written from the code are current, and what the others name exists."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from django.core.management import call_command, get_commands, load_command_class
from django.core.management.base import CommandParser

from migrations_app.cures import place_of
from migrations_app.failures import ALERTS, CHAT, FAILED, SKIPPED, UNSENT
from migrations_app.management.documentation import WRITTEN

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
HISTORY = "CHANGELOG.md"
"""It tells of files and commands under the names that they had then, so only its links are followed."""
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "tests").rglob("*.md")]
)
TODAY = [page for page in PAGES if page != HISTORY]


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@cache
def blocks(page: str) -> list[str]:
    """What stands between fences of three backquotes."""
    return re.findall(r"^```\w*\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)


@cache
def words(page: str) -> list[str]:
    """What stands between backquotes in running text."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```\w*\n.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE))


# --- pages that are written from the code -------------------------------------------------------------


def test_the_pages_written_from_the_code_are_current(tmp_path: Path) -> None:
    call_command("write_documentation", output=tmp_path)
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.md")}
    there = {path.relative_to(DOCS).as_posix() for name in WRITTEN for path in [DOCS / name, *(DOCS / name).glob("*")]}

    assert there - written == {name for name in WRITTEN if (DOCS / name).is_dir()}
    stale = [
        name for name in written if not (DOCS / name).is_file() or text_of(f"docs/{name}") != text_in(tmp_path, name)
    ]
    assert stale == [], "run make docs"


def text_in(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8")


def test_each_command_setting_and_code_has_a_page() -> None:
    """By their own lists, not by the one that writes the pages."""
    commands = {path.stem for app in ("migrations_app", "tenants_app") for path in (ROOT / app).glob(COMMANDS)}
    assert {path.stem for path in (DOCS / "commands").iterdir()} == commands - {"__init__"}
    assert {path.stem for path in (DOCS / "errors").iterdir()} == (SKIPPED | FAILED | UNSENT | ALERTS | CHAT).keys()
    settings = set(re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
    assert {path.stem for path in (DOCS / "settings").iterdir()} == settings


COMMANDS = "management/commands/*.py"


def test_every_setting_that_is_read_stands_among_the_settings() -> None:
    source = "".join((ROOT / "mms_site" / file).read_text("utf-8") for file in ("settings.py", "environment.py"))
    read = set(re.findall(r"\b(?:given|read_\w+|read)\(\s*\"([A-Z_]+)\"", source))

    assert {"DEBUG", "MMS_WORKERS"} <= read
    assert read - {path.stem for path in (DOCS / "settings").iterdir()} == set()


def test_r31_the_page_of_codes_has_all_that_the_catalogue_says() -> None:
    page = text_of("docs/errors.md")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:4] == "| [`"]

    assert rows == [
        *([link(code), entry.what, entry.do or "–", where(code)] for code, entry in SKIPPED.items()),
        *(
            [link(code), entry.what, entry.do or "–", where(code), "yes" if entry.cures_by_waiting else "no"]
            for code, entry in (FAILED | UNSENT | ALERTS | CHAT).items()
        ),
    ]


def link(code: str) -> str:
    return f"[`{code}`](errors/{code}.md)"


def where(code: str) -> str:
    place = place_of(code)
    return place.value if place else "–"


# --- links, files and names ---------------------------------------------------------------------------


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    """Pictures too."""
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
            if re.match(r"https?:", target):
                continue
            name, _, heading = target.partition("#")
            file = ((ROOT / page).parent / name).resolve() if name else ROOT / page
            if not file.exists() or (heading and heading not in headings(file)):
                broken.append((page, target))

    assert broken == []


def test_every_picture_is_on_a_page() -> None:
    shown = {
        ((ROOT / page).parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"!\[[^]]*\]\(([^)\s]+)\)", text_of(page))
    }

    assert set((DOCS / "screenshots").rglob("*.png")) - shown == set()


def test_every_guide_can_be_reached_from_the_beginning() -> None:
    """Who follows links from the first page of docs/ comes to each."""
    found, ahead = set[Path](), [DOCS / "index.md"]
    while ahead:
        page = ahead.pop()
        found.add(page)
        targets = (
            page.parent / name for name in re.findall(r"\]\(([^)\s#]+\.md)(?:#[^)]*)?\)", page.read_text("utf-8"))
        )
        ahead += {target.resolve() for target in targets if not re.match(r"https?:", str(target))} - found

    assert set(DOCS.rglob("*.md")) - found - set((DOCS / "adr").iterdir()) == set()


NAMES = {
    "Contoso",
    "Contoso Legacy",
    "Contoso Cloud",
    "Open the bridge Contoso Branch",
    "Fabrikam",
    "Seattle",
    "London",
}
"""What guides set in italics that no page has of its own: the demo's."""


def test_guides_call_buttons_and_pages_by_what_they_say() -> None:
    """Whatever is set in italics stands so in a template or in the code, with numbers in place of some names."""
    sources = [*(ROOT / "templates").rglob("*.html"), *(path for app in APPS for path in (ROOT / app).rglob("*.py"))]
    said = re.sub(r"\s+", " ", "\n".join(path.read_text("utf-8") for path in sources))
    unknown = []
    for page in (DOCS / "guide").glob("*.md"):
        for label in re.findall(r"(?<![*\w])\*([^*\n]+)\*(?!\*)", page.read_text(encoding="utf-8")):
            shape = re.sub(r"\d+", r"(?:{{[^}]+}}|%\\(\\w+\\)s|{\\w+})", re.escape(label).replace(r"\ ", " "))
            if label not in NAMES and not re.search(rf'[">] ?{shape}[<"]|[}}>] {shape} ?[{{<]', said):
                unknown.append((page.name, label))

    assert unknown == []


APPS = ("migrations_app", "tenants_app", "mms_site")


@cache
def headings(file: Path) -> set[str]:
    """The headings of a page as links name them."""
    titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@cache
def places() -> frozenset[str]:
    """Every file and folder of the project below its root, by each end of its path: the whole of it, or the last names
    alone, as people shorten it. Folders end in a slash.
    """
    tops = ["docs", "samples", "migrations_app", "mms_site", "static", "templates", "tenants_app", "tests", ".ci"]
    found = [path for top in tops for path in [ROOT / top, *(ROOT / top).rglob("*")] if "__pycache__" not in path.parts]
    found += [path for path in ROOT.iterdir() if path.is_file()]
    ends = set()
    for path in found:
        parts = path.relative_to(ROOT).parts
        ends.update("/".join(parts[start:]) + "/" * path.is_dir() for start in range(len(parts)))
    return frozenset(ends)


FILE = re.compile(r"[\w.-]+(?:/[\w.-]+)*\.(?:py|toml|md|html|css|js|txt)")


def test_every_file_and_folder_named_exists() -> None:
    named = {
        word.partition(": ")[0]
        for page in TODAY
        for word in words(page)
        if FILE.fullmatch(word.partition(": ")[0]) or re.fullmatch(r"(?!var/)[\w.-]+(?:/[\w.-]+)*/", word)
    }

    assert named - places() == set()


def test_every_function_and_class_named_stands_in_its_file() -> None:
    missing = []
    for word in {word for page in TODAY for word in words(page)}:
        file, colon, names = word.partition(": ")
        if colon and FILE.fullmatch(file) and file.endswith(".py"):
            there = [
                path
                for app in ("migrations_app", "tenants_app", "mms_site", "tests")
                for path in (ROOT / app).rglob("*.py")
            ]
            inside = set().union(*(defined(path) for path in there if f"/{path.as_posix()}".endswith(f"/{file}")))
            missing += [f"{file}: {name}" for name in re.split(r", ", names) if name.removesuffix("()") not in inside]

    assert missing == []


@cache
def defined(path: Path) -> frozenset[str]:
    """The names that a module defines, and those that its classes define as Class.name."""

    def names(body: list[ast.stmt], before: str) -> Iterator[str]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield before + node.name
            if isinstance(node, ast.ClassDef):
                yield from names(node.body, f"{before}{node.name}.")
            if isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                yield from (before + target.id for target in targets if isinstance(target, ast.Name))

    return frozenset(names(ast.parse(path.read_text(encoding="utf-8")).body, ""))


MODULE = re.compile(r"\b(?:migrations_app|tenants_app|mms_site)(?:\.\w+)+")


def test_every_module_and_name_that_pages_and_docstrings_name_in_full_exists() -> None:
    named = {name for page in TODAY for word in words(page) if (name := word) and MODULE.fullmatch(name)}
    for app in ("migrations_app", "tenants_app", "mms_site", "tests"):
        for path in (ROOT / app).rglob("*.py"):
            for docstring in docstrings(path):
                named.update(MODULE.findall(docstring))

    assert {name for name in named if not resolves(name)} == set()


def docstrings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for child in (
            getattr(node, "body", None) or [] if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) else []
        ):
            if (
                isinstance(child, ast.Expr)
                and isinstance(child.value, ast.Constant)
                and isinstance(child.value.value, str)
            ):
                yield child.value.value


def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: object = import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


COMMON = {"admin", "migrations", "templatetags"}
"""Folders that any Django app has, so that nobody has to be told what they are for."""


@pytest.mark.parametrize("app", ["migrations_app", "tenants_app"])
def test_every_room_of_the_house_stands_in_the_architecture(app: str) -> None:
    rooms = {path.parent.name + "/" for path in (ROOT / app).glob("*/__init__.py")} - {f"{name}/" for name in COMMON}
    rows = " ".join(line for line in text_of("docs/architecture.md").splitlines() if line.startswith("|"))

    assert rooms - set(re.findall(r"`([^`]+)`", rows)) == set()


# --- commands -----------------------------------------------------------------------------------------


@cache
def parser_of(name: str) -> CommandParser:
    app = get_commands()[name]
    command = load_command_class(app, name) if isinstance(app, str) else app
    return command.create_parser("manage.py", name)


def test_every_command_line_is_one_that_the_command_takes() -> None:
    lines = [line for page in TODAY for block in blocks(page) for line in block.splitlines()]
    for line in lines:
        for called in re.findall(r"\bmanage\.py (\w+(?:(?! && | #|&&).)*)", line):
            name, *arguments = shlex.split(called)
            assert name in get_commands(), called
            parser_of(name).parse_args(arguments)  # raises CommandError for what it does not take


def test_every_command_and_option_named_in_the_text_exists() -> None:
    unknown = []
    own = {name for name, app in get_commands().items() if app in {"migrations_app", "tenants_app"}}
    for word in {word for page in TODAY for word in words(page)}:
        name, *arguments = word.removeprefix("python ").removeprefix("manage.py ").split()
        is_called = "manage.py " in word or (arguments and re.fullmatch(r"[a-z]+(_[a-z]+)+", name))
        if is_called and name not in get_commands():
            unknown.append(word)
        elif name in own:
            takes = parser_of(name)._option_string_actions
            unknown += [f"{name} {option}" for option in arguments if option[:2] == "--" and option not in takes]

    assert unknown == []


def test_every_target_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    texts = [text for page in TODAY for text in [*words(page), *blocks(page)]]
    named = {target for text in texts for target in re.findall(r"(?m)^make ([a-z-]+)", text)}

    assert named <= targets
