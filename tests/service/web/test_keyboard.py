from urllib.parse import urlsplit

from tests.service.web.browser import expect, needs_chromium

pytestmark = needs_chromium


def test_keys_move_through_the_results_and_open_them(visit):
    page = visit.open("/#q=w5")
    expect(page.locator(".hit")).to_have_count(10)
    buttons, query = page.locator(".hit .open"), page.locator("#query")
    query.press("ArrowDown")
    expect(buttons.nth(0)).to_be_focused()
    for key, at in (("j", 1), ("ArrowDown", 2), ("k", 1), ("ArrowUp", 0)):
        page.keyboard.press(key)
        expect(buttons.nth(at)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".hit").first.locator(".payload")).to_be_visible()
    page.keyboard.press("k")
    expect(query).to_be_focused()
    query.press("j")
    expect(query).to_have_value("j")  # in the box it is a letter


def test_keys_focus_and_clear_the_box_and_show_help(visit):
    page = visit.open("/#q=w5")
    expect(page.locator(".hit")).to_have_count(10)
    query = page.locator("#query")
    page.locator(".hit .open").first.focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()
    expect(page.locator(".hit .open").first).to_be_focused()
    page.keyboard.press("/")
    expect(query).to_be_focused()
    expect(query).to_have_value("w5")
    page.keyboard.press("Escape")
    expect(query).to_have_value("")
    expect(page.locator(".hit")).to_have_count(0)
    assert urlsplit(page.url).fragment == ""
