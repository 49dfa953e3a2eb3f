"""What a frozen encoder says of the training texts: its embeddings, taken once and kept by digest."""

import fcntl
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from components import paths
from components.config.variants import Roles
from components.errors import DataError
from components.files import written_whole
from components.progress import Progress
from components.sources.digest import folder_digest
from components.training.rows import PartRows, Rows, columns_of, read_tuples

CACHE = Path(".state/references")  # <digest>/<number>.npy: embeddings of CHUNK texts
CHUNK = 16_384  # a kill costs what it takes to embed so many
BATCH = 64

Embeddings = NDArray[np.float32]


class PartReferences:
    """Of one part the reference's embeddings of anchors, positives and hard negatives, (rows, dim) for each column.

    To the reference every view of a sentence of the corpus is that sentence.
    """

    def __init__(self, rows: Rows, columns: Mapping[str, "Stored"]) -> None:
        """`rows`: sorted, the ones that `columns` hold."""
        self._rows = rows
        self._columns = columns

    def __call__(self, rows: Rows) -> dict[str, Embeddings]:
        """Column → embeddings of these rows."""
        places = np.searchsorted(self._rows, rows)
        return {name: stored.take(places) for name, stored in self._columns.items()}


class Stored:
    """Embeddings on disk, memory-mapped in pieces of `CHUNK`."""

    def __init__(self, pieces: Sequence[Embeddings]) -> None:
        self._pieces = pieces

    @property
    def dim(self) -> int:
        return int(self._pieces[0].shape[1])

    def take(self, places: NDArray[np.int64]) -> Embeddings:
        """(places, dim)."""
        return np.stack([self._pieces[place // CHUNK][place % CHUNK] for place in places.tolist()])


def part_references(part: PartRows, rows: Rows, reference: Path) -> tuple[PartReferences, int]:
    """The reference's embeddings of `rows` of a part, and their dim; embedded unless they are kept already.

    Args:
        rows: those that training takes, each once or more.
        reference: a sentence-transformers folder.

    Raises:
        DataError: the corpus or the reference is missing, or can't be loaded.
    """
    distinct = np.unique(rows)
    roles, names = part.part.roles, columns_of(part.part.roles)
    if part.part.set == "corpus":
        corpus = paths.CORPUS / "train.parquet"
        if not corpus.is_file():
            raise DataError(f"{corpus} is missing; run `dvc repro`")
        texts = pq.read_table(corpus, columns=["text"])["text"].take(distinct).to_pylist()
        sentences = embedded(texts, reference)
        stored = dict.fromkeys(_asked(roles), sentences)
    else:
        table = read_tuples(part.part.set, names)
        stored = {name: embedded([table[name][row] for row in distinct], reference) for name in _asked(roles)}
    return PartReferences(distinct, stored), next(iter(stored.values())).dim


def embedded(texts: Sequence[str], reference: Path, cache: Path = CACHE) -> Stored:
    """`reference`'s embeddings of `texts`, (texts, dim), of length 1; read from `cache`, where they are put first.

    A killed call goes on at the piece that it was at. Of several at once one embeds, and the others wait for it.

    Raises:
        DataError: `reference` is missing or is no encoder.
    """
    if not reference.is_dir():
        raise DataError(f"{reference} is missing; run `dvc repro fetch`")
    told = hashlib.sha256(f"{version('sentence-transformers')} {folder_digest(reference)}\n".encode())
    for text in texts:
        told.update(text.encode() + b"\0")
    folder = cache / told.hexdigest()[:32]
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{start // CHUNK:06d}.npy" for start in range(0, len(texts), CHUNK)]
    with _alone(folder):
        missing = [number for number, file in enumerate(files) if not file.is_file()]
        if missing:
            model = _model(reference)
            with Progress(total=len(texts), desc=f"texts by {reference.name}", unit=" texts") as bar:
                bar.update((len(files) - len(missing)) * CHUNK)
                for number in missing:
                    piece = list(texts[number * CHUNK : (number + 1) * CHUNK])
                    found = model.encode(piece, batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False)
                    with written_whole(files[number]) as aside, aside.open("wb") as out:
                        np.save(out, np.asarray(found, dtype=np.float32), allow_pickle=False)
                    bar.update(len(piece))
    return Stored([np.load(file, mmap_mode="r", allow_pickle=False) for file in files])


def _model(reference: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    cuda = list(range(torch.cuda.device_count()))
    try:
        with torch.random.fork_rng(devices=cuda):  # what is embedded anew or read must not differ for training
            return SentenceTransformer(str(reference), trust_remote_code=False, model_kwargs={"use_safetensors": True})
    except (OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{reference} can't be loaded as a reference encoder ({reason})") from None


def _asked(roles: Roles) -> list[str]:
    return list(dict.fromkeys([roles.anchor, roles.positive, *roles.hard]))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
