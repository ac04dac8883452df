# Facemill: from a collection of portraits and a few hundred labelled ones to masks for all of it, a model that paints
# portraits from masks, and vectors that steer it.
#
#   snakemake --cores all                                         everything, on the embedded sample
#   snakemake --cores all --configfile config/folder.yaml ...     the same on your own images
#   snakemake --cores all -- pseudo_labels                        one product, or file, and what it needs
#   snakemake --cores all -- review label_quality                 portraits to label next, labels to look at again
#
# Settings are in config.yaml, rules in rules/ (one file a stage, in the order data flows), their commands in scripts/,
# the library in facemill/. Everything made lies in results/<dataset>/.
import os
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.10")

ROOT = Path(os.path.relpath(workflow.basedir))
sys.path.insert(0, workflow.basedir)

# Scripts find this Python and the library wherever a rule runs; a conda environment puts its own Python before it.
PATH = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
os.environ |= {"PATH": PATH, "PYTHONPATH": workflow.basedir}


configfile: ROOT / "config.yaml"


report: "rules/report/workflow.rst"


include: "rules/common.smk"
include: "rules/ingest.smk"
include: "rules/label.smk"
include: "rules/segment.smk"
include: "rules/synthesize.smk"
include: "rules/latent.smk"
include: "rules/report.smk"


wildcard_constraints:
    dataset=CONFIG.dataset,
    shard=r"\d\d\d\d+",
    fold=r"\d+",
    version="|".join(CONFIG.unet.versions),


localrules:
    all,
    portraits,
    culling,
    pseudo_labels,
    latents,
    tags,
    attributes,
    review,
    label_quality,


rule all:
    default_target: True
    message:
        "All of {CONFIG.dataset} is made: see results/{CONFIG.dataset}/report.html"
    input:
        expand("results/{dataset}/{file}", dataset=CONFIG.dataset, file=["summary.json", "report.html"]),


rule portraits:
    input:
        expand(shards("portraits"), dataset=CONFIG.dataset),


rule culling:
    input:
        expand("results/{dataset}/culling/shard-{shard}.html", dataset=CONFIG.dataset, shard=SHARDS),


rule pseudo_labels:
    input:
        expand(shards("pseudo_labels"), dataset=CONFIG.dataset),
        f"results/{CONFIG.dataset}/pseudo_labels/metrics.json",


rule latents:
    input:
        expand(shards("latents"), dataset=CONFIG.dataset),
        f"results/{CONFIG.dataset}/latents/metrics.json",


rule tags:
    input:
        expand(shards("tags"), dataset=CONFIG.dataset),
        f"results/{CONFIG.dataset}/tags/metrics.json",


rule attributes:
    input:
        expand("results/{dataset}/attributes/{file}.json", dataset=CONFIG.dataset, file=["probes", "metrics"]),
        f"results/{CONFIG.dataset}/attributes/walks.png",


rule review:
    input:
        f"results/{CONFIG.dataset}/review/labelme",


rule label_quality:
    input:
        f"results/{CONFIG.dataset}/label_quality/ranking.csv",
