"""Section `variants`: a CSE variant = data + views + objective terms (+ momentum)."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from components.config.base import Fraction, Section

Temperature = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(gt=0)]
HELDOUT = 0.1


class Roles(Section):
    """Which column of a set plays which role: a view's name for `corpus`, a tuple's column for the others."""

    anchor: str
    positive: str
    negative: str | None = None  # hard negative, in InfoNCE's denominator
    negatives: list[str] = []  # likewise, several for each anchor
    near: str | None = None  # entailment triplet: the lightly masked view
    far: str | None = None  # entailment triplet: the heavily masked view
    levels: list[str] = []  # hierarchical triplet: from most to least similar

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.negative is not None and self.negatives:
            raise ValueError("negative and negatives are two ways to say one thing: take negatives for several")
        if len(set(self.negatives)) < len(self.negatives):
            raise ValueError("negatives: a column stands in it twice")
        if (self.near is None) != (self.far is None):
            raise ValueError("near and far go together")
        if len(self.levels) == 1:
            raise ValueError("levels needs at least two columns, from most to least similar")
        return self

    @property
    def hard(self) -> list[str]:
        """The columns of the hard negatives, as many for each anchor."""
        return self.negatives or ([] if self.negative is None else [self.negative])


class Part(Section):
    """One kind of row in every batch; `rows: null` takes what the other parts leave of training.batch_size.

    `set` is `corpus`, `nli` (triplets of a source that people wrote), `tuples/nli` or `tuples/sts` (by an LLM), or
    `sets/<name>`, an entry of section `sets`.

    With `gather` a part has no rows of its own in a batch: as in NGCSE's released code, its rows are shuffled among
    those of the first part, each once an epoch; a batch holds them back until at least `gather` are together, which
    then all stand in it (NGCSE: 48, or 16). `heldout` is the share of a set of tuples that is kept from training, for
    geometry; the corpus has `corpus.heldout`. `prompts` of pooling prompt_mask: `pair` puts the first of
    encoder.templates around the anchor and the last around all else, `first` the first around every text (NGCSE's
    tuples).
    """

    set: Annotated[str, Field(pattern=r"^(corpus|nli|(tuples|sets)/[A-Za-z0-9._-]+)$")]
    rows: PositiveInt | None = None
    gather: PositiveInt | None = None
    heldout: Fraction = HELDOUT
    prompts: Literal["pair", "first"] = "pair"
    roles: Roles

    @property
    def takes_rest(self) -> bool:
        """Whether it takes what the other parts leave of a batch."""
        return self.rows is None and self.gather is None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.rows is not None and self.gather is not None:
            raise ValueError("a part has rows of every batch or gathers them for some: leave rows or gather out")
        if self.set == "corpus" and self.heldout != HELDOUT:
            raise ValueError("heldout: of the corpus it is the split that corpus.heldout makes; set that")
        return self


class InfoNce(Section):
    """`hard_negative_weight` is added to the logits of each anchor's own hard negatives, so that they count e^weight
    times; 0, the code's default, was as good as any in SimCSE, section 6.3, where e^weight is called α."""

    term: Literal["info_nce"]
    weight: Weight = 1.0
    temperature: Temperature = 0.05
    hard_negative_weight: float = 0.0


class ArcCon(Section):
    term: Literal["arccon"]
    weight: Weight = 1.0
    temperature: Temperature = 0.05
    margin_degrees: Annotated[float, Field(ge=0, lt=180)] = 10.0


class EntailmentTriplet(Section):
    """`dropout: false` encodes the three sentences of a triplet with dropout off, apart from the pairs, so that its
    anchor is another embedding than theirs (ArcCSE, figure 2)."""

    term: Literal["entailment_triplet"]
    weight: Weight = 1.0
    margin: Annotated[float, Field(ge=0)] = 0.0
    dropout: bool = True


class HierarchicalTriplet(Section):
    term: Literal["hierarchical_triplet"]
    weight: Weight = 1.0
    margins: list[Annotated[float, Field(ge=0)]]


class Mlm(Section):
    """Masked language modelling beside the other terms, on all of a batch's texts and by the checkpoint's own head
    (SimCSE, appendix D; its code's weight and share of tokens are the defaults here)."""

    term: Literal["mlm"]
    weight: Weight = 0.1
    probability: Fraction = 0.15


Term = Annotated[InfoNce | ArcCon | EntailmentTriplet | HierarchicalTriplet | Mlm, Field(discriminator="term")]


class Momentum(Section):
    """ESimCSE §3.2: a moving average of the encoder fills a queue of `queue` × batch rows with negatives.

    `head` is whose head the queued embeddings go through: `averaged`, as the paper's average of all parameters has it,
    or `online`, the one that is trained, as in ESimCSE's released code.
    """

    decay: Fraction = 0.995
    queue: Annotated[float, Field(gt=0)] = 2.5
    head: Literal["averaged", "online"] = "averaged"


class FalseNegatives(Section):
    """Leaves out of the denominators of info_nce and arccon what a frozen encoder finds more similar to the anchor
    than its positive is, less `margin` (GISTEmbed; MultiCSR): in-batch positives, hard negatives and queue alike.

    `reference` is an entry of `sources`, a sentence-transformers folder. To it all views of a sentence are that
    sentence, so that pairs of the corpus need a margin above 0 for anything to be left out.
    """

    reference: str
    margin: Annotated[float, Field(ge=-2, le=2)] = 0.0


class Composition(Section):
    """What is trained on and by what; without an objective the encoder is measured as it is."""

    data: list[Part] = []
    objective: list[Term] = []
    momentum: Momentum | None = None
    false_negatives: FalseNegatives | None = None

    def parts(self, identity: str) -> list[Part]:
        """Its data; an untrained encoder is measured on SimCSE's, pairs of the view `identity`."""
        return self.data or [Part(set="corpus", roles=Roles(anchor=identity, positive=identity))]

    @property
    def mlm(self) -> Mlm | None:
        """Its term of masked language modelling, if there is one."""
        return next((term for term in self.objective if isinstance(term, Mlm)), None)

    @property
    def triplets_apart(self) -> bool:
        """Whether span masks and their sentences are encoded with dropout off."""
        return any(isinstance(term, EntailmentTriplet) and not term.dropout for term in self.objective)

    @model_validator(mode="after")
    def _composed(self) -> Self:
        if bool(self.data) != bool(self.objective):
            raise ValueError("data and objective go together; leave both out for an untrained encoder")
        if sum(part.takes_rest for part in self.data) > 1:
            raise ValueError("only one part of data may leave rows out")
        if self.data and self.data[0].gather is not None:
            raise ValueError("the first part of data counts an epoch, and others gather among its rows: give it rows")
        terms = {term.term for term in self.objective}
        needs = {
            "entailment_triplet": any(part.roles.near for part in self.data),
            "hierarchical_triplet": any(part.roles.levels for part in self.data),
        }
        for term, met in needs.items():
            if term in terms and not met:
                raise ValueError(f"objective term {term} needs a part of data with its roles")
            if met and term not in terms:
                raise ValueError(f"data has roles for {term}, which is no term of the objective")
        for graded in self.objective:
            if isinstance(graded, HierarchicalTriplet):
                levels = {len(part.roles.levels) for part in self.data if part.roles.levels}
                if levels != {len(graded.margins) + 1}:
                    raise ValueError("hierarchical_triplet needs one margin fewer than there are levels")
        if terms == {"mlm"}:
            raise ValueError("mlm stands beside another term of the objective: it trains no embedding of a sentence")
        hard = any(part.roles.hard for part in self.data)
        if not hard and any(isinstance(term, InfoNce) and term.hard_negative_weight for term in self.objective):
            raise ValueError("hard_negative_weight needs a part of data with the role negative or negatives")
        if sum(isinstance(term, Mlm) for term in self.objective) > 1:
            raise ValueError("mlm may be a term of the objective once")
        if len({term.dropout for term in self.objective if isinstance(term, EntailmentTriplet)}) > 1:
            raise ValueError("terms entailment_triplet share their sentences: give all of them one dropout")
        if self.momentum and "info_nce" not in terms and "arccon" not in terms:
            raise ValueError("momentum feeds negatives to info_nce, which is no term of the objective")
        if self.false_negatives and "info_nce" not in terms and "arccon" not in terms:
            raise ValueError("false_negatives is of info_nce and arccon, neither of which is a term of the objective")
        return self


class Published(Section):
    """What a paper reports of a variant under this profile: `source` is paper and table, `sts` task or avg → ×100."""

    source: Annotated[str, Field(min_length=1)]
    sts: dict[str, Annotated[float, Field(ge=-100, le=100)]]


class Variant(Composition):
    """An entry of `variants`; `encoder` and `training` override single keys of those sections for it alone.

    `published` stands beside its scores in the report, and decides nothing.
    """

    description: str
    published: Published | None = None
    encoder: dict[str, Any] = {}
    training: dict[str, Any] = {}

    @property
    def composition(self) -> Composition:
        """The part of it that decides a run's numbers, beside the sections that it overrides."""
        return Composition(**{name: getattr(self, name) for name in Composition.model_fields})
