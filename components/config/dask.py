"""Section `dask`: where the shards of corpus and views are made, and who asks the LLM."""

from typing import Annotated

from pydantic import Field, PositiveInt

from components.config.base import Section


class Dask(Section):
    """`scheduler` is `local` (a cluster of this machine's cores while the flow `data` runs) or a cluster's address.

    With null DVC's stages make all shards themselves, on all cores of this machine. The data are the same bytes. A
    synthesis is asked for in `synthesis_shares` tasks side by side; with 1, or without a scheduler, its stage asks.
    """

    scheduler: Annotated[str, Field(pattern=r"^(local|(tcp|tls|ws|wss)://.+)$")] | None = None
    synthesis_shares: PositiveInt = 1
