#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A small site to crawl, which can be held back, and which counts what it is asked.

    demo_site.py [--host ADDRESS] [--port PORT] [--delay SECONDS]      prints "listening on http://ADDRESS:PORT"

Below each /NAME/ stands the same book, so that each crawl can have one of its own: 60 pages that link to each other, one
link that leads nowhere (from page 7), and one word that stands on one page only (page 42).

    GET  /.control/NAME                         {"requests": {PATH: COUNT, ...}, "answered": N, "held": N}
    GET  /.control/NAME?answered=N&held=N       the same, once so many pages were answered and so many are held back
    POST /.control/NAME {"hold_after": N}       answers N requests, and holds back each later one; null lets all of them go
    POST /.control/NAME {"delay": SECONDS}      takes so long for each page
"""
import argparse
import collections
import http.server
import json
import re
import signal
import sys
import threading
import time
import urllib.parse

PAGES = 60
BROKEN = "gone.html"
BROKEN_ON = 7
WORD = "axolotl"
WORD_ON = 42
LONGEST_WAIT = 50  # less than a client waits for an answer
MOST_BOOKS = 10_000


def path_of(number):
    return f"page-{number}.html" if number else ""


def paths(name):
    """The paths of the pages that are there."""
    return {f"/{name}/{path_of(number)}" for number in range(PAGES)}


def html(name, number):
    # A tree, so that a crawl that has seen a part knows of more, and ways across it.
    targets = [2 * number + 1, 2 * number + 2, (number * 7 + 3) % PAGES, 0]
    links = [(f"/{name}/{path_of(target)}", f"Page {target}") for target in targets if target < PAGES]
    if number == BROKEN_ON:
        links.append((BROKEN, "the lost page"))
    items = "\n".join(f'<li><a href="{path}">{text}</a></li>' for path, text in links)
    word = f"Here lives the {WORD}." if number == WORD_ON else "Nobody lives here."
    return f"<!doctype html>\n<title>Page {number} of {name}</title>\n<p>{word}</p>\n<ul>\n{items}\n</ul>\n"


class Book:
    def __init__(self, delay):
        self.requests = collections.Counter()
        self.answered = 0
        self.held = 0
        self.hold_after = None
        self.delay = delay


class Site(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, delay=0.0):
        self.changed = threading.Condition()
        self.books = {}
        self.delay = delay
        super().__init__(address, Handler)

    @property
    def url(self):
        return f"http://{self.server_address[0]}:{self.server_address[1]}"

    def book(self, name):
        if name not in self.books and len(self.books) < MOST_BOOKS:
            self.books[name] = Book(self.delay)
        return self.books[name]

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):  # a client that is gone
            super().handle_error(request, client_address)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "site"
    disable_nagle_algorithm = True

    def log_message(self, *words):
        pass

    def answer(self, status, text, kind="text/html; charset=utf-8"):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        control = re.fullmatch(r"/\.control/([a-z0-9-]{1,60})", url.path)
        page = re.fullmatch(rf"/([a-z0-9-]{{1,60}})/(?:page-([1-9][0-9]?)\.html|{BROKEN}|)", url.path)
        if control:
            self.tell(control[1], urllib.parse.parse_qs(url.query))
        elif page:
            self.page(page[1], url.path, page[2])
        elif url.path == "/":
            self.answer(200, '<title>A site</title><a href="/demo/">the book</a>')
        else:
            self.answer(404, "<title>404</title>not here")

    def page(self, name, path, number):
        site = self.server
        with site.changed:
            book = site.book(name)
            book.requests[path] += 1
            place = book.requests.total()
            if book.hold_after is not None and place > book.hold_after:
                book.held += 1
                site.changed.notify_all()
                site.changed.wait_for(lambda: book.hold_after is None or place <= book.hold_after)
                book.held -= 1
        time.sleep(book.delay)
        if path.endswith(BROKEN) or int(number or 0) >= PAGES:
            self.answer(404, "<title>404</title>not here")
        else:
            self.answer(200, html(name, int(number or 0)))
        with site.changed:
            book.answered += 1
            site.changed.notify_all()

    def tell(self, name, query):
        site = self.server
        least = {key: int(query.get(key, ["0"])[0]) for key in ("answered", "held")}
        with site.changed:
            book = site.book(name)
            there = site.changed.wait_for(
                lambda: book.answered >= least["answered"] and book.held >= least["held"], LONGEST_WAIT)
            state = {"requests": dict(book.requests), "answered": book.answered, "held": book.held}
        self.answer(200 if there else 504, json.dumps(state), "application/json")

    def do_POST(self):
        control = re.fullmatch(r"/\.control/([a-z0-9-]{1,60})", self.path)
        wanted = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        if not control:
            self.answer(404, "")
            return
        with self.server.changed:
            book = self.server.book(control[1])
            if "hold_after" in wanted:
                book.hold_after = wanted["hold_after"]
            if "delay" in wanted:
                book.delay = float(wanted["delay"])
            self.server.changed.notify_all()
        self.answer(200, "{}", "application/json")


def main():
    options = argparse.ArgumentParser(description="A small site to crawl; see the head of this file.")
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--delay", type=float, default=0.0, help="seconds for each page, unless told otherwise")
    options = options.parse_args()
    # As the first process of a container it would not end by a signal otherwise.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    site = Site((options.host, options.port), options.delay)
    print(f"listening on {site.url}", flush=True)
    try:
        site.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
