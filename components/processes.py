"""Processes: the cores there are for them, an end with the one that started them, no proxy before loopback."""

import os
import signal
import threading
import time


def usable_cores() -> int:
    """Cores that this process may run on, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def end_with_parent() -> None:
    """Kill this process within a second of the end of the one that started it, which alone reads what it does."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="end-with-parent").start()


def spare_loopback() -> None:
    """Have no request to this machine itself go through the proxy that http_proxy names, here and in what is started.

    Every HTTP client goes by `no_proxy`; an environment with a proxy often leaves loopback out.
    """
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    hosts = [host.strip() for host in named.split(",") if host.strip()]
    if hosts != ["*"]:
        named = ",".join(dict.fromkeys([*hosts, "127.0.0.1", "localhost", "::1"]))
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = named
