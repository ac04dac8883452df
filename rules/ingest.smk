# Stage 1, ingest: from a collection of images and its metadata to shards of square portraits.
# Needs `source` in the config (the sample renders its own); makes posts/, selected/ and portraits/.

if CONFIG.kind == "sample":
    RENDERED = f"results/{CONFIG.dataset}/source"
    SOURCE = CONFIG.source.model_copy(
        update={
            "images": Path(RENDERED, "images"),
            "labelled": Path(RENDERED, "labelled"),
            "metadata": [Path(RENDERED, "metadata.jsonl")],
        }
    )
    SOURCE_FILES = [RENDERED]
else:
    SOURCE = CONFIG.source
    SOURCE_FILES = [str(path) for path in (SOURCE.images, SOURCE.attributes, *SOURCE.metadata) if path]


rule render_sample:
    """The embedded sample: a Danbooru dump of drawn portraits, labelme files for some, the true masks of all."""
    message:
        "Render the sample"
    input:
        code=code("render_sample"),
    output:
        directory("results/{dataset}/source"),
    log:
        "logs/{dataset}/render_sample.log",
    benchmark:
        "benchmarks/results/{dataset}/render_sample.tsv"
    params:
        settings=settings("sample"),
        size=lookup(dpath="portraits/size", within=config),
        seed=lookup(dpath="seed", within=config),
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime="20m",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --settings {params.settings:q} --size {params.size} --seed {params.seed}"
        " --out {output} 2>&1 | tee {log}"


rule ingest_posts:
    """Metadata of any kind to one typed table of posts; what cannot be used goes to the rejects with its reason."""
    message:
        "List the posts of {wildcards.dataset}"
    input:
        code=code("ingest_posts"),
        source=SOURCE_FILES,
    output:
        posts="results/{dataset}/posts/posts.parquet",
        rejects="results/{dataset}/posts/rejects.parquet",
    log:
        "logs/{dataset}/ingest_posts.log",
    benchmark:
        "benchmarks/results/{dataset}/ingest_posts.tsv"
    params:
        kind=lookup(dpath="kind", within=config),
        settings=SOURCE.model_dump_json(),
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime="4h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --kind {params.kind} --settings {params.settings:q} --out {output.posts}"
        " --rejects {output.rejects} 2>&1 | tee {log}"


rule filter_posts:
    """The posts that every rule of the filter keeps, and how many each rule dropped."""
    message:
        "Select posts"
    input:
        code=code("filter_posts"),
        posts="results/{dataset}/posts/posts.parquet",
    output:
        selected="results/{dataset}/selected/selected.parquet",
        funnel="results/{dataset}/selected/funnel.csv",
        picture=report(
            "results/{dataset}/selected/funnel.png",
            category="1 Ingest",
            labels={"picture": "Selection funnel"},
            caption="report/funnel.rst",
        ),
    log:
        "logs/{dataset}/filter_posts.log",
    benchmark:
        "benchmarks/results/{dataset}/filter_posts.tsv"
    params:
        settings=settings("filter"),
        seed=lookup(dpath="seed", within=config),
    threads: 1
    resources:
        mem_mb=memory(8000),
        runtime="1h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --posts {input.posts} --settings {params.settings:q} --seed {params.seed}"
        " --out {output.selected} --funnel {output.funnel} --picture {output.picture} 2>&1 | tee {log}"


rule crop_portraits:
    """One shard of the selected images as square portraits; unreadable ones go to the rejects with their reason."""
    message:
        "Crop portraits, shard {wildcards.shard}"
    input:
        code=code("crop_portraits"),
        selected="results/{dataset}/selected/selected.parquet",
    output:
        portraits="results/{dataset}/portraits/shard-{shard}.parquet",
        rejects="results/{dataset}/portraits/rejects-{shard}.parquet",
    log:
        "logs/{dataset}/crop_portraits-{shard}.log",
    benchmark:
        "benchmarks/results/{dataset}/crop_portraits-{shard}.tsv"
    params:
        settings=settings("portraits"),
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime="1h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --selected {input.selected} --settings {params.settings:q} --shard {wildcards.shard}"
        " --out {output.portraits} --rejects {output.rejects} 2>&1 | tee {log}"
