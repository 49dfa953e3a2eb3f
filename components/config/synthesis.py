"""Section `synthesis`: tuples written by an LLM from corpus sentences (NGCSE, Li et al. 2024)."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from components.config.base import Section, Share

Pattern = Literal["nli", "sts"]
Nucleus = Annotated[float, Field(gt=0, le=1)]


def _ordered(band: list[float]) -> list[float]:
    if band[0] > band[1]:
        raise ValueError(f"a band is [lowest, highest], and {band[0]:g} is above {band[1]:g}")
    return band


Band = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_ordered)]  # both ends are in it


class Words(Section):
    """How long a sentence may be, in words."""

    min_words: PositiveInt
    max_words: PositiveInt

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_words > self.max_words:
            raise ValueError(f"min_words ({self.min_words}) is above max_words ({self.max_words})")
        return self


class Anchors(Words):
    """The sentences of the corpus that are asked about."""

    min_words: PositiveInt = 8
    max_words: PositiveInt = 24


class Exemplars(Words):
    """The worked examples of the prompts, `count` for each role, drawn by the seed; the bounds hold for their anchors.

    `sts` has the bands of STS-B's scores (0 to 5) from which the pairs of each role are drawn.
    """

    count: Annotated[int, Field(ge=0)] = 3
    min_words: PositiveInt = 10
    max_words: PositiveInt = 24
    min_match_error_rate: Share = 0.4  # of the two sentences of an exemplar: a near copy teaches copying
    max_ratio: Annotated[float, Field(gt=0)] = 1.0  # words of a text for each of its anchor: a long one teaches length
    sts: dict[Literal["positive", "intermediate", "negative"], Band] = {
        "positive": [4.5, 5.0],
        "intermediate": [2.6, 4.1],
        "negative": [0.8, 2.4],
    }


class Filters(Words):
    """What an answer must pass, besides having a text; each can be switched off (null, false, 0, an empty mapping).

    The defaults pass all worked examples of NGCSE's prompts (Li et al. 2024, appendix). `match_error_rate` bounds that
    of the anchor and each text (0: the same words, 1: none in common).
    """

    min_words: PositiveInt = 3  # of each text
    max_words: PositiveInt = 48
    max_ratio: Annotated[float, Field(gt=0)] | None = 2.0  # words of a text for each of its anchor
    min_language: Share = 0.5  # probability that a text is in the corpus's language; 0: any language
    match_error_rate: dict[Pattern, dict[Literal["positive", "intermediate", "negative"], Band]] = {
        "nli": {"positive": [0.2, 1.0], "negative": [0.2, 1.0]},
        "sts": {"positive": [0.2, 0.8], "intermediate": [0.2, 0.85], "negative": [0.5, 1.0]},
    }
    whole: bool = True  # one whole sentence, by the rules of the corpus
    chatter: bool = True  # no words to the user, or about the task
    copies: bool = True  # not the anchor, no other text of the tuple, no names or four words in a row of an exemplar
    leaks: bool = True  # no sentence of the STS tasks
    invented: bool = False  # no name or number in a positive or intermediate that the anchor lacks
    shorter: bool = False  # sts: an intermediate has fewer words than the anchor
    nearer: bool = True  # sts: the negative shares fewer words with the anchor than the intermediate does
    denial: bool = False  # nli: a negative has a word like "not", its positive and anchor have none
    cosine: str | None = None  # source of an encoder to which the levels must be in order too; null: not asked


class Sampling(Section):
    """How an answer's tokens are drawn; `max_tokens` bounds the answer."""

    temperature: Annotated[float, Field(ge=0)] = 0.7
    top_p: Nucleus = 0.95
    max_tokens: PositiveInt = 48


class Local(Section):
    """A causal language model on this machine; `source` names the entry of `sources` with its GGUF or folder.

    `batch_size` answers are worked on at a time; `precision: auto` is bf16 where the hardware does it natively. A
    `guided` answer ends with its first sentence, or as soon as a filter will reject it whatever follows; a negative
    draws another token instead.
    """

    source: str = "llm"
    batch_size: PositiveInt = 64
    guided: bool = True
    precision: Literal["auto", "fp32", "bf16"] = "auto"


class OpenAi(Section):
    """Any server of the OpenAI chat API (OpenAI, vLLM, llama.cpp, Ollama, transformers serve).

    The key comes from the environment variable `key_variable` alone; a server on this machine needs none. `extra` are
    more fields of every request, such as those by which a server switches a model's reasoning off.
    """

    base_url: Annotated[str, Field(pattern=r"^https?://[^@\s]+$")] = "http://127.0.0.1:8000/v1"  # mostly ends in /v1
    model: str = ""
    key_variable: str = "OPENAI_API_KEY"
    concurrency: PositiveInt = 16  # requests in flight
    timeout: Annotated[float, Field(gt=0)] = 60.0  # seconds an answer may take
    extra: dict[str, Any] = {}
    retries: Annotated[int, Field(ge=0)] = 6  # of a request that failed, not of an answer that a filter rejected


class Replay(Section):
    """Answers that an earlier run recorded: a file of them (JSON Lines), or the folder of such files."""

    path: str = ""


class Patience(Section):
    """When a model is given up: less than `min_accepted` of the last `answers` to one role passed; null: never.

    Answers of earlier calls don't count, so that the same command goes on once the cause is removed.
    """

    answers: PositiveInt | None = 200
    min_accepted: Share = 0.02


class Budget(Section):
    """What one stage may spend in all, over every call of it; null: no bound. `money` is in the unit of `price`."""

    requests: PositiveInt | None = None
    tokens: PositiveInt | None = None
    money: Annotated[float, Field(gt=0)] | None = None


class Price(Section):
    """Of a million tokens, in any one currency."""

    prompt: Annotated[float, Field(ge=0)] = 0.0
    completion: Annotated[float, Field(ge=0)] = 0.0


class Synthesis(Section):
    """`tuples` are how many are wanted, `attempts` how often a text is asked for until it passes."""

    backend: Literal["local", "openai", "replay"] = "local"
    tuples: dict[Pattern, PositiveInt] = {"nli": 320, "sts": 320}
    attempts: PositiveInt = 2
    anchors: Anchors = Anchors()
    exemplars: Exemplars = Exemplars()
    filters: Filters = Filters()
    sampling: Sampling = Sampling()
    local: Local = Local()
    openai: OpenAi = OpenAi()
    replay: Replay = Replay()
    patience: Patience = Patience()
    budget: Budget = Budget()
    price: Price = Price()

    @model_validator(mode="after")
    def _backend_is_named(self) -> Self:
        if self.backend == "openai" and not self.openai.model:
            raise ValueError("openai.model: name the model that the server is to answer with")
        if self.backend == "replay" and not self.replay.path:
            raise ValueError("replay.path: name the recorded answers")
        return self
