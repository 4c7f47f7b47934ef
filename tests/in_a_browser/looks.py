"""Can everybody use this page (だれでも使えるか)? axe-core, and what axe cannot see: 400 % zoom, wider text
spacing, forced colours, whether one sees where the focus is. Each check fails with what it found.

In a test: ``looked_at(page, "board_empty")`` for every state of a page; ``for_everyone(page, "board")``
once a page. Both leave the page as it was, but for where the focus is.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.in_a_browser.pictures import kept
from tests.outside_tools import node_packages

HERE = Path(__file__).parent
REPORTS = HERE / ".made" / "looked_at"
PICTURES = HERE.parents[1] / "docs" / "screenshots"
HEAVIEST = 150_000  # bytes of a page with all its files, as they are sent

_TAGS = [
    "wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice",
]  # fmt: skip
_axe: dict[str, str] = {}


def axe() -> str:
    """Its source."""
    if "source" not in _axe:
        path = node_packages(HERE, "axe") / "node_modules" / "axe-core" / "axe.min.js"
        _axe["source"] = path.read_text("utf-8")
    return _axe["source"]


def looked_at(page: Page, name: str) -> None:
    """axe-core finds nothing on this page in this state: WCAG 2.0 to 2.2, A and AA, and what is good
    practice. ``name`` is the state's in the report (``make browser`` prints it)."""
    assert re.fullmatch(r"[a-z0-9_]+", name), name
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(axe())
    found: dict[str, Any] = page.evaluate(
        "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", _TAGS
    )
    _reported(name, found)
    told = [
        f"{one['id']} ({one['impact']}): {one['help']}\n"
        + "\n".join(
            f"    {' '.join(map(str, node['target']))}: {node['html'][:160]}\n"
            f"        {' / '.join(node['failureSummary'].split(chr(10))[1:])}"
            for node in one["nodes"][:5]
        )
        for one in found["violations"]
    ]
    assert not told, f"axe-core on {name}:\n" + "\n".join(told)


def for_everyone(page: Page, name: str) -> None:
    """``looked_at``, and everything below."""
    looked_at(page, name)
    weighs_little(page)
    fits_a_phone(page, name)
    bears_wider_spacing(page)
    shows_in_forced_colours(page, name)
    shows_where_the_focus_is(page)
    keeps_still(page)


def pictured(page: Page, name: str, *, whole: bool = False) -> None:
    """Its picture into docs/screenshots, when asked for (`make screenshots`). ``whole``: all of a page
    that is longer than the screen."""
    if os.environ.get("TSUNAGU_PICTURES") != "1":
        return
    PICTURES.mkdir(parents=True, exist_ok=True)
    png = page.screenshot(full_page=whole, animations="disabled", caret="hide", scale="css")
    (PICTURES / f"{name}.png").write_bytes(kept(page, png))


# -- what axe does not see ------------------------------------------------------------------------


def fits_a_phone(page: Page, name: str = "") -> None:
    """At 320 CSS px, which is 1280 at 400 % (WCAG 1.4.10): nothing has to be scrolled sideways, but
    for what may be, a table in a region of its own. axe-core finds nothing here either."""
    before = page.viewport_size
    page.set_viewport_size({"width": 320, "height": 640})
    try:
        _not_wider(page, "at 320 px")
        if name:
            looked_at(page, f"{name}_on_a_phone")
    finally:
        if before is not None:
            page.set_viewport_size(before)


def bears_wider_spacing(page: Page) -> None:
    """With the spacing of WCAG 1.4.12 nothing is cut off."""
    sheet = page.evaluate_handle(
        """() => {
            const sheet = new CSSStyleSheet();
            sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: .12em !important;
                word-spacing: .16em !important; } p { margin-bottom: 2em !important; }`);
            document.adoptedStyleSheets.push(sheet);
            return sheet;
        }"""
    )
    try:
        _not_wider(page, "with wider spacing")
        cut = page.evaluate(
            """() => [...document.querySelectorAll('main *, header *')].filter(one => {
                const style = getComputedStyle(one);
                return /hidden|clip/.test(style.overflowX + style.overflowY)
                    && one.clientWidth > 2 && one.checkVisibility()
                    && (one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1);
            }).map(one => one.outerHTML.slice(0, 120))"""
        )
        assert not cut, f"cut off with wider spacing: {cut}"
    finally:
        page.evaluate(
            "sheet => document.adoptedStyleSheets = document.adoptedStyleSheets.filter(s => s !== sheet)",
            sheet,
        )


def shows_in_forced_colours(page: Page, name: str = "") -> None:
    """Where people choose all colours themselves, what one can press still has an edge or is a link,
    and axe-core finds nothing."""
    page.emulate_media(forced_colors="active")
    try:
        bare = page.evaluate(
            """() => [...document.querySelectorAll('button, .button, input, select, textarea')]
                .filter(one => one.checkVisibility() && !['hidden', 'checkbox', 'radio', 'range'].includes(one.type)
                    && !one.matches('.plain') && parseFloat(getComputedStyle(one).borderTopWidth) === 0)
                .map(one => one.outerHTML.slice(0, 120))"""
        )
        assert not bare, f"no edge in forced colours: {bare}"
        if name:
            looked_at(page, f"{name}_in_forced_colours")
    finally:
        page.emulate_media(forced_colors="none")


def shows_where_the_focus_is(page: Page, most: int = 60) -> None:
    """Tab after tab: whatever has the focus has an outline of 2 px or more, is on the screen and under
    nothing that stays in place (WCAG 2.4.7, 2.4.11), and is 24 px or more (2.5.8) unless it is a link
    in a text. It never gets stuck (2.1.2)."""
    page.evaluate(
        "document.activeElement?.blur(); getSelection()?.removeAllRanges(); scrollTo(0, 0)"
    )
    seen: list[int] = []
    for _ in range(most):
        page.keyboard.press("Tab")
        now: dict[str, Any] | None = page.evaluate(
            """() => {
                const one = document.activeElement;
                if (!one || one === document.body) return null;
                const marks = window.__marks ??= new Map();
                if (!marks.has(one)) marks.set(one, marks.size);
                const style = getComputedStyle(one), box = one.getBoundingClientRect();
                const x = Math.min(Math.max(box.left + box.width / 2, 1), innerWidth - 1);
                const y = Math.min(Math.max(box.top + Math.min(box.height / 2, 40), 1), innerHeight - 1);
                const over = document.elementFromPoint(x, y);
                const label = one.labels?.[0];
                const inText = one.matches('a') && getComputedStyle(one).display === 'inline';
                return {
                    mark: marks.get(one), html: one.outerHTML.slice(0, 120),
                    outline: style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth),
                    there: box.bottom > 0 && box.top < innerHeight,
                    covered: !!over && !one.contains(over) && !over.contains(one) && !label?.contains(over),
                    small: !inText && (box.width < 24 || box.height < 24),
                };
            }"""
        )
        if now is None or now["mark"] in seen[:1]:
            break
        assert not seen or now["mark"] != seen[-1], f"the focus is stuck on {now['html']}"
        seen.append(now["mark"])
        assert now["outline"] >= 2, f"no visible focus on {now['html']}"
        assert now["there"], f"the focus is off the screen, on {now['html']}"
        assert not now["covered"], f"something covers what has the focus: {now['html']}"
        assert not now["small"], f"under 24 px: {now['html']}"
    assert seen, "nothing can be reached by keyboard"


def keeps_still(page: Page) -> None:
    """For whoever asked for less motion, nothing moves."""
    page.emulate_media(reduced_motion="reduce")
    try:
        moving = page.evaluate(
            """() => [...document.querySelectorAll('*')].filter(one => {
                const style = getComputedStyle(one);
                return style.animationName !== 'none'
                    || style.transitionDuration.split(',').some(time => parseFloat(time) > 0);
            }).map(one => one.outerHTML.slice(0, 120))"""
        )
        assert not moving, f"moves though less motion was asked for: {moving[:5]}"
    finally:
        page.emulate_media(reduced_motion="no-preference")


def weighs_little(page: Page) -> None:
    """HTML, style sheets, scripts and pictures, as they were sent."""
    parts: list[tuple[str, int]] = page.evaluate(
        """() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
            .filter(one => ['navigation', 'link', 'css', 'script', 'img', 'other'].includes(one.initiatorType))
            .map(one => [new URL(one.name).pathname, one.encodedBodySize])"""
    )
    total = sum(size for _, size in parts)
    assert total < HEAVIEST, f"{total} bytes: {sorted(parts, key=lambda part: -part[1])[:5]}"


def _not_wider(page: Page, when: str) -> None:
    width, screen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    if width <= screen:
        return
    wide = page.evaluate(
        """() => [...document.querySelectorAll('body *')]
            .filter(one => one.checkVisibility() && one.getBoundingClientRect().right > innerWidth + 1)
            .map(one => one.outerHTML.slice(0, 120)).slice(-5)"""
    )
    raise AssertionError(f"{when} the page is {width} px wide: {wide}")


def _reported(name: str, found: dict[str, Any]) -> None:
    REPORTS.mkdir(parents=True, exist_ok=True)
    line = {
        "state": name,
        "axe": found["testEngine"]["version"],
        "rules": len(found["passes"]),
        "checks": sum(len(one["nodes"]) for one in found["passes"]),
        "violations": [one["id"] for one in found["violations"]],
        "for_people": [one["id"] for one in found["incomplete"]],
    }
    (REPORTS / f"{name}.json").write_text(json.dumps(line), "utf-8")
