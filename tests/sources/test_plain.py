"""https from a server with a certificate of its own on loopback, and files of this machine."""

import datetime
import hashlib
import ipaddress
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from components.config.sources import Source
from components.errors import DataError, UnreachableError
from components.sources import folder_digest, resolve

CONTENT = b"A line of text.\n" * 4096
PIN = hashlib.sha256(CONTENT).hexdigest()


REDIRECTS = {"/moved.txt": "/whole.txt", "/plain.txt": "http://127.0.0.1:9/whole.txt"}


class Server(BaseHTTPRequestHandler):
    """/whole.txt in full; /broken.txt cut off at its first download, in full at later ones; two redirects."""

    broken = True

    def do_GET(self) -> None:
        if self.path in REDIRECTS:
            self.send_response(302)
            self.send_header("Location", REDIRECTS[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path not in {"/whole.txt", "/broken.txt"}:
            self.send_error(404)
            return
        cut = self.path == "/broken.txt" and Server.broken
        Server.broken = False
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // 2] if cut else CONTENT)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    certificate = tmp_path / "server.pem"
    certificate.write_bytes(_certificate())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(Server, "broken", True)
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def _certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    unlocked = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unlocked)
    return private + built.public_bytes(serialization.Encoding.PEM)


def test_an_https_file_is_the_one_file_of_its_folder(https: str, tmp_path: Path) -> None:
    path = resolve(Source(uri=f"{https}/whole.txt", sha256=PIN), tmp_path / "out")
    assert path == tmp_path / "out/whole.txt"
    assert path.read_bytes() == CONTENT


def test_a_relative_folder_serves_too(https: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = resolve(Source(uri=f"{https}/moved.txt", sha256=PIN), Path("data/sources/text"))
    assert path == Path("data/sources/text/moved.txt")
    assert path.read_bytes() == CONTENT


def test_a_redirect_to_http_is_refused(https: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"redirects to http://127\.0\.0\.1:9/whole\.txt, which is not https"):
        resolve(Source(uri=f"{https}/plain.txt"), tmp_path / "out")


def test_a_download_that_breaks_off_leaves_nothing(https: str, tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="could not be downloaded"):
        resolve(Source(uri=f"{https}/broken.txt"), tmp_path / "sources/out")
    assert list((tmp_path / "sources").iterdir()) == []


def test_a_broken_download_is_redone(https: str, tmp_path: Path) -> None:
    source = Source(uri=f"{https}/broken.txt", sha256=PIN)
    with pytest.raises(UnreachableError):
        resolve(source, tmp_path / "out")
    assert resolve(source, tmp_path / "out").read_bytes() == CONTENT


def test_another_https_file_than_the_pinned_is_refused(https: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{'0' * 64}.*{PIN}"):
        resolve(Source(uri=f"{https}/whole.txt", sha256="0" * 64), tmp_path / "out")


def test_a_missing_address_is_an_error(https: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="404"):
        resolve(Source(uri=f"{https}/none.txt"), tmp_path / "out")


@pytest.mark.parametrize("relative", [True, False])
def test_a_local_file_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, relative: bool) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my texts.txt").write_bytes(CONTENT)
    uri = "file://my texts.txt" if relative else f"file://{tmp_path}/my%20texts.txt"
    into = Path("sources/out") if relative else tmp_path / "out"
    assert resolve(Source(uri=uri, sha256=PIN), into) == into / "my texts.txt"


def test_a_local_folder_is_pinned_by_its_sorted_lines(tmp_path: Path) -> None:
    given = tmp_path / "given"
    (given / "b").mkdir(parents=True)
    (given / "b/two.txt").write_bytes(b"2")
    (given / "one.txt").write_bytes(b"1")
    lines = [f"{hashlib.sha256(b'2').hexdigest()}  b/two.txt\n", f"{hashlib.sha256(b'1').hexdigest()}  one.txt\n"]
    pin = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert folder_digest(resolve(Source(uri=f"file://{given}", sha256=pin), tmp_path / "out")) == pin


def test_an_unpinned_local_file_is_taken_anew(tmp_path: Path) -> None:
    given = tmp_path / "given.txt"
    for content in ("old", "new"):
        given.write_text(content)
        assert resolve(Source(uri=f"file://{given}"), tmp_path / "out").read_text() == content


def test_a_missing_local_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        resolve(Source(uri=f"file://{tmp_path}/none.txt"), tmp_path / "out")


def _link_out(folder: Path) -> None:
    (folder / "a.txt").symlink_to(folder.parent / "secret.txt")


def _link_to_parent(folder: Path) -> None:
    (folder / "again").symlink_to(folder)


def _dangling(folder: Path) -> None:
    (folder / "a.txt").symlink_to("nothing")


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


def _no_utf_8(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9")).touch()


@pytest.mark.parametrize("fault", [_link_out, _link_to_parent, _dangling, _pipe, _no_utf_8])
def test_what_a_local_folder_may_not_hold_is_named(tmp_path: Path, fault: Callable[[Path], None]) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    fault(tmp_path / "given")
    with pytest.raises(DataError, match=r"leads outside|neither a file nor a folder|not valid UTF-8"):
        resolve(Source(uri=f"file://{tmp_path}/given"), tmp_path / "out")


def test_a_link_within_a_local_folder_is_copied_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given/a.txt").write_text("a")
    (tmp_path / "given/b.txt").symlink_to("a.txt")
    copied = resolve(Source(uri=f"file://{tmp_path}/given"), tmp_path / "out") / "b.txt"
    assert copied.read_text() == "a" and not copied.is_symlink()


def test_a_folder_that_would_hold_its_own_copy_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="the copy would hold the copy"):
        resolve(Source(uri="file://."), Path("data/sources/all"))


def test_a_device_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither a file nor a folder"):
        resolve(Source(uri="file:///dev/zero"), tmp_path / "out")
