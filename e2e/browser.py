"""A real Chromium, and what a person does in it. Every page is listened to: script errors, refused resources and failed requests
end the test."""
import json
import os
import re
import shutil
import time
import weakref
from pathlib import Path

import axe_playwright_python
from playwright.sync_api import expect

import postern

# The same engine without a window's own parts takes a quarter less CPU.
CHROMIUM = os.environ.get("POSTERN_CHROMIUM") or shutil.which("chromium-headless-shell") or "/usr/bin/chromium"
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# Those of them that look at colours: nothing else hangs on the scheme of a page.
OF_COLOURS = ["color-contrast", "link-in-text-block"]
# Those that look at what is there to be seen and reached: what stands on a small screen differs.
OF_SIZE = ["target-size", "scrollable-region-focusable", "link-name", "button-name", "label", "heading-order", "aria-hidden-focus"]
# Rows of tables that are built as two others before them, in a table dressed alike: axe finds in them what it finds in those, and takes as long for each.
REPEATED = """(() => {
    const varies = /^(aria-(label|labelledby|describedby|controls)|data-.*|datetime|for|href|id|name|title|value)$/;
    const shape = (node) => node.nodeType === Node.TEXT_NODE ? (node.data.trim() ? "text" : "")
        : node.nodeType !== Node.ELEMENT_NODE ? ""
        : [node.tagName, ...[...node.attributes].map((one) => one.name + "=" + (varies.test(one.name) ? !!one.value.trim() : one.value)),
           "(", ...[...node.childNodes].map(shape), ")"].join(" ");
    const place = (node) => node ? place(node.parentElement) + ">" + node.tagName + "." + node.className : "";
    const times = new Map();
    return [...document.querySelectorAll("tbody > tr")].filter((row) => {
        const key = place(row.parentElement) + shape(row) + [...row.querySelectorAll("input")].map((one) => one.checked);
        times.set(key, (times.get(key) || 0) + 1);
        return times.get(key) > 2;
    });
})()"""
SHOTS = postern.ROOT / "docs/screenshots"
DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}

# For machines that are slow; nothing that is right waits for it.
expect.set_options(timeout=20_000)

# Whether pages are looked at with axe; said for each test.
examines = True


# Those that are open.
windows = weakref.WeakSet()


class Window:
    """One browser window with a cookie jar of its own."""

    def __init__(self, browser, server, viewport=DESK, scheme="light", script=True, **more):
        self.server = server
        self.scheme = scheme
        self.script = script
        self.context = browser.new_context(base_url=server.url, viewport=viewport, color_scheme=scheme,
                                           java_script_enabled=script, reduced_motion="reduce", locale="en-GB",
                                           timezone_id="Europe/Berlin", **more)
        self.context.set_default_timeout(30_000)
        self.page = self.context.new_page()
        self.troubles = []
        self.unanswered = {}
        windows.add(self)
        self.page.on("pageerror", lambda error: self.troubles.append(f"script error: {error}"))
        self.page.on("console", self.listen)
        self.page.on("requestfailed", self.failed)
        self.page.on("response", self.answered)
        self.page.on("request", self.requested)
        self.page.on("request", lambda request: self.unanswered.update({request: time.monotonic()}))
        for end in ("requestfinished", "requestfailed"):
            self.page.on(end, lambda request: self.unanswered.pop(request, None))

    def listen(self, message):
        # A form that is answered 4xx is a page like another; Chromium notes it as an error.
        document = message.text.startswith("Failed to load resource") and re.search(r"status of 4\d\d", message.text) \
            and "/assets/" not in (message.location or {}).get("url", "")
        if message.type in ("error", "warning") and not document:
            self.troubles.append(f"console {message.type} at {self.page.url}: {message.text}")

    def failed(self, request):
        if request.failure and "ERR_ABORTED" not in request.failure:
            self.troubles.append(f"{request.method} {request.url}: {request.failure}")

    def answered(self, response):
        if response.status >= 500 or (response.status >= 400 and "/assets/" in response.url):
            self.troubles.append(f"{response.request.method} {response.url}: {response.status}")

    def requested(self, request):
        if not request.url.startswith((self.server.url, "data:", "blob:", "chrome")):
            self.troubles.append(f"a request leaves the machine: {request.url}")

    def shown(self, most=2000):
        """What it shows and waits for, to be read when a test has failed."""
        try:
            text = self.page.locator("body").inner_text(timeout=3000)
        except Exception as error:  # It may be why the test has failed.
            text = f"no text: {error}"
        waits = [f"{request.method} {request.url} for {time.monotonic() - since:.0f} s" for request, since in self.unanswered.items()]
        return "\n".join([self.page.url, *(f"waits for {one}" for one in waits), *self.troubles, re.sub(r"\n\s*\n+", "\n", text)[:most]])

    def close(self):
        windows.discard(self)
        self.context.close()
        assert self.troubles == [], "\n".join(self.troubles)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            print(self.shown())
            windows.discard(self)
            self.context.close()
        else:
            self.close()

    # ---- going about

    def go(self, path):
        self.page.goto(path)
        return self.page

    @property
    def path(self):
        return re.sub(r"^https?://[^/]+", "", self.page.url)

    def is_whole(self):
        """Waits for the page to its end: what is looked for at once, and may not be there, is not still on its way."""
        self.page.wait_for_load_state("domcontentloaded")

    def heading(self, text):
        """Waits for the page with this headline."""
        expect(self.page.get_by_role("heading", level=1)).to_have_text(text if hasattr(text, "search") else re.compile(text))

    def done(self, heading):
        """Waits for the page that says that it is done: whose address, headline, mark, title and message all say so."""
        page = self.page
        page.wait_for_url(re.compile(r"/done/key_[0-9A-Z]{26}$"))
        self.heading(re.compile(f"^{re.escape(heading)}$"))
        expect(page.locator("main .title .chip")).to_have_text("Done")
        expect(page).to_have_title(f"{heading}: done · Postern")
        expect(page.locator("main").get_by_role("status")).to_have_count(1)

    def sign_in(self, person, path="/signin", keyboard=False):
        page = self.page
        if path:
            self.go(path)
        self.heading("Sign in")
        if keyboard:
            self.type_into("Work e-mail", person["email"])
            self.type_into("Password", person["password"])
            page.keyboard.press("Enter")
        else:
            page.get_by_label("Work e-mail").fill(person["email"])
            page.get_by_label("Password", exact=True).fill(person["password"])
            page.get_by_role("button", name="Continue").click()
        self.heading("Enter your code")
        self.code(person, keyboard)
        return self

    def code(self, person, keyboard=False):
        code = self.server.authenticator(person).next()
        if keyboard:
            self.type_into("Code from your authenticator", code)
            self.page.keyboard.press("Enter")
        else:
            self.page.get_by_label("Code from your authenticator").fill(code)
            self.page.get_by_role("button", name="Sign in", exact=True).click()
        expect(self.page.get_by_role("heading", level=1)).not_to_have_text(re.compile("code"))

    def type_into(self, label, text):
        """Moves with Tab until the field has the focus, then types."""
        self.tab_to(self.page.get_by_label(label, exact=label == "Password"))
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.type(text)

    def tab_to(self, locator, most=120):
        for _ in range(most):
            if locator.evaluate("element => element === document.activeElement"):
                shown = self.page.evaluate("""() => {
                    const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
                    return (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== 'none'
                        || e.matches(':focus-within') && r.width === 0; }""")
                assert shown, f"the focus can't be seen on {locator}"
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab never reaches {locator}")

    # ---- looking

    def dress(self, scheme, viewport=None):
        """The page that is shown and those that come are in this scheme and of this size: one style sheet serves all."""
        self.scheme = scheme
        self.page.emulate_media(color_scheme=scheme)
        if viewport:
            self.page.set_viewport_size(viewport)

    def audit(self, what, headings=1, rules=None):
        """axe finds nothing (by these rules alone), nothing hangs over the edge, the page is as small as promised and has this many
        headlines (None: any)."""
        page = self.page
        if not self.script:
            return
        # With its style sheet.
        page.wait_for_load_state()
        if examines:
            self.examine(what, rules)
        wide, most = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide <= most, f"{what} is {wide} px wide in a window of {most} px"
        if page.viewport_size["width"] <= 768 and page.locator("#filters").count():
            assert page.locator("a[href='#filters']").first.is_visible(), f"the filters of {what} can't be opened"
        assert page.title().endswith("· Postern") and headings in (None, page.locator("h1").count()), what
        # Taking a picture leaves empty ones behind.
        assert page.locator("[style]:not([style='']), script:not([src])").count() == 0, f"{what} has inline style or script"

    def audit_everywhere(self, what):
        """In the light and in the dark on a desk, and on a phone. A page is loaded once for all: nothing but its style sheet knows."""
        self.audit(what)
        self.dress("dark")
        self.audit(what, rules=OF_COLOURS)
        self.dress("light", PHONE)
        self.audit(f"{what} on a phone")
        self.dress("light", DESK)

    def examine(self, what, rules=None):
        options = {"runOnly": {"type": "rule", "values": rules} if rules else RULES, "resultTypes": ["violations"]}
        session = self.context.new_cdp_session(self.page)
        try:
            if session.send("Runtime.evaluate", {"expression": "typeof axe"})["result"]["value"] == "undefined":
                session.send("Runtime.evaluate", {"expression": AXE})
            answer = session.send("Runtime.evaluate", {
                "expression": "axe.run({include: [document], exclude: %s}, %s).then(r => JSON.stringify("
                              "r.violations.map(v => [v.id, v.help, v.nodes.map(n => n.html.slice(0, 200)).slice(0, 3)])))"
                              % (REPEATED, json.dumps(options)), "awaitPromise": True, "returnByValue": True})
        finally:
            session.detach()
        assert "exceptionDetails" not in answer, answer
        found = answer["result"]["value"]
        assert found == "[]", f"{what} ({self.scheme}): {found}"

    def shot(self, name):
        if os.environ.get("POSTERN_SCREENSHOTS") == "1":
            SHOTS.mkdir(parents=True, exist_ok=True)
            self.page.evaluate("window.scrollTo(0, 0)")
            self.page.screenshot(path=SHOTS / f"{name}.png")
