"""What counts as a change of our own code."""

from pathlib import Path

import pytest

from components.code import code_digests

MAIN = '''"""Makes things."""
import numpy

from components.tools import cut

def main():
    """Begin."""
    from components.room.late import shown  # slow to import
    return shown(cut())
'''


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A package `components` with a room of two modules, a template, and tools beside it."""
    files = {
        "room/main.py": MAIN,
        "room/late.py": "def shown(text):\n    return text\n",
        "room/__init__.py": "",
        "room/prompts/a.md": "Say it.\n",
        "room/other.py": "def unused():\n    return 1\n",
        "tools.py": "from components import errors\n\ndef cut():\n    return 'a'\n",
        "errors.py": "class E(Exception): ...\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def digests(root: Path) -> dict[str, str]:
    return code_digests(["components.room.main"], ["components.errors"], root)


def test_what_is_imported_counts_late_or_early_with_the_files_beside_it(root: Path) -> None:
    rooms = [f"components/room/{name}" for name in ("__init__.py", "late.py", "main.py", "prompts/a.md")]
    assert list(digests(root)) == [*rooms, "components/tools.py"]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("room/main.py", "Begin.", "Begin anew."),
        ("room/main.py", "  # slow to import", ""),
        ("tools.py", "\n\n", "\n\n# a remark\n\n"),
        ("errors.py", "E(", "F("),
        ("room/other.py", "1", "2"),
    ],
)
def test_no_change_of_what_is_done_is_none(root: Path, name: str, old: str, new: str) -> None:
    before = digests(root)
    (root / name).write_text((root / name).read_text().replace(old, new))
    assert digests(root) == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("room/late.py", "return text", "return text + text"),
        ("room/prompts/a.md", "Say", "Tell"),
        ("tools.py", "'a'", "'b'"),
    ],
)
def test_another_code_or_prompt_is_a_change_of_that_file_alone(root: Path, name: str, old: str, new: str) -> None:
    before = digests(root)
    (root / name).write_text((root / name).read_text().replace(old, new))
    after = digests(root)
    assert [path for path in after if before.get(path) != after[path]] == [f"components/{name}"]
