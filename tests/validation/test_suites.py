"""Each suite on a good data set, and on one that holds every fault it is there to find, each in rows of its own."""

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.config import Params, load_params
from components.errors import DataError, exit_on_error
from components.validation import __main__ as stage
from components.validation import require_passed
from components.validation.report import Report
from components.validation.run import validate

ROOT = Path(__file__).parents[2]
CORPUS = pa.schema([("id", pa.int64()), ("text", pa.string()), ("page", pa.string())])
PAIRS = pa.schema([("first", pa.string()), ("second", pa.string()), ("score", pa.float64())])
SUBSETS = PAIRS.append(pa.field("subset", pa.string()))
TUPLES = pa.schema([(name, pa.string()) for name in ("anchor", "positive", "intermediate", "negative", "provenance")])
ANIMALS = ["horse", "sparrow", "tiger", "salmon", "beetle", "otter", "falcon", "walrus"]
FORMS = ("corpus", "sts", "tuples")  # the kinds that are texts; views have tests of their own
PLACES = ["river", "mountain", "harbour", "village", "forest"]
TRAIN = [f"The old {animal} was seen again near the {place} last winter." for animal in ANIMALS for place in PLACES]
HELDOUT = [f"Nobody in the town knew where the {animal} had come from." for animal in ANIMALS]
STSB: list[tuple[Any, ...]] = [
    ("A man plays a guitar.", "Someone makes music.", 3.4),
    ("A dog runs.", "A dog is running.", 5.0),
    ("A cat sleeps.", "The stock market fell.", 0.0),
]
SICK: list[tuple[Any, ...]] = [("A child waves.", "A kid is waving.", 4.9)]
STS12: list[tuple[Any, ...]] = [("He left.", "He went away.", 4.5, "MSRpar")]
NLI: list[tuple[Any, ...]] = [
    (
        f"The old {animal} was seen again near the river last winter.",
        f"Somebody saw the {animal} in the cold season.",
        None,
        f"The {animal} was never seen again after it had left the river.",
        "handwritten",
    )
    for animal in ANIMALS
]
GRADED: list[tuple[Any, ...]] = [
    (
        f"The old {animal} was seen again near the river last winter.",
        f"Last winter somebody saw the aged {animal} by the river once more.",
        f"The old {animal} was seen again.",
        "Two farmers from the village sold their barn to a company.",
        "handwritten",
    )
    for animal in ANIMALS
]


def params() -> Params:
    loaded = load_params(ROOT / "params.yaml")
    corpus = loaded.validation.corpus.model_copy(update={"min_rows": 20})
    sts = loaded.validation.sts.model_copy(update={"rows": {"STSB": 3, "STS13": 1500}})
    tuples = loaded.validation.tuples.model_copy(update={"min_rows": 8})
    validation = loaded.validation.model_copy(update={"sample": 2, "corpus": corpus, "sts": sts, "tuples": tuples})
    return loaded.model_copy(update={"validation": validation})


def write(path: str, rows: list[tuple[Any, ...]], schema: pa.Schema) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    columns = zip(*rows, strict=True) if rows else [[]] * len(schema)
    pq.write_table(pa.table([list(column) for column in columns], schema=schema), path)


def write_corpus(train: list[Any], heldout: list[Any]) -> None:
    for name, texts, start in (("train", train, 0), ("heldout", heldout, 1000)):
        write(f"data/corpus/{name}.parquet", [(start + n, text, None) for n, text in enumerate(texts)], CORPUS)


def write_sts(stsb: list[tuple[Any, ...]], sick: list[tuple[Any, ...]], sts12: list[tuple[Any, ...]]) -> None:
    write("data/sts/STSB.parquet", stsb, PAIRS)
    write("data/sts/SICKR.parquet", sick, PAIRS)
    write("data/sts/STS12.parquet", sts12, SUBSETS)


def write_tuples(nli: list[tuple[Any, ...]], graded: list[tuple[Any, ...]]) -> None:
    write("data/tuples/nli.parquet", nli, TUPLES)
    write("data/tuples/sts.parquet", graded, TUPLES)
    for pattern, rows in (("nli", nli), ("sts", graded)):
        write_counts(pattern, asked=100, accepted=len(rows), rejected={"chatter": 50, "length": 20})


def write_counts(pattern: str, **counts: Any) -> None:
    Path(f"data/tuples/{pattern}.json").write_text(json.dumps(counts))


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> dict[str, Report]:
    patch.chdir(tmp_path_factory.mktemp("good"))
    write_corpus(TRAIN, HELDOUT)
    write_sts(STSB, SICK, STS12)
    write_tuples(NLI, GRADED)
    return {kind: validate(kind, params())[0] for kind in FORMS}


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> dict[str, Report]:
    patch.chdir(tmp_path_factory.mktemp("bad"))
    train = [
        *TRAIN[:10],
        None,
        TRAIN[3].upper().replace(" ", "  "),
        "Two words.",
        "See [[Category:Otters]] for all of the other otters.",
        "Der alte Hund wurde im letzten Winter wieder am Fluss gesehen.",
        "A dog is\trunning.",
    ]
    write_corpus(train, [*HELDOUT, TRAIN[0].lower()])
    pairs = [
        ("A dog runs.", "A dog is running.", 5.5),
        ("", "A man.", 1.0),
        ("A man.", " ", 2.0),
        (None, "x", float("nan")),
    ]
    write_sts(pairs, [("A child waves.", "A kid is waving.", 0.5)], [])
    write_tuples(*bad_tuples())
    write_counts("nli", asked=66, accepted=6, rejected={"copy of the anchor": 50, "length": 10})
    write_counts("sts", asked=60, accepted=8, rejected={})
    return {kind: validate(kind, params())[0] for kind in FORMS}


def bad_tuples() -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    (anchor, positive, intermediate, negative, provenance), *rest = GRADED
    copied = anchor.replace("seen", "spotted")  # one word of 11
    nli = [
        (*NLI[0][:4], None),
        (*NLI[1][:2], "The tiger was seen.", *NLI[1][3:]),
        (NLI[2][0], None, None, NLI[2][3], "handwritten"),
        (NLI[3][0].upper(), NLI[3][0].replace(" ", "  "), None, NLI[3][3], "handwritten"),
        ("Nobody.", "A dog is  RUNNING.", None, "[[File:Otter.jpg]] An otter swims in the river.", "handwritten"),
        ("Der alte Hund wurde im letzten Winter wieder am Fluss gesehen.", NLI[5][1], None, NLI[5][3], "handwritten"),
    ]
    graded = [
        (anchor, copied, intermediate, negative, provenance),
        (f" {anchor.lower()}", positive, f"{anchor[:-1]} indeed.", negative, provenance),
        *((row[0], row[1], row[3], row[2], row[4]) for row in rest[:3]),
        (*rest[3][:2], None, *rest[3][3:]),
        *rest[4:],
    ]
    return nli, graded


@pytest.mark.parametrize("kind", FORMS)
def test_good_data_pass(good: dict[str, Report], kind: str) -> None:
    assert [outcome for outcome in good[kind]["expectations"] if not outcome["passed"]] == []
    assert good[kind]["passed"]


def test_a_report_names_every_file_it_judged(good: dict[str, Report]) -> None:
    assert list(good["sts"]["data"]) == [
        *(f"data/sts/{task}.parquet" for task in ("SICKR", "STS12", "STSB")),
        "data/corpus/train.parquet",
    ]


# suite, expectation, and of the first row in its sample: column, value; or what was observed
CORPUS_FAULTS = [
    ("train", "there are at least 20 rows (validation.corpus.min_rows)", 16),
    ("train", "no text is null", {"id": 10}),
    ("train", "every text is another, case and white space aside", {"text": TRAIN[3]}),
    ("train", "a text has 5 to 64 words", {"text": "Two words."}),
    ("train", "markup is left in at most 0.001 of the texts", {"id": 13}),
    ("train", "at most 0.02 of the texts are told to be in another language than en", {"id": 14}),
    ("heldout", "no held-out sentence is a training sentence", {"text": TRAIN[0].lower()}),
]
STS_FAULTS = [
    ("STSB", "there are 3 pairs, as published", 4),
    ("STSB", "no first is null", {"second": "x"}),
    ("STSB", "no score is null", {"second": "x"}),
    ("STSB", "no first sentence is empty", {"second": "A man."}),
    ("STSB", "no second sentence is empty", {"first": "A man."}),
    ("STSB", "a score is from 0 to 5", {"score": 5.5}),
    ("SICKR", "a score is from 1 to 5", {"score": 0.5}),
    ("STS12", "there is a pair", 0),
    ("leakage", "at most 0.001 of the training sentences are an STS sentence", {"text": "A dog is\trunning."}),
]
NEAR_COPIES = "at most 0.05 of the positives are near copies of their anchors: match error rate below 0.1"
TUPLE_FAULTS = [
    ("nli", "there are at least 8 tuples (validation.tuples.min_rows)", 6),
    ("nli", "no positive is null", {"anchor": NLI[2][0]}),
    ("nli", "no provenance is null", {"anchor": NLI[0][0]}),
    (
        "nli",
        "in none of the tuples are two texts the same, case and white space aside",
        {"anchor": NLI[3][0].upper()},
    ),
    ("nli", NEAR_COPIES, {"positive_apart": 0.0}),
    (
        "nli: synthesis",
        "at most 0.8 (max_rejected) of the 66 answers were rejected (copy of the anchor 50, length 10)",
        60 / 66,
    ),
    ("sts", "there are 8 tuples, as synthesis counted", 9),
    ("nli", "every intermediate is null", {"intermediate": "The tiger was seen."}),
    ("nli: texts", "a text has 3 to 64 words", {"role": "anchor", "text": "Nobody."}),
    ("nli: texts", "markup is left in at most 0.001 of the texts", {"role": "negative"}),
    ("nli: texts", "at most 0.02 of the texts are told to be in another language than en", {"role": "anchor"}),
    ("nli: texts", "at most 0.001 of the texts are a sentence of an evaluation task", {"text": "A dog is  RUNNING."}),
    ("sts", "no intermediate is null", {"anchor": GRADED[4][0]}),
    ("sts", "none of the anchors is another's too, case and white space aside", {"anchor": GRADED[0][0]}),
    ("sts", NEAR_COPIES, {"positive_apart": 1 / 11}),
    ("sts", "an intermediate has fewer words than its anchor", {"shorter": False}),
    (
        "sts",
        "in at most 0.05 of the tuples the intermediate is no nearer to the anchor, by match error rate, than the "
        "negative",
        {"intermediate": GRADED[1][3], "negative": GRADED[1][2]},
    ),
]
FAULTS = {"corpus": CORPUS_FAULTS, "sts": STS_FAULTS, "tuples": TUPLE_FAULTS}


@pytest.mark.parametrize(
    ("kind", "suite", "expectation", "told"), [(kind, *fault) for kind in FAULTS for fault in FAULTS[kind]]
)
def test_each_fault_is_found_and_shown(
    bad: dict[str, Report], kind: str, suite: str, expectation: str, told: Any
) -> None:
    outcome = next(
        each for each in bad[kind]["expectations"] if (each["suite"], each["expectation"]) == (suite, expectation)
    )
    assert not outcome["passed"]
    if isinstance(told, dict):
        assert outcome["sample"][0].items() >= told.items()
        assert len(outcome["sample"]) <= 2
    else:
        assert outcome["observed"]["observed_value"] == pytest.approx(told)


@pytest.mark.parametrize("kind", FORMS)
def test_nothing_else_is_held_against_bad_data(bad: dict[str, Report], kind: str) -> None:
    failed = {(each["suite"], each["expectation"]) for each in bad[kind]["expectations"] if not each["passed"]}
    assert failed == {(suite, expectation) for suite, expectation, _ in FAULTS[kind]}


def test_a_wrong_type_ends_the_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_corpus(TRAIN, HELDOUT)
    write("data/corpus/train.parquet", [("a", "b", "c")], pa.schema([(name, pa.string()) for name in CORPUS.names]))
    report, _ = validate("corpus", params())
    assert report["expectations"][-1]["suite"] == "train: schema"
    assert [each["expectation"] for each in report["expectations"] if not each["passed"]] == ["id is int64"]


def test_a_missing_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"data/corpus/train.parquet is missing; run `dvc repro`"):
        validate("corpus", params())


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with good data, where the stage can be run; on the corpus, unless a test says otherwise."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stage, "load_params", params)
    monkeypatch.setattr("sys.argv", ["validation", "corpus"])
    write_corpus(TRAIN, HELDOUT)
    write_sts(STSB, SICK, STS12)
    write_tuples(NLI, GRADED)
    return tmp_path


def test_the_stage_lets_good_data_pass_and_leaves_nothing_but_its_outs(run: Path) -> None:
    before = set(run.rglob("*"))
    stage.main()
    require_passed("corpus", ["data/corpus/train.parquet"])
    made = {"data/validation", "data/validation/corpus.json", "data/validation/corpus.html"}
    assert set(run.rglob("*")) - before == {run / path for path in made}


def test_the_same_data_give_the_same_bytes(run: Path) -> None:
    outs = [run / "data/validation/corpus.json", run / "data/validation/corpus.html"]
    stage.main()
    first = [out.read_bytes() for out in outs]
    stage.main()
    assert [out.read_bytes() for out in outs] == first


def test_the_stage_stops_bad_data_with_rows_to_look_at(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage.main()
    write_corpus([*TRAIN, "See [[the otter]] for all of the others."], HELDOUT)
    with pytest.raises(DataError, match=r"failed 1 of 25 expectations \(see data/validation/corpus.failed.html\)"):
        stage.main()
    assert "See [[the otter]] for all of the others." in capsys.readouterr().err
    assert not (run / "data/validation/corpus.json").exists()
    assert json.loads((run / "data/validation/corpus.failed.json").read_text())["passed"] is False


def test_the_page_shows_rows_that_fail_and_runs_nothing_of_theirs(run: Path) -> None:
    hostile = "See [[the otter]] <script>alert(1)</script> & all of the others."
    write_corpus([*TRAIN, hostile], HELDOUT)
    with pytest.raises(DataError):
        stage.main()
    page = (run / "data/validation/corpus.failed.html").read_text()
    assert html.escape(hostile, quote=False) in page
    assert "<script" not in page


def test_the_page_needs_nothing_from_elsewhere(run: Path) -> None:
    stage.main()
    assert not re.search(r"""(src|href)=["'](?!#)""", (run / "data/validation/corpus.html").read_text())


def test_sts_sentences_in_the_corpus_are_named_and_training_refuses(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["validation", "sts"])
    write_corpus([*TRAIN, "A man  plays a GUITAR."], HELDOUT)
    with pytest.raises(SystemExit) as ended, exit_on_error():
        stage.main()
    assert ended.value.code == 1
    assert "A man  plays a GUITAR." in capsys.readouterr().err
    with pytest.raises(DataError, match=r"the sts data failed validation: leakage: at most 0\.001 of the training"):
        require_passed("sts")


def test_sts_sentences_in_tuples_are_named_and_training_refuses(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["validation", "tuples"])
    anchor, _, intermediate, negative, provenance = GRADED[0]
    write_tuples(NLI, [(anchor, "The stock market fell.", intermediate, negative, provenance), *GRADED[1:]])
    with pytest.raises(SystemExit) as ended, exit_on_error():
        stage.main()
    assert ended.value.code == 1
    assert "The stock market fell." in capsys.readouterr().err
    with pytest.raises(DataError, match=r"the tuples data failed validation: sts: texts: at most 0\.001 of the texts"):
        require_passed("tuples")


def test_a_profile_without_nli_has_nothing_to_judge(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["validation", "nli"])
    stage.main()
    assert require_passed("nli") == {}
    with pytest.raises(DataError, match=r"says nothing of data/nli/train.parquet"):
        require_passed("nli", ["data/nli/train.parquet"])


def test_nli_triplets_are_judged_by_their_own_thresholds(run: Path) -> None:
    copied = (NLI[0][0], NLI[0][0], None, *NLI[0][3:])  # which synthesis must not give, and people do
    write("data/nli/train.parquet", [*NLI * 10, copied], TUPLES)
    report, _ = validate("nli", params())
    assert [each["expectation"] for each in report["expectations"] if not each["passed"]] == [
        "there are at least 1000 tuples (validation.nli.min_rows)",
        "at most 0.01 of the anchors is another's too, case and white space aside",
    ]


@pytest.mark.parametrize("content", ["", "[]", '{"accepted": 8}', '{"asked": 8, "accepted": 8, "rejected": 3}'])
def test_broken_counts_of_synthesis_are_told(run: Path, content: str) -> None:
    Path("data/tuples/nli.json").write_text(content)
    with pytest.raises(DataError, match=r"data/tuples/nli.json holds no counts of synthesis"):
        validate("tuples", params())
