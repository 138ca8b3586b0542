#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The scenario without containers: the programs of this build, a Postgres of its own, and the demo site."""
import ctypes
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import scenario

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.resolve().parent / "support"))
from programs import first_line

BIN = pathlib.Path(os.environ["COAIO_BIN_DIR"])
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def start(words, dies_by=signal.SIGKILL, **how):
    """A program that does not outlive this one, whatever ends this one."""
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, dies_by), **how)


class Postgres:
    def __init__(self, folder):
        self.binaries = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        self.folder = folder
        self.process = None
        self.user = {}
        if os.geteuid() == 0:  # Postgres refuses to run as root
            user = pwd.getpwnam("postgres")
            self.user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(folder, user.pw_uid, user.pw_gid)
        self.log = open(folder / "log", "ab")
        subprocess.run([self.binaries / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8",
                        "--locale=C.UTF-8", "--no-sync", "--no-instructions"], stdout=self.log, stderr=self.log, check=True,
                       cwd="/", **self.user)
        self.url = f"postgresql:///postgres?host={folder}&user=postgres"

    def start(self):
        settings = {"listen_addresses": "", "unix_socket_directories": self.folder, "fsync": "off", "shared_buffers": "32MB"}
        words = [self.binaries / "postgres", "-D", self.folder / "data"]
        for key, value in settings.items():
            words += ["-c", f"{key}={value}"]
        self.process = start(words, signal.SIGQUIT, stdout=self.log, stderr=self.log, cwd="/", **self.user)
        answers = [self.binaries / "pg_isready", "--quiet", f"--host={self.folder}"]
        scenario.eventually("Postgres answers", lambda: subprocess.run(answers, check=False).returncode == 0)

    def stop_at_once(self):
        if self.process:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(timeout=scenario.PATIENCE)


class TheSystem(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="coaio-system-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.folder.chmod(0o755)
        (self.folder / "pg").mkdir()
        self.postgres = Postgres(self.folder / "pg")
        self.addCleanup(self.postgres.log.close)
        self.addCleanup(self.postgres.stop_at_once)
        self.postgres.start()
        self.site = start([sys.executable, HERE / "demo_site.py"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.site.stdout.close)
        self.addCleanup(self.stop, self.site)
        self.log = open(self.folder / "server.log", "w+", encoding="utf-8")
        self.addCleanup(self.log.close)
        self.server = start([BIN / "coaio-server", "--port=0", "--log-format=text"], stdout=subprocess.PIPE,
                            stderr=self.log, text=True, env={"PATH": "/usr/bin:/bin", "DATABASE_URL": self.postgres.url})
        self.addCleanup(self.server.stdout.close)
        self.addCleanup(self.stop, self.server)

    def crawl(self, url):
        """By the program, into the server's database. It finds the broken link."""
        with open(self.folder / "crawl.log", "w+", encoding="utf-8") as log:
            crawl = start([BIN / "coaio-crawl", url, "--quiet"], stdout=log, stderr=log,
                          env={"PATH": "/usr/bin:/bin", "COAIO_CRAWL_DATABASE_URL": self.postgres.url})
            code = crawl.wait(timeout=scenario.PATIENCE)
            log.seek(0)
            self.assertEqual(code, 2, log.read())

    def stop(self, process):
        process.terminate()
        self.assertEqual(process.wait(timeout=scenario.PATIENCE), 0)

    def test_crawls_end_and_are_found_and_a_database_that_goes_away_loses_and_doubles_nothing(self):
        system = scenario.System(first_line(self.server, r"listening on (\S+)"), first_line(self.site, r"listening on (\S+)"),
                                 stop_database=self.postgres.stop_at_once, start_database=self.postgres.start)
        self.crawl(f"{system.site}/demo/")
        try:
            scenario.run(system, crawler_made=f"{system.site}/demo/")
        except scenario.Failure as failure:
            self.log.seek(0)
            self.fail(f"{failure}\n--- the server's last lines:\n{self.log.read()[-3000:]}")


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
