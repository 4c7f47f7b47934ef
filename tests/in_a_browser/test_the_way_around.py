"""Whoever sees the name of a page may open it, and it is there."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page


@pytest.mark.parametrize("agency", ["core", "hub-motofuji", "ward-office", "auditor"])
def test_every_page_that_the_header_names_opens(person: Callable[..., Page], agency: str) -> None:
    page = person(agency)
    links = page.get_by_role("banner").get_by_role("link").all()
    paths = [link.get_attribute("href") or "" for link in links]
    assert len(paths) > 3
    told = {}
    for path in paths:
        answer = page.goto(path)
        assert answer is not None
        told[path] = answer.status
        here = page.get_by_role("navigation", name="主なページ").locator("[aria-current]")
        assert path in ("/", "/account") or here.get_attribute("href") == path
    assert set(told.values()) == {200}, told
