"""From rows to one batch: every text of every role in one pass through the encoder, and who is who."""

from collections.abc import Callable, Mapping, Sequence
from typing import NotRequired, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray

from components.config.variants import Composition
from components.encoder.batch import TokenBatch, token_batch
from components.encoder.model import SentenceEncoder
from components.encoder.templates import Template, TokenIds
from components.training.rows import PartRows, Rows

# Of a part: rows to the reference's embeddings of each column that it is asked about, each (rows, dim).
References = Callable[[Rows], Mapping[str, NDArray[np.float32]]]

ANCHOR_OF_LEVELS = "graded_anchor"
ANCHOR_OF_MASKS = "triplet_anchor"
NEGATIVE, ANCHOR_OF_NEGATIVE = "negative_{}", "hard_anchor_{}"  # the k-th of each anchor that has so many


def role_names(variant: Composition) -> list[str]:
    """Every role that a batch of `variant` may have, in a fixed order."""
    levels = max((len(part.roles.levels) for part in variant.data), default=0)
    hard = max((len(part.roles.hard) for part in variant.data), default=0)
    named = ["anchor", "positive", "near", "far", ANCHOR_OF_MASKS, ANCHOR_OF_LEVELS]
    named += [role.format(k) for k in range(hard) for role in (NEGATIVE, ANCHOR_OF_NEGATIVE)]
    return named + [f"level_{k}" for k in range(levels)]


class Batch(TypedDict):
    """`tokens`: the texts; `undropped`: those that are encoded with dropout off, whose rows are counted on from there;
    `roles`: for each role of `components.variants.Embeddings` the rows that play it; `reference`: (texts, dim) of the
    encoder that tells false negatives, 0 for roles that it isn't asked about."""

    tokens: TokenBatch
    roles: dict[str, torch.Tensor]
    undropped: NotRequired[TokenBatch]
    reference: NotRequired[torch.Tensor]


class Collator:
    """Builds a `Batch` from (part, row) pairs.

    Anchor and positive are always encoded apart, so that they differ by dropout even where they are one text; other
    roles that name the positive's column, or one another's, share one embedding.
    """

    def __init__(
        self,
        parts: Sequence[PartRows],
        encoder: SentenceEncoder,
        *,
        rows: int | None = None,
        triplets_apart: bool = False,
        references: Sequence[References] = (),
    ) -> None:
        """`rows` bounds each padded tensor (None: all texts in one); `triplets_apart` is the composition's;
        `references` are those of each part, where a reference tells false negatives."""
        self._parts = parts
        self._wrap = encoder.wrap
        self._anchor, self._view = encoder.anchor_template, encoder.view_template
        self._rows = rows
        self._triplets_apart = triplets_apart
        self._references = references

    def __call__(self, pairs: Sequence[tuple[int, int]]) -> Batch:
        sequences: list[TokenIds] = []
        roles: dict[str, list[int]] = {"anchor": [], "positive": []}
        undropped: list[TokenIds] = []
        apart: dict[str, list[int]] = {}

        asked: list[tuple[int, str, int]] = []  # part, column and row of each sequence

        def add(role: str, ids: TokenIds, template: Template, source: tuple[int, str, int]) -> int:
            roles.setdefault(role, []).append(len(sequences))
            sequences.append(self._wrap(ids, template))
            asked.append(source)
            return len(sequences) - 1

        seen: dict[tuple[int, str], NDArray[np.float32]] = {}
        drawn = np.asarray(pairs, dtype=np.int64)
        for number, part in enumerate(self._parts):
            rows = drawn[drawn[:, 0] == number, 1]
            if not len(rows):
                continue
            names = part.part.roles
            view = self._anchor if part.part.prompts == "first" else self._view
            if self._references:
                seen |= {(number, name): each for name, each in self._references[number](rows).items()}
            taken = {name: column.take(rows) for name, column in part.columns.items()}
            for i in range(len(rows)):
                text = {name: ids for name, column in taken.items() if (ids := column[i]) is not None}
                anchor = add("anchor", text[names.anchor], self._anchor, (number, names.anchor, i))
                placed = {names.positive: add("positive", text[names.positive], view, (number, names.positive, i))}
                others = [(NEGATIVE.format(k), name) for k, name in enumerate(names.hard)]
                for k in range(len(others)):
                    roles.setdefault(ANCHOR_OF_NEGATIVE.format(k), []).append(anchor)
                if names.near in text and names.far in text:
                    if self._triplets_apart:
                        for role, name, template in (
                            (ANCHOR_OF_MASKS, names.anchor, self._anchor),
                            ("near", names.near, view),
                            ("far", names.far, view),
                        ):
                            apart.setdefault(role, []).append(len(undropped))
                            undropped.append(self._wrap(text[name], template))
                    else:
                        others += [("near", names.near), ("far", names.far)]
                        roles.setdefault(ANCHOR_OF_MASKS, []).append(anchor)
                if names.levels:
                    others += [(f"level_{k}", name) for k, name in enumerate(names.levels)]
                    roles.setdefault(ANCHOR_OF_LEVELS, []).append(anchor)
                for role, name in others:
                    if name in placed:
                        roles.setdefault(role, []).append(placed[name])
                    else:
                        placed[name] = add(role, text[name], view, (number, name, i))
        roles |= {role: [len(sequences) + place for place in places] for role, places in apart.items()}
        batch: Batch = {
            "tokens": token_batch(sequences, rows=self._rows),
            "roles": {role: torch.tensor(places) for role, places in roles.items()},
        }
        if undropped:
            batch["undropped"] = token_batch(undropped, rows=self._rows)
        if seen:
            reference = np.zeros((len(sequences) + len(undropped), next(iter(seen.values())).shape[1]), np.float32)
            for place, (number, name, i) in enumerate(asked):
                if (number, name) in seen:
                    reference[place] = seen[number, name][i]
            batch["reference"] = torch.from_numpy(reference)
        return batch
