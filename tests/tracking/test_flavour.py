"""MLflow's sentence_transformers flavour gives the embeddings of the encoder that was trained."""

from pathlib import Path

from transformers import AutoTokenizer

from components.config.encoder import Encoder
from components.encoder.export import embed, export, probes, require_same
from components.encoder.model import SentenceEncoder
from tests.encoder.architectures import checkpoint

CHAT = "{% for message in messages %}<|user|>{{ message['content'] }}<|end|>{% endfor %}"


def test_a_logged_encoder_embeds_as_it_was_trained(mlflow_store: str, tmp_path: Path) -> None:
    import mlflow
    from mlflow import MlflowClient

    from components.tracking.encoder_model import log_encoder

    base = checkpoint("qwen2", tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.chat_template = CHAT  # which plain sentence-transformers puts around every text
    tokenizer.save_pretrained(base)
    encoder = SentenceEncoder.load(base, Encoder.model_validate({"pooling": "last"}))
    folder = export(encoder, tmp_path / "run" / "encoder")
    client = MlflowClient()
    experiment = client.create_experiment("own", artifact_location=(tmp_path / "artifacts").as_uri())
    model = log_encoder(client, client.create_run(experiment).info.run_id, folder)
    texts = probes(encoder.max_length)
    loaded = mlflow.sentence_transformers.load_model(f"models:/{model}")
    require_same(texts, embed(loaded, texts), encoder.encode(texts), "the flavour")
