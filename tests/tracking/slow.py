"""A proxy on loopback that lets bytes through at a given rate, or not at all after some of them."""

import socket
import threading
import time
from types import TracebackType
from typing import Self


class SlowProxy:
    """Stands before the server at `port`. Requests pass at `rate` bytes a second; answers pass at once.

    After `limit` bytes of requests, if there is one, nothing moves any more, though the connection stays.
    """

    def __init__(self, port: int, rate: float, limit: float = float("inf")) -> None:
        self.port_behind, self.rate, self.limit = port, rate, limit
        self.passed = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        # What is not passed on, the sender must hold. Set before a connection stands: a sender that has seen a wide
        # window waits until half of it is free again, asking ever more rarely.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self._sockets = [self._listener]

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                front, _ = self._listener.accept()
            except OSError:
                return
            back = socket.create_connection(("127.0.0.1", self.port_behind))
            self._sockets += [front, back]
            for source, sink, counted in ((front, back, True), (back, front, False)):
                threading.Thread(target=self._pass, args=(source, sink, counted), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        try:
            while self.passed < self.limit and (data := source.recv(8192)):
                if counted:
                    self.passed += len(data)
                    time.sleep(len(data) / self.rate)
                sink.sendall(data)
            if counted and self.passed < self.limit:
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            return
