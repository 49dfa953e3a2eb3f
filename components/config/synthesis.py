"""Section `synthesis`: tuples written by an LLM from corpus sentences (NGCSE, Li et al. 2024)."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.config.base import Positive, Section

Nucleus = Annotated[float, Field(gt=0, le=1)]


class Sampling(Section):
    """How an answer's tokens are drawn; `max_tokens` bounds the answer."""

    temperature: Annotated[float, Field(ge=0)] = 0.7
    top_p: Nucleus = 0.95
    max_tokens: Positive = 128


class Local(Section):
    """A causal language model on this machine; `source` names the entry of `sources` with its GGUF or folder.

    `batch_size` answers are worked on at a time; `precision: auto` is bf16 where the hardware does it natively.
    """

    source: str = "llm"
    batch_size: Positive = 64
    precision: Literal["auto", "fp32", "bf16"] = "auto"


class OpenAi(Section):
    """Any server of the OpenAI chat API (OpenAI, vLLM, llama.cpp, Ollama, transformers serve).

    The key comes from the environment variable `key_variable` alone; a server on this machine needs none.
    """

    base_url: Annotated[str, Field(pattern=r"^https?://[^@\s]+$")] = "http://127.0.0.1:8000/v1"  # mostly ends in /v1
    model: str = ""
    key_variable: str = "OPENAI_API_KEY"
    concurrency: Positive = 16  # requests in flight
    timeout: Annotated[float, Field(gt=0)] = 60.0  # seconds an answer may take
    retries: Annotated[int, Field(ge=0)] = 6  # of a request that failed, not of an answer that a filter rejected


class Replay(Section):
    """Answers that an earlier run recorded: a file of them (JSON Lines), or the folder of such files."""

    path: str = ""


class Budget(Section):
    """What one stage may spend in all, over every call of it; null: no bound. `money` is in the unit of `price`."""

    requests: Positive | None = None
    tokens: Positive | None = None
    money: Annotated[float, Field(gt=0)] | None = None


class Price(Section):
    """Of a million tokens, in any one currency."""

    prompt: Annotated[float, Field(ge=0)] = 0.0
    completion: Annotated[float, Field(ge=0)] = 0.0


class Synthesis(Section):
    """`attempts` is how often a sentence is asked about until an answer passes the filters."""

    backend: Literal["local", "openai", "replay"] = "local"
    tuples: dict[Literal["nli", "sts"], Positive] = {"nli": 320, "sts": 320}
    attempts: Positive = 2
    sampling: Sampling = Sampling()
    local: Local = Local()
    openai: OpenAi = OpenAi()
    replay: Replay = Replay()
    budget: Budget = Budget()
    price: Price = Price()

    @model_validator(mode="after")
    def _backend_is_named(self) -> Self:
        if self.backend == "openai" and not self.openai.model:
            raise ValueError("openai.model: name the model that the server is to answer with")
        if self.backend == "replay" and not self.replay.path:
            raise ValueError("replay.path: name the recorded answers")
        return self
