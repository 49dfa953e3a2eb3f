"""What a stage may still ask, all its calls together and what is under way counted as dear as it can become."""

from components.config.synthesis import Budget, Price
from components.synthesis.ledger import Spent

TOKENS_PER_CHARACTER = 0.5  # of a prompt, until an answer tells; English takes about 0.25
MARGIN = 1.05  # over the dearest prompt seen, for one that is dearer


class Purse:
    """Counts requests under way against a budget; `spent` is what all calls so far have come to."""

    def __init__(self, budget: Budget, price: Price, max_tokens: int, spent: Spent) -> None:
        self.spent = spent
        self._budget, self._price, self._max_tokens = budget, price, max_tokens
        self._ratio: float | None = None  # the highest number of prompt tokens for a character that was seen
        self._under_way: dict[str, int] = {}  # key: characters

    def take(self, key: str, characters: int) -> str | None:
        """Count the request `key` as under way, or say which bound it might pass: requests, tokens or money."""
        waiting = [*self._under_way.values(), characters]
        ratio = TOKENS_PER_CHARACTER if self._ratio is None else self._ratio
        then = self.spent.plus(len(waiting), round(ratio * sum(waiting)), self._max_tokens * len(waiting))
        for what, bound, value in (
            ("requests", self._budget.requests, then.requests),
            ("tokens", self._budget.tokens, then.tokens),
            ("money", self._budget.money, then.money(self._price)),
        ):
            if bound is not None and value > bound:
                return what
        self._under_way[key] = characters
        return None

    def settle(self, key: str, prompt_tokens: int, completion_tokens: int) -> None:
        """The request `key` is answered and has cost so much."""
        characters = self._under_way.pop(key)
        self._ratio = max(self._ratio or 0.0, MARGIN * prompt_tokens / max(characters, 1))
        self.spent = self.spent.plus(1, prompt_tokens, completion_tokens)


def part(budget: Budget, price: Price, spent: Spent, of: int) -> Budget:
    """What one of `of` processes that begin now may let the sum come to: what is spent, and its part of the rest."""

    def bound(whole: float | None, so_far: float) -> float | None:
        return None if whole is None else so_far + (whole - so_far) / of

    if of == 1:
        return budget
    return budget.model_copy(
        update={
            "requests": bound(budget.requests, spent.requests),
            "tokens": bound(budget.tokens, spent.tokens),
            "money": bound(budget.money, spent.money(price)),
        }
    )
