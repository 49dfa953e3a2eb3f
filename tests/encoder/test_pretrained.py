"""Bases that are not as BERT is: read soundly, or refused in a sentence."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize
from transformers import AutoModel, AutoTokenizer

from components.config.encoder import Encoder
from components.encoder.batch import HIDDEN, token_batch
from components.encoder.export import export
from components.encoder.model import SentenceEncoder
from components.encoder.pretrained import left_out, load_tokenizer, load_transformer
from components.errors import ConfigError, CseflowError, DataError
from tests.encoder.architectures import DECODERS, ENCODERS, SEQUENCE_TO_SEQUENCE, checkpoint

KINDS = [*ENCODERS, *DECODERS, *SEQUENCE_TO_SEQUENCE]
TEXTS = ["the cat sat .", "a dog", "  The OLD\tking ", "the old king made two red books and his queen saw the city ."]
CHAT = "{% for m in messages %}<|end|>{{ m['role'] }}: {{ m['content'] }}<|end|>{% endfor %}"


def plain(folder: Path) -> np.ndarray:
    """What plain sentence-transformers gives for TEXTS."""
    return SentenceTransformer(str(folder), device="cpu").encode(TEXTS, batch_size=2)


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def encoder_states(folder: Path, ids: list[int], attended: list[int] | None = None) -> torch.Tensor:
    """Last states (tokens, dim) that transformers' own model, or its encoder, gives for one text."""
    model = AutoModel.from_pretrained(folder).eval()
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    mask = None if attended is None else torch.tensor([attended])
    with torch.no_grad():
        return model(torch.tensor([ids]), attention_mask=mask).last_hidden_state[0]


@pytest.mark.parametrize("kind", KINDS)
def test_embeddings_are_those_of_each_text_alone_without_padding(kind: str, tmp_path: Path) -> None:
    folder = checkpoint(kind, tmp_path / "base")
    encoder = SentenceEncoder.load(folder, Encoder(pooling="mean"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    alone = [encoder_states(folder, tokenizer(text).input_ids).mean(0) for text in TEXTS]
    np.testing.assert_allclose(encoder.encode(TEXTS), torch.stack(alone).numpy(), rtol=0, atol=1e-5)


def test_a_chat_template_is_not_exported(tmp_path: Path) -> None:
    folder = checkpoint("qwen2", tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(folder)
    encoder = SentenceEncoder.load(folder, Encoder(pooling="last"))
    np.testing.assert_allclose(plain(export(encoder, tmp_path / "out")), encoder.encode(TEXTS), rtol=0, atol=1e-5)


def test_an_export_that_reads_back_otherwise_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    encoder = SentenceEncoder.load(checkpoint("qwen2", tmp_path / "base"), Encoder(pooling="mean"))
    encoder.tokenizer.chat_template = CHAT  # as if loading had kept it
    with pytest.raises(CseflowError, match=r"the exported folder embeds '.*' [\d.]+ of its length away"):
        export(encoder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_prompts_of_a_base_are_not_exported(tiny_encoder: Path, tmp_path: Path) -> None:
    base = SentenceTransformer(str(tiny_encoder), device="cpu", prompts={"q": "the old "}, default_prompt_name="q")
    base.save(str(tmp_path / "base"))
    encoder = SentenceEncoder.load(tmp_path / "base", Encoder())
    np.testing.assert_allclose(plain(export(encoder, tmp_path / "out")), encoder.encode(TEXTS), rtol=0, atol=1e-6)
    assert left_out(tmp_path / "base", "mean") == ["default prompt 'q'"]


def test_what_a_base_does_beside_its_transformer_is_named(tiny_encoder: Path, tmp_path: Path) -> None:
    assert left_out(tiny_encoder, "mean") == []
    assert left_out(tiny_encoder, "cls") == ["pooling mean (encoder.pooling is cls)"]
    base = SentenceTransformer(str(tiny_encoder), device="cpu", prompts={"query": "query: ", "document": ""})
    base.append(Dense(32, 8))
    base.save(str(tmp_path / "base"))
    assert left_out(tmp_path / "base", "mean") == ["module Dense", "prompt 'query'"]


def test_the_normalisation_of_a_base_is_kept(tiny_encoder: Path, tmp_path: Path) -> None:
    base = SentenceTransformer(str(tiny_encoder), device="cpu")
    base.append(Normalize())
    base.save(str(tmp_path / "base"))
    assert left_out(tmp_path / "base", "mean") == []
    encoder = SentenceEncoder.load(tmp_path / "base", Encoder())
    given = plain(export(encoder, tmp_path / "out"))
    np.testing.assert_allclose(given, encoder.encode(TEXTS), rtol=0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(given, axis=1), 1, atol=1e-6)


def test_a_base_whose_transformer_lies_in_a_folder_of_its_own_is_read_there(tiny_encoder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_encoder, tmp_path / "base/0_Transformer")
    modules = [{"path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}]
    (tmp_path / "base/modules.json").write_text(json.dumps(modules))
    np.testing.assert_array_equal(
        SentenceEncoder.load(tmp_path / "base", Encoder()).encode(TEXTS),
        SentenceEncoder.load(tiny_encoder, Encoder()).encode(TEXTS),
    )


def test_an_exported_prompt_encoder_is_read_without_its_prompt(tiny_encoder: Path, tmp_path: Path) -> None:
    prompted = SentenceEncoder.load(
        tiny_encoder, Encoder(pooling="prompt_mask", templates=["this old [X] is the [MASK] ."])
    )
    again = SentenceEncoder.load(export(prompted, tmp_path / "prompted"), Encoder(pooling="mean"))
    np.testing.assert_allclose(
        again.encode(TEXTS), SentenceEncoder.load(tiny_encoder, Encoder()).encode(TEXTS), rtol=0, atol=1e-6
    )
    np.testing.assert_allclose(plain(export(again, tmp_path / "out")), again.encode(TEXTS), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_a_tokenizer_without_padding_token_pads_with_its_last(kind: str, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(checkpoint(kind, tmp_path / "base"))
    assert tokenizer.pad_token == "<|end|>"


def test_a_tokenizer_with_nothing_to_pad_with_is_refused(tmp_path: Path) -> None:
    folder = checkpoint("gpt2", tmp_path / "base")
    edit(folder / "tokenizer_config.json", eos_token=None, bos_token=None)
    with pytest.raises(ConfigError, match="no padding token, and no other special token to pad with"):
        load_tokenizer(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_a_hidden_token_does_not_shift_those_after_it(kind: str, tmp_path: Path) -> None:
    """Against transformers' own model, which is given the whole text and an attention mask."""
    folder = checkpoint(kind, tmp_path / "base")
    encoder = SentenceEncoder.load(folder, Encoder()).eval()
    [whole] = encoder.tokenise([TEXTS[3]])
    attended = np.arange(len(whole)) != 2
    states = encoder_states(folder, whole.tolist(), attended.astype(int).tolist())
    embedded = encoder(token_batch([np.where(attended, whole, HIDDEN)]))
    torch.testing.assert_close(embedded, states[attended].mean(0)[None], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "most"),
    [("bert", 66), ("roberta", 64), ("mpnet", 64), ("gpt2", 66), ("bart", 66), ("t5", None)],
)
def test_a_sequence_may_be_as_long_as_positions_allow(kind: str, most: int | None, tmp_path: Path) -> None:
    encoder = SentenceEncoder.load(checkpoint(kind, tmp_path / "base"), Encoder(max_length=200))
    assert (encoder.positions, encoder.max_length) == (most, most or 200)
    wrapped = encoder.wrap(np.full(300, 7, dtype=np.int32), encoder.anchor_template)
    assert len(wrapped) == (most or 300 + len(encoder.anchor_template.ids))
    assert np.isfinite(encoder.embed_sequences([wrapped])).all()


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_set_in_every_architecture(kind: str, tmp_path: Path) -> None:
    folder = checkpoint(kind, tmp_path / "base")

    def differ(rate: float) -> bool:
        encoder = SentenceEncoder.load(folder, Encoder(dropout=rate))
        one, other = encoder.embed_sequences(encoder.tokenise([TEXTS[3]] * 2), dropout=True)
        return not np.allclose(one, other)

    assert differ(0.3) and not differ(0.0)


def test_dropout_is_refused_where_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "mamba", "hidden_size": 8}')
    with pytest.raises(ConfigError, match=r"encoder.dropout: 'mamba' of .* has no dropout to set"):
        load_transformer(tmp_path, 0.1)


def test_a_configuration_that_transformers_refuses_is_one_sentence(tmp_path: Path) -> None:
    folder = checkpoint("bert", tmp_path / "base")
    edit(folder / "config.json", hidden_dropout_prob=None)
    with pytest.raises(DataError, match=r"holds no readable transformers checkpoint: .*hidden_dropout_prob"):
        load_transformer(folder)


def test_an_encoder_decoder_without_an_encoder_of_its_own_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "pegasus"}')
    with pytest.raises(ConfigError, match="'pegasus' is an encoder-decoder whose encoder can't be loaded alone"):
        load_transformer(tmp_path)


def test_layers_of_a_bart_can_not_be_mixed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"encoder.pooling: last_two_mean reads several layers, .* of a 'bart'"):
        SentenceEncoder.load(checkpoint("bart", tmp_path / "base"), Encoder(pooling="last_two_mean"))


def test_a_folder_that_holds_an_adapter_alone_is_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_encoder, tmp_path / "base")
    (tmp_path / "base/adapter_config.json").write_text('{"base_model_name_or_path": "some/llama"}')
    with pytest.raises(ConfigError, match="holds an adapter of 'some/llama', not a whole checkpoint; merge it"):
        SentenceEncoder.load(tmp_path / "base", Encoder())


def test_a_checkpoint_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    folder = checkpoint("bert", tmp_path / "base")
    edit(folder / "config.json", num_hidden_layers=3)
    with pytest.raises(DataError, match=r"lacks 16 weights of its architecture 'bert', the first encoder.layer.2"):
        load_transformer(folder)


@pytest.mark.parametrize("known", [True, False])
def test_code_of_a_checkpoint_is_not_run(known: bool, tmp_path: Path) -> None:
    folder = checkpoint("bert", tmp_path / "base")
    spoor = tmp_path / "run"
    for name in ("configuration_own", "modeling_own", "tokenization_own"):
        (folder / f"{name}.py").write_text(f"from pathlib import Path\nPath({str(spoor)!r}).touch()\n")
    auto_map = {"AutoConfig": "configuration_own.Own", "AutoModel": "modeling_own.Own"}
    edit(folder / "config.json", auto_map=auto_map, **({} if known else {"model_type": "own"}))
    edit(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["tokenization_own.Own", None]})
    if known:
        assert isinstance(load_transformer(folder), type(AutoModel.from_pretrained(checkpoint("bert", tmp_path / "b"))))
        load_tokenizer(folder)
    else:
        with pytest.raises(ConfigError, match=r"needs code of its own \(auto_map in its config.json\), which is never"):
            load_transformer(folder)
    assert not spoor.exists()
