# Helpers that all stages share: the collection's paths, a product's shards, commands of rules, and the marks by which
# the report, the summary, DVC and the Slurm profile know a rule's figures, metrics and curves.
import json
from functools import partial

from facemill.config.root import unet_settings
from facemill.data.walk import IMAGE_SUFFIXES, listing
from facemill.errors import UserError
from facemill.files import check_writable
from facemill.workflow import doors
from facemill.workflow.effective import save_config
from snakemake.io import flag


onstart:
    try:
        check_writable(Path("results") / CONFIG.dataset)
        save_config(config, Path("results", CONFIG.dataset, "config.yaml"))
    except UserError as error:
        sys.exit(str(error))


FOLDS = range(CONFIG.label_quality.folds)
SHARDS = [f"{number:04}" for number in range(CONFIG.portraits.shards)]

# Threads of a training that nothing long waits for: half of the cores, since two of them side by side are done sooner
# than one after the other.
SHARED_THREADS = min(8, max(1, (workflow.resource_settings.cores or 16) // 2))

door = partial(doors.door, ROOT)


def mem_per_attempt(mb):
    """Memory that grows with each attempt: `mb` at the first, twice as much at the second, and so on."""
    return lambda wildcards, attempt: mb * attempt


def loader_mb(loaders=1):
    """Memory of the processes that decode portraits for a training on a GPU: eight for each loader, each of which holds
    4,096 encoded rows (`facemill/data/dataset.py`), at half a byte a pixel."""
    return loaders * 8 * 4096 * CONFIG.portraits.size**2 // 2 // 2**20


def shards(product):
    """The shards of a product: results/<dataset>/<product>/shard-0000.parquet and so on."""
    return expand(f"results/{{{{dataset}}}}/{product}/shard-{{shard}}.parquet", shard=SHARDS)


def plain(output):
    """A rule's output as a plain path, for rules that read all shards: Snakemake would hash all shards for each."""
    return str(output)


def metrics(path, name):
    """An output whose JSON the summary holds under a name, and DVC compares."""
    return flag(path, "metrics", name)


def curves(path, *columns):
    """The CSV of a training's curves, of which DVC plots these columns; by it the Slurm profile knows trainings."""
    return flag(path, "curves", columns)


def figure(path, category, title, caption):
    """An output that the report shows; `caption` names a file in rules/report/."""
    return report(path, category=category, labels={"picture": title}, caption=f"report/{caption}.rst")


def also(stage, output):
    """An output whose marks count where the config makes its stage a part of all; the plain path elsewhere."""
    return output if stage in CONFIG.also else str(output)


def shown(stage, file, category, title, caption):
    """A picture results/<dataset>/<stage>/<file>, which the report shows where its stage is a part of all."""
    return also(stage, figure(f"results/{{dataset}}/{stage}/{file}", category, title, caption))


def marked(mark):
    """The outputs of all rules so far that bear a mark, each with its value."""
    marks = ((path, path.flags.get(mark)) for rule in workflow.rules for path in rule.output)
    return {str(path): value for path, value in marks if value is not None}


def rule_codes(wildcards):
    """Digests of the code of all rules, as JSON."""
    return json.dumps(doors.code_digests(workflow.rules), sort_keys=True)


def config_file(key):
    """The files that the config names under a key; none where it is null."""
    return [str(path) for path in CONFIG.files(key)]


def remote_or_local(location):
    """A file or folder as an input; a string is an http(s):// or s3:// address, from which Snakemake fetches it."""
    return storage(location) if isinstance(location, str) else str(location)


def listed(paths, suffixes, follow_links=True):
    """A parameter of rules: another one when a file of these folders and archives is new, gone or replaced.

    Only Snakemake's main process compares parameters; the others, one for each job, do not list all files again.
    """
    if not workflow.is_main_process:
        return ""
    try:
        return listing(paths, suffixes, follow_links)
    except OSError as error:
        sys.exit(f"config: source: {error.filename}: {error.strerror}")


# The collection's paths; the sample renders its collection. READ holds the options of ingest_posts that name its parts,
# IMAGES and LABELS tell the files in its folders and archives, whose own dates do not tell what is new in them.
RENDERED = f"results/{CONFIG.dataset}/source"
if CONFIG.kind == "sample":
    parts = {"images": Path(RENDERED, "images"), "labelled": Path(RENDERED, "labelled")}
    parts |= {"metadata": [Path(RENDERED, "metadata.jsonl")], "follow_links": True}  # DVC may link to its cache
    SOURCE = CONFIG.source.model_copy(update=parts)
    SOURCE_FILES = [ancient(RENDERED), f"{RENDERED}.sha256"]  # its checksums tell when it changed, not a folder's date
    LABELLED_FILES = SOURCE_FILES
    IMAGES = LABELS = ""
    READ = {key: [str(path) for path in paths] for key, paths in SOURCE.files().items() if paths}
else:
    SOURCE = CONFIG.source
    READ = {key: [remote_or_local(p) for p in paths] for key, paths in SOURCE.files().items() if paths}
    local = [root for root in SOURCE.image_roots() if isinstance(root, Path)]
    roots = [ancient(path) if path in map(str, local) else path for path in READ["images"]]
    SOURCE_FILES = [*roots, *(path for key, paths in READ.items() if key != "images" for path in paths)]
    IMAGES = listed(local, IMAGE_SUFFIXES, SOURCE.follow_links)
    labelled = [SOURCE.labelled, *([SOURCE.masks.images, SOURCE.masks.masks] if SOURCE.masks else [])]
    LABELLED_FILES = [ancient(str(folder)) for folder in labelled if folder]
    LABELS = listed([folder for folder in labelled if folder], (*IMAGE_SUFFIXES, ".json"))

# Images that Snakemake fetches are inputs of the jobs that open them; local ones are told by IMAGES.
FETCHED = [path for root, path in zip(SOURCE.image_roots(), READ["images"]) if isinstance(root, str)]
WITH_CANDIDATES = any(getattr(CONFIG.portraits, key) is not None for key in ("detector", "person", "duplicates"))
MASKS = shards("pseudo_labels") if CONFIG.masked else []
LABELLED = expand("results/{{dataset}}/labels/{part}.parquet", part=["train", "validation", "test"])
AUGMENTED = expand("results/{{dataset}}/augmented/{part}.parquet", part=["train", "validation"])
