"""An encoder's folder pushed to a hub on loopback by the hub's own client."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from components.card.card import CARD, HERE
from components.card.hub import name_in_card, push
from components.errors import ConfigError, CseflowError, UnreachableError
from tests.sources.hub import HubServer

FILES = {CARD: b"---\nlicense: mit\n---\n\n# Card\n", "model.safetensors": b"weights", "1_Pooling/config.json": b"{}"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        path = tmp_path / "encoder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "encoder"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub where `secret-of-lab` may write for lab; another's repository is there."""
    repositories = {"models/other/theirs": {"config.json": b"{}"}, "models/lab/old": {"1_Dense/config.json": b"{}"}}
    with HubServer(repositories, {"secret-of-lab": "lab"}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", "secret-of-lab")
        monkeypatch.setenv("no_proxy", "*")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        yield server


def test_the_repository_holds_the_folder_after_one_commit(hub: HubServer, folder: Path) -> None:
    done = push(folder, "lab/new", message="a run")
    assert hub.repositories["models/lab/new"] == FILES
    assert (done.url, done.removed, hub.commits) == (f"{hub.url}/lab/new", [], ["a run"])


def test_what_the_folder_does_not_have_is_removed_there(hub: HubServer, folder: Path) -> None:
    assert push(folder, "lab/old").removed == ["1_Dense/config.json"]
    assert hub.repositories["models/lab/old"] == FILES


def test_an_adapter_of_a_base_on_this_machine_is_not_sent(hub: HubServer, folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "/home/me/base"}')
    with pytest.raises(CseflowError, match=r"base_model_name_or_path is /home/me/base on this machine; name the base"):
        push(folder, "lab/new")
    assert "models/lab/new" not in hub.repositories


def test_a_private_one_is_private_and_a_public_one_does_not_become_it(hub: HubServer, folder: Path) -> None:
    push(folder, "lab/hidden", private=True)
    assert hub.private == {"lab/hidden"}
    with pytest.raises(CseflowError, match=r"lab/old is public on .*make it private in its settings"):
        push(folder, "lab/old", private=True)
    assert set(hub.repositories["models/lab/old"]) == {"1_Dense/config.json"}


@pytest.mark.parametrize("repository", ["other/theirs", "other/new"])
def test_another_s_repository_is_refused_in_one_sentence(hub: HubServer, folder: Path, repository: str) -> None:
    with pytest.raises(CseflowError, match=f"the token may not write to {repository}") as raised:
        push(folder, repository)
    assert "\n" not in str(raised.value) and set(hub.repositories["models/other/theirs"]) == {"config.json"}


def test_without_a_token_nothing_is_sent(hub: HubServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(folder.parent / "none"))
    with pytest.raises(ConfigError, match=f"there is no token for {hub.url}: set HF_TOKEN"):
        push(folder, "lab/new")


def test_a_wrong_token_is_refused_and_not_told(hub: HubServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "a-wrong-secret")
    with pytest.raises(ConfigError, match="does not accept the token") as raised:
        push(folder, "lab/new")
    assert "a-wrong-secret" not in str(raised.value)


def test_a_hub_that_is_away_is_one_sentence(hub: HubServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UnreachableError, match=r"no hub answers at http://127\.0\.0\.1:9") as raised:
        push(folder, "lab/new")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["encoder", "a/b/c", "a b/c", "/c"])
def test_what_is_no_repository_is_named(folder: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="write OWNER/NAME"):
        push(folder, name)


def test_the_card_s_example_loads_the_repository(folder: Path) -> None:
    (folder / CARD).write_text(f'SentenceTransformer("{HERE}")')
    name_in_card(folder, "lab/new")
    assert (folder / CARD).read_text() == 'SentenceTransformer("lab/new")'
