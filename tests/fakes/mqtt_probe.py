"""Runs on the unix port: one action of an MQTT client, and one line of JSON about how it ended.

    micropython mqtt_probe.py <<< '{"client": "plain", "port": 1883, "do": "publish"}'

`plain` is umqtt.simple as published, `ours` is mqtt.client. The line says how long the action
took, what was delivered to the callback, and the error, if any.
"""

import gc
import json
import sys
import time

HERE = __file__.rsplit("/", 1)[0]
ROOT = HERE + "/../.."
sys.path[:] = [ROOT + "/lib", ROOT + "/build/device/lib", ".frozen"]

LIMITS_MS = {"connect_ms": 600, "read_ms": 400, "write_ms": 400}


def read(path):
    """Return the bytes of a file."""
    with open(path, "rb") as file:
        return file.read()


def make_client(job, delivered):
    """Return the client the job asks for, with a callback that collects."""
    names = ("user", "password", "keepalive")
    settings = {name: job[name] for name in names if name in job}
    host = job.get("host", "127.0.0.1")
    if job["client"] == "plain":
        from umqtt.simple import MQTTClient

        client = MQTTClient("probe", host, job["port"], **settings)
    else:
        from mqtt.client import Client, Limits
        from mqtt.link import tls_context

        limits = Limits(**job.get("limits", LIMITS_MS))
        if "ca" in job:
            identity = [read(path) for path in job.get("identity", ())]
            settings["ssl"] = tls_context(read(job["ca"]), identity)
        if "hostname" in job:
            settings["server_hostname"] = job["hostname"]
        client = Client("probe", host, job["port"], limits=limits, **settings)
    client.set_callback(lambda topic, payload: delivered.append([topic.decode(), len(payload)]))
    if "pid" in job:
        client.pid = job["pid"]
    return client


def act(client, job, delivered):
    """Do what the job says; connecting comes first in every job."""
    do = job["do"]
    topic = job.get("topic", "t")
    if job["client"] == "plain" and "timeout_s" in job:
        client.sock.settimeout(job["timeout_s"])  # as a careful user would
    if do == "publish":
        client.publish(topic, job.get("payload", "x"), qos=1)
    elif do == "publish_many":
        for _ in range(job["count"]):
            client.publish(topic, b"x" * job["size"], qos=job["qos"])
    elif do == "subscribe":
        client.subscribe(topic, 1)
    elif do in ("receive", "subscribe_and_receive"):
        if do != "receive":
            client.subscribe(topic, 1)
        while len(delivered) < job.get("count", 1):
            client.wait_msg()
    elif do == "idle":
        end = time.ticks_add(time.ticks_ms(), job["ms"])
        while time.ticks_diff(end, time.ticks_ms()) > 0:
            client.check_msg()
            time.sleep_ms(20)
    else:
        assert do == "connect", do


def main(job):
    """Run the job and print its report."""
    delivered = []
    report = {"error": None, "text": "", "delivered": delivered}
    start = time.ticks_ms()
    try:
        client = make_client(job, delivered)
        gc.collect()
        heap = gc.mem_alloc()
        start = time.ticks_ms()
        try:
            client.connect()
            start_action = time.ticks_ms()
            act(client, job, delivered)
            report["action_ms"] = time.ticks_diff(time.ticks_ms(), start_action)
        finally:
            report["heap"] = gc.mem_alloc() - heap
            report["pid"] = client.pid
    except Exception as error:
        report["error"] = type(error).__name__
        report["text"] = str(error)
        report["errno"] = error.args[0] if error.args else None
    report["ms"] = time.ticks_diff(time.ticks_ms(), start)
    print(json.dumps(report))


# Not from argv: the unix port dies of an argument beyond 255 bytes.
main(json.load(sys.stdin))
