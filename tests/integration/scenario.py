#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Drives a running system from outside, as its users do: the server by its API, the site by its knobs.

    scenario.py --server URL --site URL [--site-inside URL] [--crawler-made URL]
                --stop-database COMMAND --start-database COMMAND

A crawl from its start to its end: events, the broken link with its referrer, the one page with the one word. Then a crawl
during which the database is stopped and started again: nothing lost, nothing twice. --site-inside is the site's address
as the server reaches it. With --crawler-made, a crawl of that address which coaio-crawl makes is looked at, too.
"""
import argparse
import collections
import http.client
import json
import shlex
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

import demo_site

PATIENCE = 60  # seconds for any one thing to happen
SOON = 15
LOOK_AGAIN = 0.05
HELD_AFTER = 25


class Failure(Exception):
    pass


def check(holds, what):
    if not holds:
        raise Failure(what)


def eventually(what, look):
    """The first true answer of look()."""
    deadline = time.monotonic() + PATIENCE
    while True:
        seen = look()
        if seen:
            return seen
        check(time.monotonic() < deadline, f"not within {PATIENCE} s: {what}")
        time.sleep(LOOK_AGAIN)


def ask(method, url, body=None, headers=None):
    """The status and the text of an answer; status 0 where there is none."""
    request = urllib.request.Request(url, method=method, headers=headers or {},
                                     data=None if body is None else json.dumps(body).encode())
    if body is not None:
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)


def expect(status, method, url, body=None):
    found, text = ask(method, url, body)
    check(found == status, f"{method} {url} answered {found}, not {status}: {text}")
    return json.loads(text) if text.startswith(("{", "[")) else text


class Watcher(threading.Thread):
    """Listens to the events of a crawl as a browser does: connects again where it is cut off, and says what it has."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url = url
        self.pages = collections.Counter()
        self.progress = []
        self.end = None
        self.connections = 0
        self.start()

    def run(self):
        last = ""
        deadline = time.monotonic() + 3 * PATIENCE
        while self.end is None and time.monotonic() < deadline:
            request = urllib.request.Request(self.url, headers={"Last-Event-ID": last} if last else {})
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                    self.connections += 1
                    fields = {}
                    for line in answer:
                        line = line.decode().rstrip("\n")
                        key, colon, value = line.partition(": ")
                        if colon and key:
                            fields[key] = value
                        elif not line:
                            last = fields.get("id", last)
                            self.note(fields.get("event"), fields.get("data"))
                            fields = {}
            except (OSError, http.client.HTTPException):  # HTTPError is an OSError
                pass
            if self.end is None:
                time.sleep(LOOK_AGAIN)

    def note(self, event, data):
        if event == "page":
            self.pages[json.loads(data)["url"]] += 1
        elif event == "progress":
            self.progress.append(json.loads(data))
        elif event == "end":
            self.end = json.loads(data)


class System:
    def __init__(self, server, site, site_inside=None, stop_database=None, start_database=None):
        self.server = server.rstrip("/")
        self.site = site.rstrip("/")
        self.site_inside = (site_inside or site).rstrip("/")
        self.stop_database = stop_database
        self.start_database = start_database

    def say(self, text):
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    def ready(self):
        return ask("GET", self.server + "/readyz")[0]

    def set_book(self, book, knobs):
        expect(200, "POST", f"{self.site}/.control/{book}", knobs)

    def book(self, book, least=None):
        return expect(200, "GET", f"{self.site}/.control/{book}?{urllib.parse.urlencode(least or {})}")

    def everything(self, book):
        """The addresses that a crawl of the book comes to."""
        return {self.site_inside + path for path in demo_site.paths(book) | {f"/{book}/{demo_site.BROKEN}"}}

    def begin(self, book):
        settings = {"url": f"{self.site_inside}/{book}/", "concurrency": 4, "per_host": 4, "sitemaps": False,
                    "timeout_ms": 120_000}
        return expect(201, "POST", self.server + "/api/crawls", settings)["id"]

    def crawl(self, crawl):
        """What the API says of it now; nothing while the server has no database."""
        status, text = ask("GET", f"{self.server}/api/crawls/{crawl}")
        return json.loads(text) if status == 200 else None

    def ended(self, crawl):
        now = eventually(f"crawl {crawl} ends", lambda: (self.crawl(crawl) or {}).get("ended_at") and self.crawl(crawl))
        check(now["state"] == "done" and not now["error"], f"crawl {crawl} ended as {now}")
        return now

    def pages(self, crawl):
        """All pages of a crawl, a few at a time."""
        found, after = [], 0
        while after is not None:
            part = expect(200, "GET", f"{self.server}/api/crawls/{crawl}/pages?limit=20&after={after}")
            found += part["items"]
            after = part["next"]
        return found

    def check_pages(self, crawl, book):
        found = collections.Counter(page["url"] for page in self.pages(crawl))
        wanted = self.everything(book)
        check(set(found) == wanted, f"lost: {sorted(wanted - set(found))}, not the site's: {sorted(set(found) - wanted)}")
        twice = [url for url, count in found.items() if count != 1]
        check(not twice, f"more than once: {twice}")

    def check_events(self, watcher, book):
        eventually("the events end", lambda: watcher.end)
        wanted = self.everything(book)
        check(set(watcher.pages) == wanted, f"not told of: {sorted(wanted - set(watcher.pages))}")
        twice = [url for url, count in watcher.pages.items() if count != 1]
        check(not twice, f"told of more than once: {twice}")
        check(watcher.end["state"] == "done" and watcher.end["done"] == len(wanted), f"the end says {watcher.end}")

    def check_findings(self, crawl, book):
        """The planted broken link, where it stands, and the planted word."""
        base = f"{self.site_inside}/{book}/"
        broken = expect(200, "GET", f"{self.server}/api/crawls/{crawl}/broken")["items"]
        check([(each["url"], each["status"]) for each in broken] == [(base + demo_site.BROKEN, 404)], f"broken: {broken}")
        referrers = [(each["url"], each["text"]) for each in broken[0]["referrers"]]
        check(referrers == [(base + demo_site.path_of(demo_site.BROKEN_ON), "the lost page")], f"referrers: {referrers}")
        found = expect(200, "GET", f"{self.server}/api/crawls/{crawl}/search?q={demo_site.WORD}")["items"]
        check([each["url"] for each in found] == [base + demo_site.path_of(demo_site.WORD_ON)], f"found: {found}")
        check(f"⟦{demo_site.WORD}⟧" in found[0]["snippet"], f"the snippet: {found[0]['snippet']}")


def crawl_and_search(system):
    book = "whole-" + uuid.uuid4().hex[:12]
    crawl = system.begin(book)
    system.say(f"crawl {crawl} of {book} begins")
    watcher = Watcher(f"{system.server}/api/crawls/{crawl}/events")
    now = system.ended(crawl)
    check(now["done"] == demo_site.PAGES + 1 and now["failed"] == 0 and now["waiting"] == 0, f"it says: {now}")
    system.check_pages(crawl, book)
    system.check_events(watcher, book)
    system.check_findings(crawl, book)
    twice = {path: count for path, count in system.book(book)["requests"].items() if count != 1}
    check(not twice, f"fetched more than once: {twice}")
    system.say(f"crawl {crawl}: {now['done']} pages, each fetched and told of once, the broken link and the word found")


def lose_the_database(system):
    book = "cut-" + uuid.uuid4().hex[:12]
    system.set_book(book, {"hold_after": HELD_AFTER})
    crawl = system.begin(book)
    system.say(f"crawl {crawl} of {book} begins")
    watcher = Watcher(f"{system.server}/api/crawls/{crawl}/events")
    system.book(book, {"answered": HELD_AFTER, "held": 1})
    before = eventually("what was answered is committed",
                        lambda: (found := system.pages(crawl)) and len(found) == HELD_AFTER and found)
    eventually("the events tell of it", lambda: sum(watcher.pages.values()) == HELD_AFTER)
    check(system.crawl(crawl)["state"] == "running", "it does not run any more")

    system.say(f"{len(before)} pages are committed, more are under way: the database stops")
    system.stop_database()
    system.set_book(book, {"hold_after": None})
    eventually("the server says that it is not ready", lambda: system.ready() == 503)
    check(ask("GET", system.server + "/livez")[0] == 200, "the server does not live without its database")
    asked = time.monotonic()
    check(ask("GET", f"{system.server}/api/crawls/{crawl}")[0] == 503, "no 503 without the database")
    check(time.monotonic() - asked < SOON, f"the 503 took {time.monotonic() - asked:.0f} s")
    system.say("the server says so; the database starts")
    system.start_database()
    eventually("the server is ready", lambda: system.ready() == 200)

    now = system.ended(crawl)
    check(now["done"] == demo_site.PAGES + 1 and now["failed"] == 0, f"it says: {now}")
    system.check_pages(crawl, book)
    after = {page["url"]: page for page in system.pages(crawl)}
    changed = [page["url"] for page in before if after[page["url"]] != page]
    check(not changed, f"committed before, and not the same any more: {changed}")
    requests = system.book(book)["requests"]
    again = [page["url"] for page in before if requests[page["url"].removeprefix(system.site_inside)] != 1]
    check(not again, f"committed before, and fetched again: {again}")
    system.check_events(watcher, book)
    check(watcher.connections > 1, "the events did not break off: was the database stopped at all?")
    system.check_findings(crawl, book)
    system.say(f"crawl {crawl}: {now['done']} pages, none lost, none twice; of {sum(requests.values())} requests "
               f"none was for what had been committed")


def look_at_the_crawlers(system, url):
    """The crawl that coaio-crawl makes stands beside the server's own."""
    book = urllib.parse.urlsplit(url).path.strip("/")

    def made():
        status, text = ask("GET", system.server + "/api/crawls")
        if status != 200:
            return []
        return [each for each in json.loads(text)["items"]
                if each["urls"] == [url] and each["run_by"] == "coaio-crawl" and each["state"] == "done"]

    crawl = eventually(f"coaio-crawl ends its crawl of {url}", made)[0]
    check(crawl["done"] == demo_site.PAGES + 1 and not crawl["error"], f"it says: {crawl}")
    system.check_pages(crawl["id"], book)
    system.check_findings(crawl["id"], book)
    system.say(f"crawl {crawl['id']} of {book} by coaio-crawl: {crawl['done']} pages, the broken link and the word found")


def run(system, crawler_made=None):
    eventually("the server is ready", lambda: system.ready() == 200)
    if crawler_made:
        look_at_the_crawlers(system, crawler_made)
    crawl_and_search(system)
    lose_the_database(system)


def command(text):
    words = shlex.split(text)
    return lambda: subprocess.run(words, stdin=subprocess.DEVNULL, check=True, timeout=2 * PATIENCE)


def main():
    options = argparse.ArgumentParser(description="Drives a running system from outside; see the head of this file.")
    options.add_argument("--server", required=True)
    options.add_argument("--site", required=True)
    options.add_argument("--site-inside")
    options.add_argument("--crawler-made")
    options.add_argument("--stop-database", required=True)
    options.add_argument("--start-database", required=True)
    options = options.parse_args()
    system = System(options.server, options.site, options.site_inside, command(options.stop_database),
                    command(options.start_database))
    try:
        run(system, options.crawler_made)
    except (Failure, subprocess.SubprocessError) as failure:
        sys.exit(f"FAILED: {failure}")
    system.say("all is well")


if __name__ == "__main__":
    main()
