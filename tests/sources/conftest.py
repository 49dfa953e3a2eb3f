"""A wheel of one's own, and pip shut off from any index but a folder."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Wheel = Callable[..., Path]


@pytest.fixture
def make_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    """`make_wheel({member: bytes}, tag="py3-none-any")` puts cargo 1.0 where pip looks; returns its path."""
    links = tmp_path / "links"
    links.mkdir()
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(links), "CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)

    def make(members: Mapping[str, bytes], tag: str = "py3-none-any") -> Path:
        path = links / f"cargo-1.0-{tag}.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
            archive.writestr("cargo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: cargo\nVersion: 1.0\n")
            archive.writestr("cargo-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
            archive.writestr("cargo-1.0.dist-info/RECORD", "")
        return path

    return make
