"""The report in headless Chromium: it draws, it asks for nothing, and its numbers are in the page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from reports.commands import build
from reports.publish import current_snapshot, open_snapshot

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--v=0", "--virtual-time-budget=20000",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
# The browser itself asks for updates and the time; those requests have no page as their initiator.
ASKED_BY_A_PAGE = re.compile(r'"initiator":"(?!not an origin").*?"url":"(https?://[^"]+)"')

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: install Debian's package `chromium`"),
]


def load(page: Path, folder: Path) -> tuple[str, str, list[str]]:
    """Return the DOM after loading a file, the log of the browser, and the addresses that it asked for."""
    netlog = folder / "netlog.json"
    command = [
        CHROMIUM,
        *FLAGS,
        f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={netlog}",
        "--dump-dom",
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    asked = sorted(set(ASKED_BY_A_PAGE.findall(netlog.read_text(encoding="utf-8"))))
    return done.stdout, done.stderr, asked


@pytest.fixture(scope="module")
def loaded(studied_workspace, tmp_path_factory):
    return load(build(studied_workspace), tmp_path_factory.mktemp("chromium"))


def test_all_charts_are_drawn(loaded):
    dom, log, _ = loaded
    assert re.search(r'<body[^>]*data-ready="true"', dom), log[-2000:]
    specs = json.loads(re.search(r'id="chart-specs">(.*?)</script>', dom, re.S)[1])
    assert len(specs) >= 5
    for name in specs:
        drawn = re.search(rf'<div class="chart[^"]*" id="{name}"[^>]*>(.*?)</svg>', dom, re.S)
        assert drawn is not None, name
        assert "aria-label=" in drawn[1], name


def test_no_error_on_the_console(loaded):
    _, log, _ = loaded
    assert [line for line in log.splitlines() if "CONSOLE" in line] == []


def test_no_external_request(loaded):
    dom, _, asked = loaded
    assert asked == []
    dom = re.sub(r"(<script(?![^>]*src=)[^>]*>).*?</script>", r"\1</script>", dom, flags=re.S)
    assert re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(?!data:)[^"]+"', dom) == []


def test_a_page_that_does_ask_is_noticed(tmp_path):
    page = tmp_path / "asks.html"
    page.write_text('<body><img src="http://127.0.0.1:9/x.png"><script>console.error("bad")</script></body>')
    _, log, asked = load(page, tmp_path)
    assert asked == ["http://127.0.0.1:9/x.png"]
    assert any("CONSOLE" in line and "bad" in line for line in log.splitlines())


def test_numbers_are_in_the_page(loaded, studied_workspace):
    dom, _, _ = loaded
    with open_snapshot(current_snapshot(studied_workspace)) as con:
        kept = con.sql("SELECT source, documents FROM funnel WHERE outcome = 'kept'").fetchall()
        records = con.sql("SELECT sum(records)::BIGINT FROM accounts").fetchall()[0][0]
    assert f'<div class="value">{records:,}</div><div class="label">records read</div>' in dom
    for source, documents in kept:
        assert f'aria-label="documents: {documents}; source: {source}; outcome: kept;' in dom
