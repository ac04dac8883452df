# Avatars, when asked for: the parts of portraits (eyes, mouth, hair, face, clothes), as the masks show them, matched to
# the parts of drawing styles.
# Needs portraits/, pseudo_labels/ and unet/, of the sample also source/ and films/; makes avatars/.
import re

STYLES = {Path(style).stem: style for style in CONFIG.avatars.styles}
AVATARS = "results/{dataset}/avatars"
FILM = CONFIG.avatars.film or (f"results/{CONFIG.dataset}/films/a.mp4" if CONFIG.kind == "sample" else None)


wildcard_constraints:
    style="|".join(map(re.escape, STYLES)),
    kind="original|fixed",


rule avatars:
    """Avatars of all portraits in every style, with figures and pictures."""
    localrule: True
    input:
        f"results/{CONFIG.dataset}/avatars/metrics.json",
        f"results/{CONFIG.dataset}/avatars/film/metrics.json" if FILM else [],


rule render_parts:
    """The parts of a drawing style: each variant in several contexts, cut out and described as portraits' parts are."""
    input:
        lambda wildcards: STYLES[wildcards.style] if STYLES[wildcards.style].endswith(".json") else [],
    output:
        parts=f"{AVATARS}/parts/{{style}}.parquet",
        about=f"{AVATARS}/parts/{{style}}.json",
        sheet=f"{AVATARS}/parts/{{style}}.png",
    log:
        "logs/{dataset}/render_parts-{style}.log",
    params:
        **door(
            "render_parts",
            style=lambda wildcards: STYLES[wildcards.style],
            size=CONFIG.avatars.size,
            looks=CONFIG.avatars.looks,
            seed=CONFIG.seed,
        ),
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule cut_regions:
    """The parts of a shard's portraits, cut out under their masks and described."""
    input:
        portraits="results/{dataset}/portraits/shard-{shard}.parquet",
        pseudo_labels="results/{dataset}/pseudo_labels/shard-{shard}.parquet",
    output:
        regions=f"{AVATARS}/regions/shard-{{shard}}.parquet",
    log:
        "logs/{dataset}/cut_regions-{shard}.log",
    benchmark:
        "benchmarks/results/{dataset}/cut_regions-{shard}.tsv"
    params:
        **door("cut_regions", looks=CONFIG.avatars.looks, seed=CONFIG.seed),
    resources:
        runtime="8h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule describe_collection:
    """Mean and deviation of the descriptors of each part over the collection, by which they are standardized."""
    input:
        regions=shards("avatars/regions"),
    output:
        statistics=f"{AVATARS}/statistics.safetensors",
    log:
        "logs/{dataset}/describe_collection.log",
    params:
        **door("describe_collection"),
    resources:
        mem_mb=mem_per_attempt(8000),
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule train_part_encoder:
    """The autoencoder of parts with a code of eight numbers, as published (`original`) or mended (`fixed`)."""
    input:
        regions=shards("avatars/regions"),
    output:
        f"{AVATARS}/encoder-{{kind}}/model.json",
        model=f"{AVATARS}/encoder-{{kind}}/model.safetensors",
        curves=curves(f"{AVATARS}/encoder-{{kind}}/curves.csv", "loss"),
    log:
        "logs/{dataset}/train_part_encoder-{kind}.log",
    benchmark:
        "benchmarks/results/{dataset}/train_part_encoder-{kind}.tsv"
    params:
        **door("train_part_encoder", wildcards=["kind"], training=CONFIG.avatars.training, seed=CONFIG.seed),
    resources:
        runtime="8h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule match_avatars:
    """The avatars of a shard's portraits in a style: the nearest variants, in the portraits' colors."""
    input:
        regions=rules.cut_regions.output.regions,
        statistics=rules.describe_collection.output.statistics,
        parts=rules.render_parts.output.parts,
        about=rules.render_parts.output.about,
    output:
        avatars=f"{AVATARS}/{{style}}/shard-{{shard}}.parquet",
    log:
        "logs/{dataset}/match_avatars-{style}-{shard}.log",
    benchmark:
        "benchmarks/results/{dataset}/match_avatars-{style}-{shard}.tsv"
    params:
        **door("match_avatars", size=CONFIG.avatars.size),
    resources:
        runtime="8h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule compare_extractors:
    """The extractors side by side: shape, pixels, both autoencoders, pretrained networks without their heads."""
    input:
        *config_file("avatars.resnet50_weights"),
        *config_file("unet.encoder_weights"),
        *(SOURCE_FILES if CONFIG.kind == "sample" else []),
        portraits=shards("portraits"),
        pseudo_labels=shards("pseudo_labels"),
        regions=shards("avatars/regions"),
        parts=expand(rules.render_parts.output.parts, style=STYLES, allow_missing=True),
        encoders=expand(rules.train_part_encoder.output.model, kind=["original", "fixed"], allow_missing=True),
        films=ancient(rules.film_sample.output.films) if CONFIG.kind == "sample" else [],
        truth=rules.film_sample.output.truth if CONFIG.kind == "sample" else [],
        unet="results/{dataset}/unet/v3/model.safetensors",
    output:
        extractors=f"{AVATARS}/extractors.json",
        embeddings=also(
            "avatars", figure(f"{AVATARS}/embeddings.png", "6 Avatars", "3 Embeddings", "avatar_embeddings")
        ),
        codes=also("avatars", figure(f"{AVATARS}/codes.png", "6 Avatars", "4 Codes of the autoencoder", "avatar_codes")),
    log:
        "logs/{dataset}/compare_extractors.log",
    params:
        **door(
            "compare_extractors",
            variants=f"{RENDERED}/truth/variants.parquet" if CONFIG.kind == "sample" else None,
            mobilenet_weights=CONFIG.unet.encoder_weights if CONFIG.unet.encoder == "mobilenet_v2" else None,
            resnet50_weights=CONFIG.avatars.resnet50_weights,
            size=CONFIG.avatars.size,
            looks=CONFIG.avatars.looks,
            seed=CONFIG.seed,
        ),
    resources:
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule evaluate_avatars:
    """How often parts are matched to the variants they were drawn of, colors, expressions, stability."""
    input:
        portraits=shards("portraits"),
        pseudo_labels=shards("pseudo_labels"),
        labels=LABELLED,
        regions=shards("avatars/regions"),
        statistics=rules.describe_collection.output.statistics,
        parts=expand(rules.render_parts.output.parts, style=STYLES, allow_missing=True),
        avatars=expand(rules.match_avatars.output.avatars, style=STYLES, shard=SHARDS, allow_missing=True),
        source=ancient(rules.render_sample.output.source) if CONFIG.kind == "sample" else [],
        extractors=rules.compare_extractors.output.extractors,
    output:
        metrics=also("avatars", metrics(f"{AVATARS}/metrics.json", "avatars")),
        table=f"{AVATARS}/retrieval.csv",
        confusion=also("avatars", figure(f"{AVATARS}/confusion.png", "6 Avatars", "2 Confusion", "avatar_confusion")),
        sheet=also("avatars", figure(f"{AVATARS}/avatars.png", "6 Avatars", "1 Portraits and avatars", "avatars")),
    log:
        "logs/{dataset}/evaluate_avatars.log",
    params:
        **door(
            "evaluate_avatars",
            size=CONFIG.avatars.size,
            looks=CONFIG.avatars.looks,
            shown=CONFIG.avatars.shown,
            seed=CONFIG.seed,
        ),
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


if FILM:

    rule film_avatar:
        """A film with the avatar of its face, and the embeddings of each part of both, drawn beside it."""
        input:
            *(config_file("avatars.film") or [ancient(rules.film_sample.output.films), rules.film_sample.output.truth]),
            unet="results/{dataset}/unet/v3/model.safetensors",
            parts=expand(rules.render_parts.output.parts, style=list(STYLES)[0], allow_missing=True),
            statistics=rules.describe_collection.output.statistics,
        output:
            out=f"{AVATARS}/film/embeddings.mp4",
            table=f"{AVATARS}/film/embeddings.csv",
            metrics=also("avatars", metrics(f"{AVATARS}/film/metrics.json", "avatar_film")),
        log:
            "logs/{dataset}/film_avatar.log",
        params:
            **door(
                "film_avatar",
                film=FILM,
                looks=CONFIG.avatars.looks,
                keep=CONFIG.avatars.keep,
                hold=CONFIG.avatars.hold,
            ),
        resources:
            gpu=1,
        conda:
            "../envs/facemill.yaml"
        shell:
            "{params.command} 2>&1 | tee {log}"
