# What the other files here share: the checked config, settings as JSON, the code behind a script, a product's shards.
from functools import cache
from shlex import quote

from facemill.workflow.slurm_arrays import exec_array_task
from facemill.config.root import unet_settings
from facemill.errors import UserError
from facemill.files import check_writable
from facemill.workflow.provenance import code_files
from facemill.workflow.lifetime import WORKFLOW, clear_stale_locks, terminate_jobs
from facemill.config.validation import check_braces, validate
from snakemake.scheduling.job_scheduler import JobScheduler

exec_array_task()

try:
    CONFIG = validate(config)
except UserError as error:
    sys.exit(f"config: {error}")

if workflow.is_main_process and WORKFLOW not in os.environ:
    ALIVE = clear_stale_locks(Path(".snakemake"))
    JobScheduler.exit_gracefully = terminate_jobs
os.environ[WORKFLOW] = str(os.getpid())


onstart:
    try:
        check_writable(Path("results") / CONFIG.dataset)
    except UserError as error:
        sys.exit(str(error))


FOLDS = range(CONFIG.label_quality.folds)
SHARDS = [f"{number:04}" for number in range(CONFIG.portraits.shards)]


@cache
def code(script):
    """A script and the library modules it imports; `python {input.code[0]}` runs it."""
    return [str(path) for path in code_files(ROOT / "scripts" / f"{script}.py")]


def settings(section):
    """A section of the config as JSON, defaults filled in: `--settings {params.settings:q}`."""
    section = getattr(CONFIG, section)
    return section.model_dump_json() if section else ""


def memory(mb):
    """So many MB at the first try, as many again at each further one."""
    return lambda wildcards, attempt: mb * attempt


def shards(product):
    """The shards of a product: results/<dataset>/<product>/shard-0000.parquet and so on."""
    return expand(f"results/{{{{dataset}}}}/{product}/shard-{{shard}}.parquet", shard=SHARDS)


MASKS = shards("pseudo_labels") if CONFIG.masked else []
LABELLED = expand("results/{{dataset}}/labels/{part}.parquet", part=["train", "validation", "test"])


def option(name, values):
    """An option of a command with its values; nothing where there are none."""
    return f"{name} {' '.join(quote(str(value)) for value in values)}" if values else ""


def given(key):
    """The file that the config names under a key, so that its contents count; nothing when it names none."""
    return [str(path) for named, path in CONFIG.paths().items() if named == key]


def fetched(place):
    """A file or folder as an input; what has an http(s):// or s3:// address is fetched by Snakemake."""
    return storage(place) if isinstance(place, str) else str(place)


def labelled_files(source):
    """The labelme files and the images beside them, ready-made masks and their images, so that contents count."""
    found = []
    if source.labelled:
        marked = {path.with_suffix("") for path in source.labelled.rglob("*.json")}
        found += [path for path in source.labelled.rglob("*") if path.with_suffix("") in marked]
    if source.masks:
        marked = {path.stem for path in source.masks.masks.rglob("*.png")}
        folders = (source.masks.masks, source.masks.images)
        found += [path for folder in folders for path in folder.rglob("*") if path.stem in marked]
    try:
        for path in found:
            check_braces("source", path)
    except UserError as error:
        sys.exit(f"config: {error}")
    return sorted({str(path) for path in found})


def label_folders(source):
    """Where the labelled portraits are, as arguments of `convert_labels`."""
    folders = ["--labelled", source.labelled] if source.labelled else []
    return folders + (["--mask-images", source.masks.images, "--masks", source.masks.masks] if source.masks else [])
