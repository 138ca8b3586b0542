#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The dashboard in headless Chromium, as a person uses it: starts a crawl, watches it, sees its broken links, searches.

Drives Chromium through its driver (W3C WebDriver, JSON over HTTP). Leaves screenshots in the folder of COAIO_BIN_DIR/..
"""
import base64
import functools
import http.server
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
from programs import first_line

BIN = pathlib.Path(os.environ["COAIO_BIN_DIR"])
SHOTS = BIN.parent / "screenshots"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
PAGES = 30


def make_site(folder):
    links = "\n".join(f'<li><a href="chapter{i}.html">Chapter {i}</a></li>' for i in range(PAGES))
    (folder / "index.html").write_text(f'<title>A small book</title><ul>{links}</ul>\n<a href="lost.html">the lost chapter</a>')
    for i in range(PAGES):
        (folder / f"chapter{i}.html").write_text(
            f'<title>Chapter {i}</title><p id="p">This is chapter {i}, about number{i}. <a href="index.html">Contents</a></p>')
    (folder / "chapter3.html").write_text('<title>Chapter &lt;b&gt;3&lt;/b&gt;</title>The quagga runs here. '
                                          '<a href="chapter4.html#nowhere">see there</a>')


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


class Browser:
    def __init__(self, folder):
        driver = shutil.which("chromedriver")
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        if not driver or not chromium:
            raise RuntimeError("chromium and its driver are missing (Debian: apt-get install chromium chromium-driver)")
        environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
        self.process = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        env=environment)
        port = first_line(self.process, r"started successfully on port (\d+)")
        self.base = f"http://127.0.0.1:{port}/session"
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,1100",
                     "--lang=en", f"--user-data-dir={folder}/profile"]
        answer = self.call("POST", "", {"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"binary": chromium, "args": arguments}, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.base += "/" + answer["sessionId"]
        self.call("POST", "/timeouts", {"script": 60000, "pageLoad": 60000})

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.base + path, method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=90) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from None

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def find(self, selector):
        return self.call("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.call("POST", f"/element/{self.find(selector)}/click", {})

    def type(self, selector, text):
        self.call("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def text(self, selector):
        return self.call("GET", f"/element/{self.find(selector)}/text")

    def wait(self, condition):
        """Until the JavaScript expression is true: asked whenever the page changes."""
        self.call("POST", "/execute/async", {"args": [], "script": f"""
            const done = arguments[arguments.length - 1];
            const look = () => {{ if ({condition}) {{ observer.disconnect(); done(true); }} }};
            const observer = new MutationObserver(look);
            observer.observe(document, {{ subtree: true, childList: true, attributes: true, characterData: true }});
            look();"""})

    def shot(self, name):
        SHOTS.mkdir(exist_ok=True)
        (SHOTS / name).write_bytes(base64.b64decode(self.call("GET", "/screenshot")))

    def complaints(self):
        return [entry for entry in self.call("POST", "/se/log", {"type": "browser"}) if entry["level"] == "SEVERE"]

    def close(self):
        try:
            self.call("DELETE", "")
        finally:
            self.process.terminate()
            self.process.wait()


class Dashboard(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="coaio-dashboard-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.folder.chmod(0o755)
        site = self.folder / "site"
        site.mkdir()
        make_site(site)
        handler = functools.partial(Quiet, directory=str(site))
        self.site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.site.serve_forever, daemon=True).start()
        self.addCleanup(self.site.server_close)
        self.addCleanup(self.site.shutdown)
        with open(self.folder / "server.log", "w", encoding="utf-8") as log:
            self.server = subprocess.Popen(
                [BIN / "coaio-server", "--port=0", f"--data-dir={self.folder}/data"], stdout=subprocess.PIPE, stderr=log,
                text=True, env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"})
        self.addCleanup(self.stop_server)
        self.url = first_line(self.server, r"listening on (\S+)")
        self.browser = Browser(self.folder)
        self.addCleanup(self.browser.close)

    def stop_server(self):
        self.server.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(timeout=60), 0)

    def test_a_person_starts_a_crawl_watches_it_and_finds_what_is_broken(self):
        browser = self.browser
        site = f"http://127.0.0.1:{self.site.server_port}"
        browser.open(self.url)
        self.assertEqual(browser.text("#no-crawls"), "None yet: start one above.")
        browser.shot("empty.png")

        browser.type("#start input[name=url]", "ftp://example.org/")
        browser.click("#start button")
        browser.wait("document.getElementById('start-error').textContent.includes('not an address of http')")

        browser.call("POST", f"/element/{browser.find('#start input[name=url]')}/clear", {})
        browser.type("#start input[name=url]", f"127.0.0.1:{self.site.server_port}/")
        browser.click("#start button")
        browser.wait("document.getElementById('crawl-state').textContent === 'done'")
        # Contents under two addresses, the chapters, and the lost one.
        browser.wait(f"document.getElementById('figure-done').textContent === '{PAGES + 3}'")
        browser.wait(f"document.querySelectorAll('#live tbody tr').length === {PAGES + 3}")
        self.assertIn(f"{site}/chapter7.html", browser.text("#live"))
        browser.wait("document.getElementById('figure-broken').textContent === '2'")
        browser.shot("live.png")

        browser.click("#tab-broken")
        broken = browser.text("#broken")
        self.assertIn(f"404 {site}/lost.html", broken)
        self.assertIn(f"linked from {site}/", broken)
        self.assertIn("the lost chapter", broken)
        self.assertIn(f'no element has the id "nowhere" {site}/chapter4.html#nowhere', broken)
        browser.shot("broken.png")

        browser.click("#tab-search")
        browser.type("#search input[name=q]", "quagga")
        browser.click("#search button")
        browser.wait("document.querySelectorAll('#results li').length === 1")
        self.assertIn(f"{site}/chapter3.html", browser.text("#results"))
        self.assertIn("Chapter <b>3</b>", browser.text("#results"))  # text of a site is never HTML here
        self.assertEqual(browser.text("#results mark"), "quagga")
        browser.shot("search.png")

        # The address leads back to the crawl.
        browser.open(f"{self.url}/#1")
        browser.call("POST", "/refresh", {})
        browser.wait("document.getElementById('crawl-state').textContent === 'done'")
        self.assertIn("done", browser.text("#crawls"))
        complaints = [entry for entry in browser.complaints() if "400" not in entry["message"]]
        self.assertEqual(complaints, [])


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
