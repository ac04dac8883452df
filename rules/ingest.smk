# Stage 1, ingest: from a collection of images and its metadata to shards of portraits.
# Needs `source` in the config (the sample renders its own); makes posts/, selected/ and portraits/; where faces
# or persons are looked for or near-duplicates left out also candidates/ and duplicates/; when asked for culling/.

if CONFIG.kind == "sample":
    RENDERED = f"results/{CONFIG.dataset}/source"
    SOURCE = CONFIG.source.model_copy(
        update={
            "images": Path(RENDERED, "images"),
            "labelled": Path(RENDERED, "labelled"),
            "metadata": [Path(RENDERED, "metadata.jsonl")],
            "follow_links": True,  # DVC may link to its cache
        }
    )
    SOURCE_FILES = [ancient(RENDERED), f"{RENDERED}.sha256"]  # its checksums tell when it changed, not a folder's date
    READ = {"images": [f"{RENDERED}/images"], "metadata": [f"{RENDERED}/metadata.jsonl"]}
else:
    SOURCE = CONFIG.source
    READ = {key: [fetched(path) for path in paths] for key, paths in SOURCE.files().items() if paths}
    SOURCE_FILES = [path for paths in READ.values() for path in paths]

# Images that Snakemake fetches are inputs of the jobs that open them; local ones are known by the table of posts.
FETCHED = [path for place, path in zip(SOURCE.image_roots(), READ["images"]) if isinstance(place, str)]
WITH_CANDIDATES = any(getattr(CONFIG.portraits, key) is not None for key in ("detector", "person", "duplicates"))
PORTRAIT_REJECTS = [
    f"results/{{{{dataset}}}}/{product}/rejects-{{shard}}.parquet"
    for product in ["candidates"] * WITH_CANDIDATES + ["portraits"]
]


rule render_sample:
    """The embedded sample: a Danbooru dump of drawn portraits, labelme files for some, the true masks of all."""
    message:
        "Render the sample"
    input:
        code=code("render_sample"),
    output:
        source=directory("results/{dataset}/source"),
        checksums="results/{dataset}/source.sha256",
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
        " --out {output.source} --checksums {output.checksums} 2>&1 | tee {log}"


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
        read=lambda wildcards: " ".join(f"--{key} {' '.join(map(quote, map(str, READ[key])))}" for key in READ),
    threads: 4
    resources:
        mem_mb=memory(4000),
        runtime="4h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --kind {params.kind} --settings {params.settings:q} {params.read}"
        " --threads {threads} --out {output.posts} --rejects {output.rejects} 2>&1 | tee {log}"


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
        shards=lookup(dpath="portraits/shards", within=config),
    threads: 1
    resources:
        mem_mb=memory(8000),
        runtime="1h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --posts {input.posts} --settings {params.settings:q} --seed {params.seed}"
        " --shards {params.shards} --out {output.selected} --funnel {output.funnel} --picture {output.picture} 2>&1 | tee {log}"


rule find_portraits:
    """Where in the images of one shard portraits are, and their perceptual hashes; images without go to the rejects."""
    message:
        "Find portraits, shard {wildcards.shard}"
    input:
        code=code("find_portraits"),
        selected="results/{dataset}/selected/selected.parquet",
        fetched=FETCHED,
        cascade=given("portraits.detector.cascade"),
        tagger=given("portraits.person.files"),
    output:
        candidates="results/{dataset}/candidates/shard-{shard}.parquet",
        rejects="results/{dataset}/candidates/rejects-{shard}.parquet",
    log:
        "logs/{dataset}/find_portraits-{shard}.log",
    benchmark:
        "benchmarks/results/{dataset}/find_portraits-{shard}.tsv"
    params:
        settings=CONFIG.portraits.model_copy(
            update={"size": 128, "duplicates": None, "rejected_ids": []}
        ).model_dump_json(),
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime="2h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --selected {input.selected} --settings {params.settings:q} --shard {wildcards.shard}"
        " --out {output.candidates} --rejects {output.rejects} 2>&1 | tee {log}"


rule find_duplicates:
    """Portraits that repeat a better one, in all shards together."""
    message:
        "Find near-duplicates"
    input:
        code=code("find_duplicates"),
        candidates=shards("candidates"),
    output:
        duplicates="results/{dataset}/duplicates/duplicates.parquet",
        table="results/{dataset}/duplicates/duplicates.csv",
    log:
        "logs/{dataset}/find_duplicates.log",
    benchmark:
        "benchmarks/results/{dataset}/find_duplicates.tsv"
    params:
        distance=lookup(dpath="portraits/duplicates", within=config),
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime="1h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --candidates {input.candidates} --distance {params.distance}"
        " --out {output.duplicates} --table {output.table} 2>&1 | tee {log}"


rule crop_portraits:
    """One shard of the selected images as portraits; unreadable ones go to the rejects with their reason."""
    message:
        "Crop portraits, shard {wildcards.shard}"
    input:
        code=code("crop_portraits"),
        selected="results/{dataset}/selected/selected.parquet",
        fetched=FETCHED,
        candidates="results/{dataset}/candidates/shard-{shard}.parquet" if WITH_CANDIDATES else [],
        duplicates="results/{dataset}/duplicates/duplicates.parquet" if CONFIG.portraits.duplicates is not None else [],
        rejected_ids=CONFIG.portraits.rejected_ids,
    output:
        portraits="results/{dataset}/portraits/shard-{shard}.parquet",
        rejects="results/{dataset}/portraits/rejects-{shard}.parquet",
    log:
        "logs/{dataset}/crop_portraits-{shard}.log",
    benchmark:
        "benchmarks/results/{dataset}/crop_portraits-{shard}.tsv"
    params:
        settings=CONFIG.portraits.model_copy(
            update={"detector": None, "person": None, "duplicates": None}
        ).model_dump_json(),
        found=lambda wildcards, input: " ".join(
            f"--{key} {input[key]}" for key in ("candidates", "duplicates") if input[key]
        ),
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime="1h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --selected {input.selected} --settings {params.settings:q} --shard {wildcards.shard}"
        " {params.found} --out {output.portraits} --rejects {output.rejects} 2>&1 | tee {log}"


rule culling_sheet:
    """The portraits of one shard on a page: click to reject, export the list for `portraits.rejected_ids`."""
    message:
        "Lay out shard {wildcards.shard} for culling"
    input:
        code=code("culling_sheet"),
        portraits="results/{dataset}/portraits/shard-{shard}.parquet",
    output:
        "results/{dataset}/culling/shard-{shard}.html",
    log:
        "logs/{dataset}/culling_sheet-{shard}.log",
    benchmark:
        "benchmarks/results/{dataset}/culling_sheet-{shard}.tsv"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime="30m",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --portraits {input.portraits} --dataset {wildcards.dataset} --shard {wildcards.shard}"
        " --out {output} 2>&1 | tee {log}"
