"""The browser's part of the test of the page: it ends with an error when anything is not as it should be.

The environment says where the page is (KEYGUARD_PAGE), a token that may look (KEYGUARD_TOKEN), the browser (KEYGUARD_CHROMIUM),
a folder for screenshots (KEYGUARD_SHOTS), and the odd names that records have (KEYGUARD_ODD_USER, KEYGUARD_ODD_NAME).
"""

import os

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

PAGE, TOKEN, SHOTS = (os.environ[name] for name in ("KEYGUARD_PAGE", "KEYGUARD_TOKEN", "KEYGUARD_SHOTS"))
ODD_USER, ODD_NAME = os.environ["KEYGUARD_ODD_USER"], os.environ["KEYGUARD_ODD_NAME"]
LOOKS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1200, "height": 800}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1200, "height": 800}},
    "narrow": {"color_scheme": "light", "viewport": {"width": 320, "height": 720}},
}
# What WCAG 2.2 AA asks for, and what axe holds to be good practice.
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def expect(is_so, what):
    if not is_so:
        raise SystemExit(f"page.py: {what}")


def opened(browser, said, **look):
    """A page of a context of its own, of which every message is kept."""
    page = browser.new_context(**look).new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
    page.on("request", lambda request: said.append(request.url) if not request.url.startswith((PAGE, "data:")) else None)
    page.add_init_script("addEventListener('securitypolicyviolation', it => console.log('CSP: ' + it.violatedDirective))")
    return page


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def sign_in(page):
    page.goto(PAGE)
    page.fill("#token", TOKEN)
    press(page, "Sign in")
    page.wait_for_selector(".timeline")


def accessible(page, what):
    results = Axe().run(page, options=RULES)
    expect(results.violations_count == 0, f"{what}: {results.generate_report()}")


def each_look(browser, said):
    for name, look in LOOKS.items():
        page = opened(browser, said, **look)
        page.goto(PAGE)
        accessible(page, f"{name}: sign-in")
        page.screenshot(path=f"{SHOTS}/{name}-sign-in.png")
        sign_in(page)
        first = page.get_attribute(".timeline .decision a", "href")
        for place, path in {"timeline": "/", "filters": "/?user=alice", "decision": first, "counts": "/counts", "missing": "/x"}.items():
            page.goto(PAGE + path)
            accessible(page, f"{name}: {place}")
            width = page.evaluate("document.documentElement.scrollWidth")
            expect(width <= look["viewport"]["width"], f"{name}: {place} is {width} pixels wide")
            page.screenshot(path=f"{SHOTS}/{name}-{place}.png")


def filtered(page, change):
    """The rows that are left when something of the form is changed."""
    page.goto(PAGE)
    page.click("summary")
    change()
    press(page, "Filter")
    return page.locator(".timeline > li").all_inner_texts()


def filters(page):
    for label, value in (
        ("#user", "alice"),
        ("#object", "argocd-cm"),
        ("#tool", "kubectl-patch"),
        ("#namespace", os.environ["KEYGUARD_NAMESPACE"]),
    ):
        rows = filtered(page, lambda: page.fill(label, value))
        expect(page.input_value(label) == value, f"{label} does not stay")
        expect(rows and all(value in row for row in rows), f"{label}: {rows}")
    for label, value, wanted in (
        ("#decision", "deny", "Refused"),
        ("#rule", "accounts/label-missing", "accounts/label-missing"),
        ("#dry-run", "no", "in "),
    ):
        rows = filtered(page, lambda: page.select_option(label, value))
        expect(rows and all(wanted in row for row in rows), f"{label}: {rows}")
    expect(filtered(page, lambda: page.fill("#since", "1h")), "what is new is not found")
    for label, value, said in (
        ("#dry-run", "yes", "No decision is like this"),
        ("#until", "365d", "No decision is like this"),
        ("#since", "yesterday", "such as 7d"),
    ):
        change = page.select_option if label == "#dry-run" else page.fill
        expect(not filtered(page, lambda: change(label, value)), f"{label}: something is found")
        expect(said in page.inner_text("main"), f"{label}: {page.inner_text('main')}")


def paging(page):
    seen, pages = set(), 0
    page.goto(PAGE)
    while True:
        links = [link.get_attribute("href") for link in page.query_selector_all(".timeline .decision a")]
        expect(links and not seen & set(links), "a decision comes twice, or none")
        seen.update(links)
        pages += 1
        if not page.query_selector("a[rel=next]"):
            break
        page.click("a[rel=next]")
    expect(pages > 1, "there is one page only")
    page.get_by_role("link", name="Newest", exact=True).click()
    expect("after" not in page.url, "the newest is not the first page")
    return len(seen)


def attempts(page):
    page.goto(PAGE + "/?user=alice")
    often = page.inner_text(".attempts a")
    page.click(".attempts a")
    count = len(page.query_selector_all(".timeline > li"))
    expect(often == f"{count} times" and count > 1, f"{often}, and there are {count}")


def export(page):
    for link, head in (("CSV", '"time","decision"'), ("JSON lines", '{"id":')):
        page.goto(PAGE + "/?decision=deny")
        with page.expect_download() as download:
            page.get_by_role("link", name=link, exact=True).click()
        with open(download.value.path(), encoding="utf-8") as file:
            text = file.read()
        expect(text.startswith(head) and "accounts/api-key-removed" in text, f"{link}: {text[:200]}")


def odd_names(page):
    page.goto(PAGE)
    page.click("summary")
    page.fill("#user", ODD_USER)
    press(page, "Filter")
    text = page.inner_text(".timeline")
    expect("<script>" in text and '"><img' in text, f"the user is not shown as text: {text}")
    expect("\u202e" not in page.inner_html(".timeline"), "a mark of the direction of writing stays")
    page.click(".timeline .decision a")
    expect("\\u{202e}" in page.inner_text("dl"), "a mark of the direction of writing is not told")
    expect(ODD_NAME.replace("\u202e", "\\u{202e}") in page.inner_text("h1"), f"another title: {page.inner_text('h1')}")


def keyboard(page):
    page.goto(PAGE)
    page.keyboard.press("Tab")
    expect(page.evaluate("document.activeElement.className") == "skip", "Tab does not begin with the way to the content")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.evaluate("document.querySelector('main').contains(document.activeElement)"), "the content is not reached")


def zone(page):
    page.goto(PAGE)
    page.fill("#zone", "Asia/Kathmandu")
    press(page, "Use it")
    expect(page.input_value("#zone") == "Asia/Kathmandu", "the time zone does not stay")
    page.fill("#zone", "<b>")
    press(page, "Use it")
    expect("no such time zone" in page.inner_text("main"), "another zone is taken")
    page.fill("#zone", "UTC")
    press(page, "Use it")
    expect(page.locator(".timeline").count() == 1, "after a wrong zone nothing leads back")


def sessions(browser, said):
    page = opened(browser, said)
    page.goto(PAGE)
    page.fill("#token", "none")
    press(page, "Sign in")
    expect("no token of a ServiceAccount" in page.inner_text("[role=alert]"), "a wrong token is taken")
    page.fill("#token", TOKEN)
    press(page, "Sign in")
    page.wait_for_selector(".timeline")
    cookie = [it for it in page.context.cookies() if "session" in it["name"]][0]
    expect(cookie["httpOnly"] and cookie["secure"] and cookie["sameSite"] == "Strict", cookie)
    press(page, "Sign out")
    page.goto(PAGE)
    expect("Sign in" in page.inner_text("h1"), "somebody is still signed in")
    page.context.add_cookies([cookie])
    page.goto(PAGE)
    expect("Sign in" in page.inner_text("h1"), "a session that was ended goes on")


def main():
    said = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["KEYGUARD_CHROMIUM"], args=["--no-sandbox"])
        each_look(browser, said)
        page = opened(browser, said, **LOOKS["light"])
        sign_in(page)
        filters(page)
        count = paging(page)
        attempts(page)
        export(page)
        odd_names(page)
        keyboard(page)
        zone(page)
        sessions(browser, said)
        browser.close()
    # A refused sign-in, and a page that is not there, are told by the browser itself.
    expected = ("status of 400", "status of 401", "status of 404")
    said = [text for text in said if not any(it in text for it in expected)]
    expect(not said, f"the browser says {said}")
    print(f"Chromium {browser.version}: {count} rows, {len(LOOKS)} looks, no message")


main()
