"""The pictures of the guides (``make pictures``): the demo in a real browser, in the language of each guide."""

from __future__ import annotations

import argparse
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.support.installation import Installation, new_installation
from tests.support.looks import SETTLE
from tests.support.processes import ROOT
from tests.support.waiting import wait_until

LOCALES = {"en": "en-GB", "es": "es-ES", "it": "it-IT"}
WIDTH, HEIGHT = 1280, 800

PAGES = {
    "dashboard": ("/contoso/", 1100),
    "failures": ("/contoso/failures/", 700),
    "failed-user": ("/contoso/users/{failed}/", 760),
    "left": ("/contoso/left/", 620),
    "left-meeting": ("/contoso/left/{left}/", 800),
    "explain": ("/contoso/migrations/{run_of_left}/meetings/{left_result}/explain/", 1000),
    "meeting": ("/contoso/migrations/{run}/meetings/{result}/", 800),
    "undo": ("/contoso/migrations/{run}/undo/", 800),
    "user": ("/contoso/users/{user}/", 800),
    "pilot": ("/contoso/users/selected/move/?q={user}&all&to={legacy}", 800),
    "chat-plan": ("/contoso/chat/plans/{chat_plan}/", 900),
    "number": ("/contoso/bridges/{bridge}/numbers/{number}/", 620),
    "number-leaves": ("/contoso/bridges/{bridge}/numbers/{number}/release/?replacement={replacement}", 800),
}
"""Where each picture is taken, and how many pixels of the page it shows at most."""
CHAT_TO_READ = "chat-to-read"
"""A room of the pages that the demo's chat was imported into: they are opened from their folder."""

KEYS = """{
    'failed': Run.objects.filter(state='Failed', is_latest=True).order_by('user__upn').first().user.upn,
    'left': (left := LeftMeeting.objects.filter(code='pasted-block').order_by('pk').first()).pk,
    'run_of_left': str(left.run.correlation_id),
    'left_result': left.run.results.get(uid=left.uid).pk,
    'run': str((run := Run.objects.filter(state='Succeeded', is_latest=True).order_by('pk').first()).correlation_id),
    'result': run.results.filter(outcome='Succeeded').order_by('starts_at').first().pk,
    'user': run.user.upn,
    'legacy': run.tenant.bridges.get(name='Contoso Legacy').pk,
    'chat_plan': (plan := ChatPlan.objects.filter(target__kind='archive').first()).number,
    'chat_site': f'chat/{plan.tenant_id}/targets/{plan.target.folder}/site',
    'bridge': (number := run.user.bridge.numbers.filter(kind='toll', is_default=False).first()).bridge_id,
    'number': number.pk,
    'replacement': run.user.bridge.numbers.get(kind='toll', is_default=True).pk,
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=ROOT / "docs" / "screenshots")
    parser.add_argument("--language", choices=LOCALES, action="append", help="of these guides only (default: all)")
    parser.add_argument("--users", default="60")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, new_installation(Path(name)) as demo:
        demo.run("migrate", "--verbosity", "0")
        demo.run("load_demo", "--users", options.users)
        demo.run("run_migrations", "--until-idle")
        keys = demo.ask(re.sub(r"\s+", " ", KEYS))
        keys["chat_site"] = demo.data_dir / keys["chat_site"] / "index.html"
        with serving(demo) as address:
            for language in options.language or LOCALES:
                take(address, (demo.data_dir / "demo-password").read_text().strip(), language, keys, options.into)


@contextmanager
def serving(demo: Installation) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    demo.run("collectstatic", "--no-input", "--verbosity", "0")
    program = [sys.executable, "-m", "gunicorn", "mms_site.wsgi", "--bind", address, "--threads", "4"]
    with subprocess.Popen(program, cwd=ROOT, env=demo.environment, stderr=subprocess.DEVNULL) as server:
        try:
            wait_until(lambda: answers(f"http://{address}/healthz"))
            yield f"http://{address}"
        finally:
            server.terminate()


def answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url) as answer:  # noqa: S310
        return bool(answer.status == 200)
    return False


def take(address: str, password: str, language: str, keys: Mapping[str, object], into: Path) -> None:
    """Sign in as the demo's administrator, with a browser of that language, and take what its guides show."""
    folder = into / language
    folder.mkdir(parents=True, exist_ok=True)
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, locale=LOCALES[language])
        page.goto(f"{address}/accounts/login/?next=/contoso/")
        page.fill("#id_username", "demo")
        page.fill("#id_password", password)
        page.click("form:has(#id_password) button[type=submit]")
        page.wait_for_url(f"{address}/contoso/")
        for name, (path, height) in PAGES.items():
            if name in used(language):
                page.goto(address + path.format(**keys))
                shoot(page, folder / f"{name}.png", height)
        if CHAT_TO_READ in used(language):
            page.goto(keys["chat_site"].as_uri())  # type: ignore[attr-defined]
            page.get_by_role("link", name="Price requests").click()
            shoot(page, folder / f"{CHAT_TO_READ}.png", 900)
        browser.close()


def used(language: str) -> set[str]:
    """The pictures that pages of that language show."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    return {
        name
        for page in pages
        for name in re.findall(rf"screenshots/{language}/([\w-]+)\.png", page.read_text(encoding="utf-8"))
    }


def shoot(page: Page, file: Path, height: int) -> None:
    page.evaluate(SETTLE)
    whole = int(page.evaluate("document.documentElement.scrollHeight"))
    page.screenshot(path=file, full_page=True, clip={"x": 0, "y": 0, "width": WIDTH, "height": min(height, whole)})


if __name__ == "__main__":
    main()
