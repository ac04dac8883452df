# Report: every number of a run in one file, and the pictures of all stages in one page.
# Needs what the rules of all stages mark with `metrics` and `figure`; makes summary.json and report.html.
import json


rule summarize:
    """Every number of the run, from the metrics of all stages and the rows of their tables."""
    input:
        posts=plain(rules.ingest_posts.output.posts),
        selected=plain(rules.filter_posts.output.selected),
        portraits=shards("portraits"),
        rejects=[
            plain(rules.ingest_posts.output.rejects),
            *(
                expand(plain(rules.find_portraits.output.rejects), shard=SHARDS, allow_missing=True)
                if WITH_CANDIDATES
                else []
            ),
            *expand(plain(rules.crop_portraits.output.rejects), shard=SHARDS, allow_missing=True),
        ],
        labels=LABELLED if CONFIG.masked else [],
        augmented=plain(rules.augment_labels.output.augmented) if CONFIG.masked else [],
        metrics=list(marked("metrics")),
    output:
        summary=figure("results/{dataset}/summary.json", "6 Numbers", "All numbers of the run", "summary"),
    log:
        "logs/{dataset}/summarize.log",
    params:
        **door("summarize", names=list(marked("metrics").values())),
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule report:
    """All pictures in one page, in the order of the stages: Snakemake's report, made by a second Snakemake."""
    input:
        figures=list(marked("report")),
    output:
        report="results/{dataset}/report.html",
    log:
        "logs/{dataset}/report.log",
    params:
        # as it was given: Snakemake merges it again, and CONFIG no longer holds what null takes away
        **door("report", snakefile=ROOT / "Snakefile", config=json.dumps(config, default=str)),
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"
