"""The redirect map: old join links to where the meetings are now, as CSV and as what nginx takes (R90)."""

from __future__ import annotations

import csv
import http.client
import io
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.utils import timezone

from migrations_app.demo import invitations
from migrations_app.models import MeetingResult, OnlineMeeting, Rollout, Run, Wave
from migrations_app.rollouts import redirects
from migrations_app.rollouts.going_back import roll_back
from tenants_app.models import Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.going_back import go_all_the_way_back, move_forward
from tests.support.meetings import invite
from tests.support.rollouts import a_deployment, a_rollout, a_wave, belong_to, members
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db
OLD, NEW = "https://meet.contoso.com", "https://join.contoso.com"


@pytest.fixture
def wave(tenant: Tenant, anna: ConferencingUser, old_bridge: Bridge, new_bridge: Bridge) -> Wave:
    legacy = a_deployment(tenant, meeting_hosts=["meet.contoso.com"])
    new = a_deployment(
        tenant,
        "new",
        meeting_service="link",
        meeting_hosts=["join.contoso.com"],
        meeting_url="https://join.contoso.com",
    )
    belong_to(legacy, [anna], old_bridge)
    belong_to(new, [], new_bridge)
    wave = a_wave(a_rollout(tenant, legacy, new))
    members(wave, [ConferencingUser.objects.get(pk=anna.pk)])
    return wave


def result(wave: Wave, old: str, new: str, uid: str = "") -> MeetingResult:
    """A meeting that a run of the wave has made anew, with these links."""
    user = wave.members.get().user
    run = Run.objects.filter(user=user).first() or Run.objects.create(
        tenant=user.tenant, user=user, state="Succeeded", due_at=timezone.now(), requested_by="test"
    )
    uid = uid or f"meeting {MeetingResult.objects.count()}"
    return MeetingResult.objects.create(run=run, uid=uid, outcome="Succeeded", join_url_before=old, join_url_after=new)


def mapped(rollout: Rollout) -> dict[str, str]:
    return {redirect.old: redirect.new for redirect in redirects.redirects(rollout)}


def test_r90_each_meeting_that_was_made_anew_leads_to_where_it_is(wave: Wave, anna: ConferencingUser) -> None:
    uid, _ = invite(anna)
    move_forward(wave)

    (redirect,) = redirects.redirects(wave.rollout)

    assert (redirect.upn, redirect.uid) == (anna.upn, uid)
    assert redirect.old.startswith(f"{OLD}/")
    assert (
        redirect.new
        == OnlineMeeting.objects.get(user=anna, uid=uid, service="Link", made_under__contains="join").join_url
    )


def test_r90_occurrences_with_meetings_of_their_own_are_in_it(wave: Wave, anna: ConferencingUser) -> None:
    uid, _ = invite(anna, build=invitations.series_with_overrides)
    move_forward(wave)

    made = OnlineMeeting.objects.filter(user=anna, uid=uid, join_url__startswith=NEW)
    assert set(mapped(wave.rollout).values()) == set(made.values_list("join_url", flat=True))


def test_r90_what_was_put_back_leads_nowhere(wave: Wave, anna: ConferencingUser) -> None:
    invite(anna)
    move_forward(wave)
    assert mapped(wave.rollout)

    roll_back(wave, ACTOR)
    go_all_the_way_back(wave)

    assert mapped(wave.rollout) == {}


def test_r90_a_meeting_made_anew_twice_leads_to_where_it_is_now(wave: Wave) -> None:
    result(wave, f"{OLD}/anna/AAAAAAAA", f"{NEW}/anna/one", "uid")
    again = Run.objects.create(
        tenant=wave.rollout.tenant,
        user=wave.members.get().user,
        state="Succeeded",
        due_at=timezone.now(),
        requested_by="test",
        is_latest=False,
    )
    MeetingResult.objects.create(
        run=again,
        uid="uid",
        outcome="Succeeded",
        join_url_before=f"{NEW}/anna/one",
        join_url_after=f"{NEW}/anna/two",
    )

    assert mapped(wave.rollout) == {f"{OLD}/anna/AAAAAAAA": f"{NEW}/anna/two"}


def test_r90_as_csv_whose_cells_are_safe(wave: Wave) -> None:
    result(wave, f"{OLD}/anna/AAAAAAAA", f"{NEW}/anna/one", "=cmd()")

    rows = list(csv.DictReader(io.StringIO("".join(redirects.csv_lines(wave.rollout)))))

    assert [(row["OldJoinUrl"], row["NewJoinUrl"]) for row in rows] == [(f"{OLD}/anna/AAAAAAAA", f"{NEW}/anna/one")]
    assert rows[0]["MeetingUid"] == "'=cmd()"


@pytest.mark.parametrize(
    ("old", "key"),
    [
        (f"{OLD}/anna/K", b"meet.contoso.com/anna/K"),
        ("HTTPS://MEET.contoso.com:8443//anna///K?sl=1#x", b"meet.contoso.com/anna/K"),
        (f"{OLD}/o%27brien/a%20b", b"meet.contoso.com/o'brien/a b"),
        (f'{OLD}/a";return 200 x;#', b'meet.contoso.com/a";return 200 x;'),
        (f"{OLD}/a%0d%0aX: y", None),
        (f"{OLD}/../etc", None),
        (f"{OLD}/a/%2e%2e/b", None),
        (f"{OLD}/{'x' * 4000}", None),
        ("javascript:alert(1)", None),
        ("https://[meet.contoso.com/x", None),
    ],
)
def test_r90_keys_are_what_nginx_asks_for(old: str, key: bytes | None) -> None:
    assert redirects.key_of(old) == key


@pytest.mark.parametrize(
    ("new", "target"),
    [
        (f"{NEW}/anna/one?a=1&b=2#c", f"{NEW}/anna/one?a=1&b=2#c"),
        (f'{NEW}/"$uri";}} x\\', f"{NEW}/%22%24uri%22%3B%7D%20x%5C"),
        (f"{NEW}/é\r\nSet-Cookie: a=b", f"{NEW}/%C3%A9%0D%0ASet-Cookie:%20a=b"),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
    ],
)
def test_r90_targets_mean_nothing_to_nginx(new: str, target: str | None) -> None:
    assert redirects.target_of(new) == target


@pytest.mark.servers
def test_r90_a_real_web_server_sends_latecomers_on(wave: Wave, anna: ConferencingUser, tmp_path: Path) -> None:
    """Also where old links, which anybody may have written, are made to break out of the file."""
    invite(anna)
    move_forward(wave)
    (own,) = redirects.redirects(wave.rollout)
    hostile = [
        '/a"; } server { listen 1; } #',
        "/b\\",
        "/c$request_uri",
        "/d;e{f}",
        "/default",
        "/g~h*i",
        "/j%22k",
        "/l/../m",
        "/n%0d%0ao",
        "/é/ß",
    ]
    for number, path in enumerate(hostile):
        result(wave, f"{OLD}{path}", f'{NEW}/h{number}?$host="x"')
    result(wave, f"{OLD}/Twice", f"{NEW}/first")
    result(wave, f"{OLD}/TWICE", f"{NEW}/second")
    for number in range(300):
        result(wave, f"{OLD}/anna/{number:08}{'x' * (number % 200)}", f"{NEW}/n{number}")
    result(wave, "https://elsewhere.example/x", f"{NEW}/x")
    count = redirects.Count()
    (tmp_path / "redirects.map").write_text("".join(redirects.nginx_lines(wave.rollout, count)), encoding="utf-8")
    assert (count.left_out, count.double) == (2, 1)

    with served(tmp_path) as port:
        assert asked(port, own.old.removeprefix(OLD)) == (302, own.new)
        assert asked(port, own.old.removeprefix(OLD) + "?sl=1") == (302, own.new)
        for number in (0, 299):
            assert asked(port, f"/anna/{number:08}{'x' * (number % 200)}") == (302, f"{NEW}/n{number}")
        wanted = f"{NEW}/h{{}}?%24host=%22x%22"
        assert asked(port, "/a%22;%20%7D%20server%20%7B%20listen%201;%20%7D%20") == (302, wanted.format(0))
        assert asked(port, "/b%5C") == (302, wanted.format(1))
        assert asked(port, "/c$request_uri") == (302, wanted.format(2))
        assert asked(port, "/d;e%7Bf%7D") == (302, wanted.format(3))
        assert asked(port, "/default") == (302, wanted.format(4))
        assert asked(port, "/g~h*i") == (302, wanted.format(5))
        assert asked(port, "/j%22k") == (302, wanted.format(6))
        assert asked(port, "/%C3%A9/%C3%9F") == (302, wanted.format(9))
        assert asked(port, "/twice") == (302, f"{NEW}/second")  # the latest of several meetings
        assert asked(port, "/nobody/KNOWS") == (404, "")
        assert asked(port, "/x", host="elsewhere.example") == (404, "")


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """The map behind a real nginx on a free port of this machine."""
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    assert program, "nginx is not installed: make test-servers needs it"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"pid {folder}/nginx.pid;\nerror_log {folder}/error.log;\ndaemon off;\nmaster_process off;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}include {folder}/redirects.map;\n"
        f"server {{ listen 127.0.0.1:{port}; server_name meet.contoso.com;\n"
        "if ($mms_redirect) { return 302 $mms_redirect; }\nreturn 404; } }\n",
        encoding="utf-8",
    )
    arguments = [program, "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
    tested = subprocess.run([*arguments, "-t"], capture_output=True, text=True, timeout=60)
    assert tested.returncode == 0, tested.stderr
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _listens(port))
        yield port
    finally:
        process.terminate()
        process.wait(timeout=10)


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def asked(port: int, path: str, host: str = "meet.contoso.com") -> tuple[int, str]:
    """The status and where it leads."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, answer.getheader("Location") or ""
