"""What a Prefect server needs before it can run our deployments: pools, limits, automations; a true prefect.yaml."""

from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from prefect.automations import Automation
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.workers.process import ProcessWorker
from ruamel.yaml import YAML

from components.config import load_params
from components.errors import ConfigError
from components.files import written_whole
from flows.promote import PROMOTIONS

POOLS = {"gpu": "training; every worker takes one run at a time", "cpu": "data, comparison and promotion"}
AUTOMATIONS = Path(__file__).parent / "automations"
PREFECT_YAML = Path("prefect.yaml")
_BEGIN = "  # one for each variant of params.yaml, written by `cseflow deploy`\n"
_END = "  # end of the variants\n"


@cache
def make_pools() -> None:
    """Make the work pools `gpu` and `cpu` where they are missing; what a user has set in them stays."""
    with get_client(sync_client=True) as client:
        for name, description in POOLS.items():
            try:
                client.read_work_pool(name)
            except ObjectNotFound:
                pool = WorkPoolCreate(
                    name=name,
                    type=ProcessWorker.type,
                    description=description,
                    base_job_template=ProcessWorker.get_default_base_job_template(),
                )
                with suppress(ObjectAlreadyExists):  # a worker was quicker
                    client.create_work_pool(pool)


@cache
def prepare() -> dict[str, str]:
    """A build step: pools, limits and automations on the server; prefect.yaml held against params.yaml.

    Returns:
        `directory`: the folder that is deployed from, where workers of this machine find code and data.

    Raises:
        ConfigError: prefect.yaml does not list the variants of params.yaml.
    """
    check_variants()
    make_pools()
    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(PROMOTIONS)
        except ObjectNotFound:
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=PROMOTIONS, limit=1))
    for path in sorted(AUTOMATIONS.glob("*.yaml")):
        make_automation(path)
    return {"directory": str(Path.cwd())}


def make_automation(path: Path) -> None:
    """Put the automation that `path` describes on the server, in the place of one of its name."""
    wanted = Automation(**YAML(typ="safe").load(path))
    try:
        known: Any = Automation.read(name=wanted.name)
    except ValueError:
        wanted.create()
    else:
        wanted.id, wanted.enabled = known.id, known.enabled
        wanted.update()


def check_variants() -> None:
    """Hold prefect.yaml against params.yaml.

    Raises:
        ConfigError: a variant is missing there, is gone here, or is described otherwise.
    """
    listed = YAML(typ="safe").load(PREFECT_YAML)["deployments"]
    trains = [entry for entry in listed if entry["entrypoint"].endswith(".train")]
    found = {entry["name"]: (entry["parameters"]["variant"], entry["description"]) for entry in trains}
    wanted = {name: (name, variant.description) for name, variant in load_params().variants.items()}
    if found != wanted:
        names = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
        raise ConfigError(
            f"{PREFECT_YAML} is behind params.yaml in {', '.join(names)}: bring it in step and deploy with "
            "`cseflow deploy`"
        )


def write_variants() -> bool:
    """Write the list of variants in prefect.yaml anew from params.yaml; whether it was behind."""
    text = PREFECT_YAML.read_text(encoding="utf-8")
    before, found, rest = text.partition(_BEGIN)
    _, ended, after = rest.partition(_END)
    if not (found and ended):
        raise ConfigError(f"{PREFECT_YAML} has lost the comments around its variants: git checkout {PREFECT_YAML}")
    whole = before + _BEGIN + "".join(_entry(*item) for item in load_params().variants.items()) + _END + after
    if whole == text:
        return False
    with written_whole(PREFECT_YAML) as aside:
        aside.write_text(whole, encoding="utf-8")
    return True


def _entry(name: str, variant: Any) -> str:
    written, described = _scalar(name), _scalar(variant.description, quoted=True)
    return (
        f"  - <<: *train\n    name: {written}\n    description: {described}\n    parameters: {{variant: {written}}}\n"
    )


def _scalar(text: str, *, quoted: bool = False) -> str:
    """`text` on one line of YAML, which reads it as this very text: "2024" stays one, and so do two lines."""
    if not text.isprintable():
        escaped = (sign if sign.isprintable() and sign not in '"\\' else f"\\U{ord(sign):08x}" for sign in text)
        return '"' + "".join(escaped) + '"'
    plain = not quoted and YAML(typ="safe").load(text) == text
    return text if plain else "'" + text.replace("'", "''") + "'"
