"""Debian's chromium, headless, driven by the DevTools protocol over two pipes: JSON, a NUL behind each message."""

import base64
import fcntl
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading

from conftest import PATIENCE_S, die_with_parent, wait_until

FLAGS = [
    "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
    "--disable-domain-reliability", "--disable-client-side-phishing-detection", "--disable-breakpad", "--disable-gpu",
    "--disable-dev-shm-usage", "--mute-audio", "--hide-scrollbars", "--no-pings", "--no-proxy-server",
    "--renderer-process-limit=2", "--no-sandbox",  # which root may not have, nor a container; the page is ours
    "--disable-features=Translate,OptimizationHints,MediaRouter,DialMediaRouteProvider,AutofillServerCommunication",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no name is ever asked for
]


def program():
    """The path of the browser, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class BrowserError(AssertionError):
    """The browser said no, or a script in the page threw."""


class Browser:
    """One process; pages are made by new_page()."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="pinpipe-browser-")
        command_read, self.commands = os.pipe()
        self.replies, reply_write = os.pipe()

        def in_child():
            die_with_parent()
            aside = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (command_read, reply_write)]
            for wanted, fd in zip((3, 4), aside):  # as the browser knows them
                os.dup2(fd, wanted)
                os.close(fd)

        self.process = subprocess.Popen(
            [program(), *FLAGS, f"--user-data-dir={self.profile}", "about:blank"], close_fds=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, preexec_fn=in_child)
        os.close(command_read)
        os.close(reply_write)
        self.last_id = 0
        self.answers = {}
        self.pages = {}
        self.news = threading.Condition()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        """Sorts what comes: answers by their number, events by their page."""
        left = b""
        while True:
            try:
                piece = os.read(self.replies, 1 << 20)
            except OSError:
                return
            if not piece:
                with self.news:
                    self.answers[None] = True
                    self.news.notify_all()
                return
            *messages, left = (left + piece).split(b"\0")
            for message in map(json.loads, messages):
                with self.news:
                    if "id" in message:
                        self.answers[message["id"]] = message
                    elif message.get("sessionId") in self.pages:
                        self.pages[message["sessionId"]].put((message["method"], message["params"]))
                    self.news.notify_all()

    def call(self, method, session=None, patience_s=PATIENCE_S, **params):
        """A command and its result."""
        with self.news:
            self.last_id += 1
            mine = self.last_id
        message = {"id": mine, "method": method, "params": params, **({"sessionId": session} if session else {})}
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.commands, data):]
        with self.news:
            came = self.news.wait_for(lambda: mine in self.answers or None in self.answers, patience_s)
            assert came, f"no answer to {method}"
            answer = self.answers.pop(mine, None)
        if answer is None:
            raise BrowserError("the browser has ended")
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def new_page(self, width=1280, height=900, **options):
        """A page of a context of its own: no cookie of another is there."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        events = queue.Queue()
        with self.news:
            self.pages[session] = events
        return Page(self, session, context, events, width, height, **options)

    def close(self):
        """Ends it, with all that it has started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        os.close(self.commands)
        self.reader.join(PATIENCE_S)
        os.close(self.replies)
        shutil.rmtree(self.profile, ignore_errors=True)


class Page:
    """A tab, with what it has asked of the network and complained of."""

    def __init__(self, browser, session, context, events, width, height, dark=False, still=False):
        self.browser, self.session, self.context, self.events = browser, session, context, events
        self.requests, self.complaints, self.dialogs = [], [], []
        for domain in ("Page", "Runtime", "Network", "Log", "Audits"):
            self.call(f"{domain}.enable")
        self.resize(width, height)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"}])

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def resize(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def listen(self):
        """Takes in what has happened so far."""
        while True:
            try:
                method, params = self.events.get_nowait()
            except queue.Empty:
                return
            if method == "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            elif method == "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                self.complaints.append(details.get("exception", {}).get("description") or details["text"])
            elif method == "Audits.issueAdded" and params["issue"]["code"] == "ContentSecurityPolicyIssue":
                self.complaints.append(json.dumps(params["issue"]["details"]))
            elif method == "Log.entryAdded" and params["entry"]["source"] == "security":
                self.complaints.append(params["entry"]["text"])
            elif method == "Page.javascriptDialogOpening":
                self.dialogs.append(params["message"])
                self.call("Page.handleJavaScriptDialog", accept=False)

    def open(self, url):
        self.call("Page.navigate", url=url)

    def run(self, script):
        """The value of an expression in the page; promises are awaited."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True,
                           userGesture=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description") or details["text"])
        return result["result"].get("value")

    def wait(self, script, what=None, patience_s=PATIENCE_S):
        """Until the expression is true; its value."""
        thrown = ""

        def look():
            nonlocal thrown
            try:
                return self.run(script)
            except BrowserError as error:
                thrown = f" ({error})"
                return None
        try:
            return wait_until(look, what or script, patience_s)
        except AssertionError as late:
            raise AssertionError(f"{late}{thrown}; the page says:\n{self.text()}") from None

    def text(self, selector="body"):
        """What a person reads there; what is hidden is not in it."""
        return self.run(f"(document.querySelector({json.dumps(selector)})?.innerText ?? '')")

    def wait_text(self, words, selector="body", patience_s=PATIENCE_S):
        text = f"(document.querySelector({json.dumps(selector)})?.innerText ?? '')"
        return self.wait(f"{text}.includes({json.dumps(words)})", f"{words!r} in {selector}", patience_s)

    def click(self, selector):
        """With the mouse, where it is."""
        at = self.wait(f"""(() => {{ const node = document.querySelector({json.dumps(selector)});
            if (!node || node.disabled) return null;
            node.scrollIntoView({{ block: "center" }});
            const box = node.getBoundingClientRect();
            return box.width && {{ x: box.x + box.width / 2, y: box.y + box.height / 2 }}; }})()""",
                       f"something to click, {selector}")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)

    def press(self, key, code=0, text="", modifiers=0):
        """A key; `modifiers`: 2 is Ctrl."""
        event = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown",
                  **({"text": text} if text else {}), **event)
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def type(self, selector, text):
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        self.call("Input.insertText", text=text)

    def picture(self):
        """A PNG of what is in view."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def close(self):
        self.browser.call("Target.disposeBrowserContext", browserContextId=self.context)
