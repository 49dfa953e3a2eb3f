"""A model's GGUF made into a plain transformers folder, once."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import gguf
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from components.errors import DataError
from components.files import file_digest, folder_written_whole

CONVERTED = Path(".state/llm")  # <sha256 of the GGUF, 16 digits>/: config, float32 weights, tokenizer


def model_folder(path: Path, converted: Path = CONVERTED) -> Path:
    """The transformers folder of `path`: itself, or what its GGUF was converted to, under `converted`.

    A conversion takes a quarter of a minute; it is kept under the file's digest and found there the next time.

    Args:
        path: a transformers folder, a GGUF file, or a folder with one.

    Raises:
        DataError: there is no model at `path`, or its GGUF is broken.
    """
    if (path / "config.json").is_file():
        return path
    files = [path] if path.is_file() else sorted(path.glob("*.gguf"))
    if len(files) != 1:
        raise DataError(f"{path} holds {len(files)} GGUF files; give a transformers folder, or one GGUF")
    folder = converted / file_digest(files[0])[:16]
    if not folder.is_dir():
        with folder_written_whole(folder) as aside:
            _convert(files[0], aside)
    return folder


def _convert(source: Path, folder: Path) -> None:
    bar = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with _parsed_once():
            place, name = source.parent, source.name
            tokenizer = AutoTokenizer.from_pretrained(place, gguf_file=name, trust_remote_code=False)
            model = AutoModelForCausalLM.from_pretrained(
                place, gguf_file=name, dtype=torch.float32, trust_remote_code=False
            )
    except Exception as error:  # whatever a parser meets in broken bytes
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise DataError(
            f"{source} is no GGUF model that transformers can read ({reason}); fetch the file again"
        ) from error
    finally:
        if bar:
            logging.enable_progress_bar()
    if not tokenizer.chat_template:
        raise DataError(f"{source} has no chat template; take a GGUF of an instruction-tuned model")
    del model.config.quantization_config  # the weights no longer are quantised
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    tied = set(model.all_tied_weights_keys)
    weights = {name: weight.contiguous() for name, weight in model.state_dict().items() if name not in tied}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    tokenizer.save_pretrained(folder)


@contextmanager
def _parsed_once() -> Iterator[None]:
    """Have transformers parse a GGUF's vocabulary once, not for the config, the tokenizer and the weights anew.

    And the names of an architecture's tensors, else made again for every module; both take seconds.
    """
    plain = {name: getattr(gguf, name) for name in ("GGUFReader", "get_tensor_name_map")}
    for name, function in plain.items():
        setattr(gguf, name, cache(function))
    try:
        yield
    finally:
        for name, function in plain.items():
            setattr(gguf, name, function)
