# Facemill: from a collection of portraits and a few hundred labelled ones to masks for all of it, a model that paints
# portraits from masks, and vectors that steer it.
#
#   snakemake --cores all                                         everything, on the embedded sample
#   snakemake --cores all --configfile config/folder.yaml ...     the same on your own images
#   snakemake --cores all -- pseudo_labels                        one product, or file, and what it needs
#   snakemake --cores all -- review label_quality                 portraits to label next, labels to look at again
#
# Settings are in config/config.yaml, rules in rules/ (one file a stage, in the order data flows), their commands in scripts/,
# the library in facemill/. Everything made lies in results/<dataset>/.
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from snakemake.utils import min_version

min_version("9.10")


def checkout(basedir):
    """This folder; of a module from a Git host, where Snakemake reads single files, a copy with library and scripts."""
    if basedir.is_local and not hasattr(basedir, "ref"):
        return os.path.relpath(basedir)
    folder = Path(".snakemake/facemill", basedir.ref)
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        repository = basedir.repo_path if basedir.is_local else basedir.hosted_repo.repo.git_dir
        with tempfile.TemporaryDirectory(dir=folder.parent) as copy:
            subprocess.run(["git", "clone", "--quiet", "--no-checkout", repository, f"{copy}/new"], check=True)
            subprocess.run(["git", "-C", f"{copy}/new", "checkout", "--quiet", basedir.ref], check=True)
            Path(copy, "new").rename(folder)
    return folder


ROOT = Path(checkout(workflow.current_basedir))
sys.path.insert(0, str(ROOT))

from facemill.workflow.bootstrap import bootstrap


configfile: ROOT / "config/config.yaml"


CONFIG = bootstrap(workflow, config, ROOT)


report: "rules/report/workflow.rst"


wildcard_constraints:
    dataset=CONFIG.dataset,
    shard=r"\d\d\d\d+",
    fold=r"\d+",
    version="|".join(CONFIG.unet.versions),


rule all:
    """All numbers and all pictures of a dataset."""
    default_target: True
    localrule: True
    input:
        expand("results/{dataset}/{file}", dataset=CONFIG.dataset, file=["summary.json", "report.html"]),


include: "rules/common.smk"
include: "rules/ingest.smk"


if CONFIG.masked:

    include: "rules/label.smk"
    include: "rules/segment.smk"
    include: "rules/review.smk"


include: "rules/synthesize.smk"
include: "rules/latent.smk"
include: "rules/report.smk"
