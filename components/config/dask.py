"""Section `dask`: where the shards of corpus and views are made."""

from typing import Annotated

from pydantic import Field

from components.config.base import Section


class Dask(Section):
    """`scheduler` is `local` (a cluster of this machine's cores while the flow `data` runs) or a cluster's address.

    With null DVC's stages make all shards themselves, on all cores of this machine. The data are the same bytes.
    """

    scheduler: Annotated[str, Field(pattern=r"^(local|(tcp|tls|ws|wss)://.+)$")] | None = None
