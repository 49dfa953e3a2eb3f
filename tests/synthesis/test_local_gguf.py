"""A GGUF is converted once, to the weights, tokenizer and chat template that it holds."""

import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from components.errors import DataError
from components.synthesis.backends.local.folder import model_folder
from tests.synthesis.tiny_llm import TEMPLATE, as_folder, as_gguf, tiny_llama


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return as_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="module")
def folder(gguf: Path) -> Path:
    return model_folder(gguf, gguf.parent / "converted")


def test_weights_are_those_of_the_gguf(folder: Path) -> None:
    weights = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    for name, weight in tiny_llama().state_dict().items():
        torch.testing.assert_close(weights[name], weight, rtol=0, atol=0)


def test_tokens_and_chat_template_are_those_of_the_gguf(folder: Path, tmp_path: Path) -> None:
    converted = AutoTokenizer.from_pretrained(folder)
    assert converted.chat_template == TEMPLATE
    messages = [{"role": "user", "content": "Café, 1999 — <|im_end|>\n\nnaïve?"}]
    expected = AutoTokenizer.from_pretrained(as_folder(tmp_path / "tiny")).apply_chat_template(messages)
    assert converted.apply_chat_template(messages) == expected


def test_a_conversion_is_used_again(gguf: Path, folder: Path, tmp_path: Path) -> None:
    before = (folder / "model.safetensors").stat().st_mtime_ns
    shutil.copy(gguf, tmp_path / "other.gguf")
    assert model_folder(tmp_path, folder.parent) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize("size", [0, 3, 5_000, 60_000])
def test_a_truncated_gguf_is_refused_and_leaves_nothing(gguf: Path, tmp_path: Path, size: int) -> None:
    (tmp_path / "cut.gguf").write_bytes(gguf.read_bytes()[:size])
    with pytest.raises(DataError, match=r"cut\.gguf is no GGUF model"):
        model_folder(tmp_path / "cut.gguf", tmp_path / "converted")
    assert not list(tmp_path.glob("converted/*"))


def test_a_transformers_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert model_folder(as_folder(tmp_path / "tiny")) == tmp_path / "tiny"
