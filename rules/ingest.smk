# Stage 1, ingest: from a collection of images and its metadata to shards of portraits.
# Needs `source` in the config (the sample renders its collection); makes posts/, selected/, portraits/ and rejects/;
# where faces or persons are detected or duplicates left out also candidates/ and duplicates/; when asked for culling/.
from facemill.config.label import LabelsConfig


rule portraits:
    """All shards of portraits."""
    localrule: True
    input:
        expand(shards("portraits"), dataset=CONFIG.dataset),


rule culling:
    """A page for each shard on which portraits are rejected by hand."""
    localrule: True
    input:
        expand("results/{dataset}/culling/shard-{shard}.html", dataset=CONFIG.dataset, shard=SHARDS),


rule render_sample:
    """The embedded sample: a Danbooru dump of synthetic portraits, labelme files for some, the true masks of all."""
    output:
        source=directory("results/{dataset}/source"),
        checksums="results/{dataset}/source.sha256",
    log:
        "logs/{dataset}/render_sample.log",
    params:
        **door(
            "render_sample",
            settings=CONFIG.sample,
            size=CONFIG.portraits.size,
            seed=CONFIG.seed,
            classes=CONFIG.classes,
            labels=LabelsConfig(merge=CONFIG.labels.merge, ignore=CONFIG.labels.ignore, validation=0, test=0),
        ),
    priority: 2
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule film_sample:
    """The sample's two films with sound, and the truth of all their frames."""
    output:
        films=directory("results/{dataset}/films"),
        truth="results/{dataset}/films.parquet",
    log:
        "logs/{dataset}/film_sample.log",
    params:
        **door(
            "film_sample",
            settings=CONFIG.sample,
            seed=CONFIG.seed,
            classes=CONFIG.classes,
            labels=LabelsConfig(merge=CONFIG.labels.merge, ignore=CONFIG.labels.ignore, validation=0, test=0),
        ),
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule ingest_posts:
    """A collection's metadata as one typed table of posts; what cannot be used goes to the rejects with its reason."""
    input:
        *SOURCE_FILES,
    output:
        posts="results/{dataset}/posts/posts.parquet",
        rejects="results/{dataset}/posts/rejects.parquet",
    log:
        "logs/{dataset}/ingest_posts.log",
    params:
        **door("ingest_posts", kind=CONFIG.kind, settings=SOURCE, **READ),
        images=IMAGES,
    threads: 4
    resources:
        runtime="4h",
    priority: 2
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} --threads {threads} 2>&1 | tee {log}"


rule filter_posts:
    """The posts that meet every rule of the filter, and how many posts each rule removes."""
    input:
        posts=rules.ingest_posts.output.posts,
    output:
        selected="results/{dataset}/selected/selected.parquet",
        funnel="results/{dataset}/selected/funnel.csv",
        picture=figure("results/{dataset}/selected/funnel.png", "1 Ingest", "Selection funnel", "funnel"),
    log:
        "logs/{dataset}/filter_posts.log",
    params:
        **door("filter_posts", settings=CONFIG.filter, seed=CONFIG.seed, shards=CONFIG.portraits.shards),
    resources:
        mem_mb=mem_per_attempt(8000),
    priority: 2
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule find_portraits:
    """The boxes of portraits in a shard's images, with perceptual hashes; images without go to the rejects."""
    input:
        *FETCHED,
        *config_file("portraits.detector.cascade"),
        *config_file("portraits.person.files"),
        selected=rules.filter_posts.output.selected,
    output:
        candidates="results/{dataset}/candidates/shard-{shard}.parquet",
        rejects="results/{dataset}/candidates/rejects-{shard}.parquet",
    log:
        "logs/{dataset}/find_portraits-{shard}.log",
    benchmark:
        "benchmarks/results/{dataset}/find_portraits-{shard}.tsv"
    params:
        **door(
            "find_portraits",
            wildcards=["shard"],
            settings=CONFIG.portraits.model_copy(update={"size": 128, "duplicates": None, "rejected_ids": []}),
        ),
        images=IMAGES,
    resources:
        runtime="2h",
    priority: 2
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule find_duplicates:
    """Portraits that repeat a better one, in all shards together."""
    input:
        candidates=shards("candidates"),
    output:
        duplicates="results/{dataset}/duplicates/duplicates.parquet",
        table="results/{dataset}/duplicates/duplicates.csv",
    log:
        "logs/{dataset}/find_duplicates.log",
    params:
        **door("find_duplicates", distance=CONFIG.portraits.duplicates),
    priority: 2
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule crop_portraits:
    """A shard of the selected images as portraits; unreadable images go to the rejects with their reason."""
    input:
        *FETCHED,
        selected=rules.filter_posts.output.selected,
        candidates=rules.find_portraits.output.candidates if WITH_CANDIDATES else [],
        duplicates=rules.find_duplicates.output.duplicates if CONFIG.portraits.duplicates is not None else [],
        rejected_ids=CONFIG.portraits.rejected_ids,
    output:
        portraits="results/{dataset}/portraits/shard-{shard}.parquet",
        rejects="results/{dataset}/rejects/shard-{shard}.parquet",
    log:
        "logs/{dataset}/crop_portraits-{shard}.log",
    benchmark:
        "benchmarks/results/{dataset}/crop_portraits-{shard}.tsv"
    params:
        **door(
            "crop_portraits",
            wildcards=["shard"],
            settings=CONFIG.portraits.model_copy(
                update={"detector": None, "person": None, "duplicates": None, "rejected_ids": []}
                | ({"crop": "middle"} if WITH_CANDIDATES else {})  # they are boxes already
            ),
        ),
        images=IMAGES,
    priority: 2
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule culling_sheet:
    """The portraits of a shard on a page: click to reject, export the list for `portraits.rejected_ids`."""
    input:
        portraits=rules.crop_portraits.output.portraits,
    output:
        page="results/{dataset}/culling/shard-{shard}.html",
    log:
        "logs/{dataset}/culling_sheet-{shard}.log",
    params:
        **door("culling_sheet", wildcards=["dataset", "shard"]),
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"
