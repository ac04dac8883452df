# Report: every number of a run in one file, and the pictures of all stages in one page.

FIGURES = [
    "selected/funnel.png",
    "labels/labels.png",
    "augmented/augmented.png",
    "unet/comparison.png",
    "unet/comparison_metrics.png",
    "pseudo_labels/pseudo_labels.png",
    "vae/vae.png",
    "gaugan/gaugan.png",
    "tsne/tsne.png",
    "attributes/transitions.png",
    "summary.json",
]


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
        labels=expand("results/{{dataset}}/labels/{part}.parquet", part=["train", "validation", "test"]),
        augmented="results/{dataset}/augmented/train.parquet",
        unet="results/{dataset}/unet/comparison.json",
        pseudo_labels="results/{dataset}/pseudo_labels/metrics.json",
        vae="results/{dataset}/vae/metrics.json",
        gaugan="results/{dataset}/gaugan/metrics.json",
        tsne="results/{dataset}/tsne/metrics.json",
        attributes="results/{dataset}/attributes/metrics.json",
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
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime="10m",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --posts {input.posts} --selected {input.selected} --portraits {input.portraits}"
        " --rejects {input.rejects} --labels {input.labels} --augmented {input.augmented} --unet {input.unet}"
        " --pseudo-labels {input.pseudo_labels} --vae {input.vae} --gaugan {input.gaugan} --tsne {input.tsne}"
        " --attributes {input.attributes} --out {output} 2>&1 | tee {log}"


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
