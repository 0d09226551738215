"""Runs on the unix port: real outbox, real uplink, and decisions made by a clock, not a model.

    micropython uplink_node.py <<< '{"port": 1883, "folder": "/tmp/x", "count": 1000, ...}'

`rate` decisions a second are made (0: one whenever the one before was acknowledged), `count` in
all; then the file `made` appears in its folder, `sent` when the broker has acknowledged them all,
`refused` when it has refused the node, and `failed` when so many connections have failed as the
job names. The node stays until the file `stop` is there, and prints one line of JSON.
"""

import json
import os
import random
import sys
import time

import vfs

ROOT = __file__.rsplit("/", 1)[0] + "/../.."
sys.path[:] = [ROOT + "/lib", ROOT + "/firmware", ROOT + "/build/device/lib", ".frozen"]

# ruff: noqa: E402 - the imports need the path
from app.outbox import Outbox
from app.uplink import Identity, Pace, Uplink
from formats import messages
from mqtt.client import Client
from mqtt.link import tls_context
from mqtt.session import Limits

META = {
    "encoding": "A",
    "labels": ["rest", "motion"],
    "model": "0123456789abcdef",
    "name": "clockwork",
    "window_ms": 100,
    "hop_ms": 100,
}


class Node:
    """The loop of a node without its sensor."""

    def __init__(self, job):
        self.job = job
        # Not VfsPosix(folder): rename() of a VfsPosix with a root mixes up its two names.
        os.chdir(job["folder"])
        self.files = vfs.VfsPosix()
        ram_records = job.get("ram_records", 64)
        self.outbox = Outbox(self.files, "q", job.get("capacity", 20000), ram_records, 64)
        settings = {}
        deadline_ms = job.get("deadline_ms", 20000)  # the broker may be slow
        if "ca" in job:
            with open(job["ca"], "rb") as file:
                settings["ssl"] = tls_context(file.read())
            settings["server_hostname"] = job["hostname"]
        client = Client(
            "restart-node",
            "127.0.0.1",
            job["port"],
            keepalive=60,
            limits=Limits(2 * deadline_ms, deadline_ms, deadline_ms, 512),
            **settings,
        )
        prefix = "ob/test/" + job.get("device", "node")
        identity = Identity(prefix, messages.pack_meta(META), self.status)
        pace = Pace(base_ms=50, cap_ms=job.get("cap_ms", 500), status_ms=1000)
        self.uplink = Uplink(client, self.outbox, identity, pace, random.randint)
        self.slowest_step_ms = 0
        self.turns = 0
        self.marked = set()
        self.start = time.ticks_ms()

    def status(self):
        """Return the status message."""
        return messages.pack_status(
            {
                "epoch": self.outbox.epoch,
                "next_seq": self.outbox.next_seq,
                "queued": self.outbox.queued(),
                "dropped": self.outbox.dropped,
                "windows": self.outbox.next_seq,
                "faults": 0,
                "connects": self.uplink.connects,
                "uptime_s": time.ticks_diff(time.ticks_ms(), self.start) // 1000,
                "heap_free": 0,
                "time_quality": 0,
                "flash_errors": self.outbox.flash_errors,
            }
        )

    def is_due(self):
        """Return whether the next decision is due."""
        made = self.outbox.next_seq
        if made >= self.job["count"]:
            return False
        if not self.job["rate"]:
            return self.uplink.online and not self.outbox.queued()
        passed_ms = time.ticks_diff(time.ticks_ms(), self.start)
        return made * 1000 <= passed_ms * self.job["rate"]

    def is_stopped(self):
        """Return whether the test has seen enough."""
        try:
            self.files.stat("stop")
        except OSError:
            return False
        return True

    def mark(self, name, is_so=True):
        """Tell the test how far we are, once."""
        if is_so and name not in self.marked:
            self.marked.add(name)
            with self.files.open(name, "w"):
                pass

    def step(self):
        """One turn of the loop, with the uplink's share measured."""
        if self.is_due():
            passed_ms = time.ticks_diff(time.ticks_ms(), self.start)
            seq = self.outbox.next_seq
            self.outbox.append(seq * 7 & 127, 0, passed_ms // 1000, passed_ms % 1000)
        before = time.ticks_ms()
        self.uplink.step(before)
        step_ms = time.ticks_diff(time.ticks_ms(), before)
        self.slowest_step_ms = max(self.slowest_step_ms, step_ms)

    def run(self):
        """Work until stopped."""
        finished_ms = None
        while True:
            self.step()
            self.mark("made", self.outbox.next_seq >= self.job["count"])
            self.mark("refused", self.uplink.refusals)
            self.mark("failed", self.uplink.failures >= self.job.get("failures", 1))
            if self.job["rate"]:
                time.sleep_ms(1)
            self.turns += 1
            done = self.outbox.next_seq >= self.job["count"] and not self.outbox.queued()
            if done and finished_ms is None:
                finished_ms = time.ticks_diff(time.ticks_ms(), self.start)
                self.mark("sent")
            if self.turns % 100 == 0 and self.is_stopped():
                break
        self.uplink.close()
        return finished_ms


def main():
    """Run the job and print its report."""
    job = json.load(sys.stdin)
    node = Node(job)
    finished_ms = node.run()
    report = {
        "finished_ms": finished_ms,
        "made": node.outbox.next_seq,
        "queued": node.outbox.queued(),
        "dropped": node.outbox.dropped,
        "flash_errors": node.outbox.flash_errors,
        "connects": node.uplink.connects,
        "failures": node.uplink.failures,
        "refusals": node.uplink.refusals,
        "bad_commands": node.uplink.bad_commands,
        "last_error": node.uplink.last_error,
        "slowest_step_ms": node.slowest_step_ms,
        "turns": node.turns,
    }
    print(json.dumps(report))


main()
