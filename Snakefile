# Facemill: from a collection of portraits and a few hundred labelled ones to masks for all of it, a model that paints
# portraits from masks, and vectors that steer it.
#
#   snakemake --cores all                                         everything, on the embedded sample
#   snakemake --cores all --configfile config/folder.yaml ...     the same on your own images
#   snakemake --cores all -- pseudo_labels                        one product, or file, and what it needs
#   snakemake --cores all -- review label_quality                 portraits to label next, labels to check again
#   snakemake --cores all -- avatars                              avatars of all portraits in drawing styles
#   snakemake --cores all -- mask_generator                       masks out of nothing, and portraits painted on them
#   snakemake --cores all -- cyclegan                             portraits in the manner of another collection
#   snakemake --cores all -- swap                                 two people's faces exchanged in films
#
# Settings are in config/config.yaml, rules in rules/ (one file a stage, in the order data flows), their commands in
# scripts/, the library in facemill/. Results lie in results/<dataset>/.
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.10")


include: "rules/root.smk"


sys.path.insert(0, str(ROOT))

from facemill.workflow.bootstrap import bootstrap


configfile: ROOT / "config/config.yaml"


CONFIG = bootstrap(workflow, config, ROOT)


report: "rules/report/workflow.rst"


rule all:
    """All numbers and all pictures of a dataset, its card, and what it was made of."""
    default_target: True
    localrule: True
    input:
        expand(
            "results/{dataset}/{file}",
            dataset=CONFIG.dataset,
            file=["summary.json", "report.html", "README.md", "bom.json"],
        ),


include: "rules/common.smk"
include: "rules/ingest.smk"


if CONFIG.masked:

    include: "rules/label.smk"
    include: "rules/segment.smk"
    include: "rules/review.smk"


include: "rules/synthesize.smk"
include: "rules/latent.smk"


if CONFIG.masked:

    include: "rules/avatars.smk"


include: "rules/stylegan.smk"


if CONFIG.masked:

    include: "rules/mask_generator.smk"


include: "rules/other.smk"
include: "rules/translate.smk"
include: "rules/through_masks.smk"


if CONFIG.masked:

    include: "rules/films.smk"
    include: "rules/swap.smk"


include: "rules/report.smk"


wildcard_constraints:
    dataset=CONFIG.dataset,
    shard=r"\d\d\d\d+",
    fold=r"\d+",
    version="|".join(CONFIG.unet.versions),
