# Report: every number of a run in one file, and the pictures of all stages in one page.

MASKED_FIGURES = [
    "labels/labels.png",
    "augmented/augmented.png",
    "unet/comparison.png",
    "unet/comparison_metrics.png",
    "unet/comparison_confusion.png",
    "pseudo_labels/pseudo_labels.png",
]
FIGURES = [
    "selected/funnel.png",
    *(MASKED_FIGURES if CONFIG.masked else []),
    "vae/vae.png",
    *(["gaugan/gaugan.png"] if CONFIG.masked else []),
    "latents/latents.png",
    "tsne/tsne.png",
    "attributes/transitions.png",
    "attributes/transitions.webp",
    "attributes/sliders.png",
    "attributes/walks.png",
    "attributes/walks.webp",
    "attributes/interpolations.png",
    "attributes/interpolations.webp",
    "summary.json",
]

# What each stage measured, by its name in the summary.
MEASURED = {
    **({"unet": "unet/comparison.json", "pseudo_labels": "pseudo_labels/metrics.json"} if CONFIG.masked else {}),
    "vae": "vae/metrics.json",
    **({"gaugan": "gaugan/metrics.json"} if CONFIG.masked else {}),
    "latents": "latents/metrics.json",
    "tags": "tags/metrics.json",
    "tsne": "tsne/metrics.json",
    "probes": "attributes/probes.json",
    "attributes": "attributes/metrics.json",
}


rule summarize:
    """Every number of the run, from the metrics of all stages and the rows of their tables."""
    message:
        "Sum up the numbers"
    input:
        code=code("summarize"),
        posts="results/{dataset}/posts/posts.parquet",
        selected="results/{dataset}/selected/selected.parquet",
        portraits=shards("portraits"),
        rejects=[
            "results/{dataset}/posts/rejects.parquet",
            *expand(PORTRAIT_REJECTS, shard=SHARDS),
        ],
        labels=LABELLED if CONFIG.masked else [],
        augmented=["results/{dataset}/augmented/train.parquet"] if CONFIG.masked else [],
        measured=expand("results/{{dataset}}/{file}", file=MEASURED.values()),
    output:
        report(
            "results/{dataset}/summary.json",
            category="6 Numbers",
            labels={"picture": "All numbers of the run"},
            caption="report/summary.rst",
        ),
    log:
        "logs/{dataset}/summarize.log",
    benchmark:
        "benchmarks/results/{dataset}/summarize.tsv"
    params:
        names=option("--names", MEASURED),
        labels=lambda wildcards, input: option("--labels", input.labels),
        augmented=lambda wildcards, input: option("--augmented", input.augmented),
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime="10m",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --posts {input.posts} --selected {input.selected} --portraits {input.portraits}"
        " --rejects {input.rejects} {params.labels} {params.augmented} {params.names} --measured {input.measured}"
        " --out {output} 2>&1 | tee {log}"


rule report:
    """One page of all pictures, in the order of the chain: Snakemake's own report, made by a call of Snakemake."""
    message:
        "Put the pictures into one page"
    input:
        code=code("report"),
        figures=expand("results/{{dataset}}/{figure}", figure=FIGURES),
    output:
        "results/{dataset}/report.html",
    log:
        "logs/{dataset}/report.log",
    benchmark:
        "benchmarks/results/{dataset}/report.tsv"
    params:
        snakefile=ROOT / "Snakefile",
        config=CONFIG.model_dump_json(),
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime="30m",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --snakefile {params.snakefile} --config {params.config:q} --figures {input.figures}"
        " --out {output} 2>&1 | tee {log}"
