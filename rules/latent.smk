# Stage 5, latent: codes and tags of portraits, their t-SNE map, attribute vectors such as those from one hair
# color to another, and the edits along them.
# Needs vae/, portraits/ and, where there are masks, gaugan/, unet/ and pseudo_labels/; makes latents/, styles/, tags/,
# tsne/ and attributes/.

# GauGAN paints edits with each portrait's mask fixed, where it was trained on styles that are read; elsewhere the VAE's
# decoder paints them.
GAUGAN = plain(rules.train_gaugan.output.model) if CONFIG.styled else []
# Its styles by region are in shards of their own.
CODES = shards("styles" if CONFIG.styled_by_region else "latents")
EVALUATOR = expand(plain(rules.train_unet.output.model), version="v2", allow_missing=True) if CONFIG.masked else []
VISUAL = [source for source in CONFIG.tags.sources if source in ("i2v", "wd14")]


rule latents:
    """The latents, and their comparison with a standard normal."""
    localrule: True
    input:
        expand(shards("latents"), dataset=CONFIG.dataset),
        f"results/{CONFIG.dataset}/latents/metrics.json",


rule tags:
    """The tags, and the agreement of their sources."""
    localrule: True
    input:
        expand(shards("tags"), dataset=CONFIG.dataset),
        f"results/{CONFIG.dataset}/tags/metrics.json",


rule attributes:
    """The attribute vectors, their evaluation, and pictures of paths through latent space."""
    localrule: True
    input:
        expand("results/{dataset}/attributes/{file}.json", dataset=CONFIG.dataset, file=["probes", "metrics"]),
        f"results/{CONFIG.dataset}/attributes/walks.png",


rule encode_latents:
    """The VAE's codes of portraits sampled from one shard."""
    input:
        vae=rules.train_vae.output.model,
        portraits="results/{dataset}/portraits/shard-{shard}.parquet",
    output:
        latents="results/{dataset}/latents/shard-{shard}.parquet",
    log:
        "logs/{dataset}/encode_latents-{shard}.log",
    benchmark:
        "benchmarks/results/{dataset}/encode_latents-{shard}.tsv"
    params:
        **door("encode_latents", limit=-(-CONFIG.latents.max_portraits // len(SHARDS)), seed=CONFIG.seed),
    resources:
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


if CONFIG.styled_by_region:

    rule encode_styles:
        """GauGAN's style codes by region of the same portraits."""
        input:
            gaugan=rules.train_gaugan.output.model,
            portraits="results/{dataset}/portraits/shard-{shard}.parquet",
            pseudo_labels="results/{dataset}/pseudo_labels/shard-{shard}.parquet",
        output:
            styles="results/{dataset}/styles/shard-{shard}.parquet",
        log:
            "logs/{dataset}/encode_styles-{shard}.log",
        params:
            **door("encode_styles", limit=-(-CONFIG.latents.max_portraits // len(SHARDS)), seed=CONFIG.seed),
        resources:
            gpu=1,
        conda:
            "../envs/facemill.yaml"
        shell:
            "{params.command} 2>&1 | tee {log}"


rule plot_latents:
    """Each dimension of the latents against N(0, 1)."""
    input:
        latents=shards("latents"),
    output:
        metrics=metrics("results/{dataset}/latents/metrics.json", "latents"),
        picture=figure(
            "results/{dataset}/latents/latents.png", "5 Latent", "1 Latents against a standard normal", "latents"
        ),
    log:
        "logs/{dataset}/plot_latents.log",
    params:
        **door("plot_latents", seed=CONFIG.seed),
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule tag_portraits:
    """The tags that each source assigns to the portraits of one shard, and the colors of their regions."""
    input:
        *[path for source in VISUAL for path in config_file(f"tags.{source}")],
        portraits="results/{dataset}/portraits/shard-{shard}.parquet",
        pseudo_labels=["results/{dataset}/pseudo_labels/shard-{shard}.parquet"] if CONFIG.masked else [],
    output:
        tags="results/{dataset}/tags/shard-{shard}.parquet",
    log:
        "logs/{dataset}/tag_portraits-{shard}.log",
    benchmark:
        "benchmarks/results/{dataset}/tag_portraits-{shard}.tsv"
    params:
        **door("tag_portraits", tags_config=CONFIG.tags, booleans=CONFIG.attributes.booleans),
    resources:
        runtime="4h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule compare_tags:
    """Counts of each name of hair, skin and eye colors, and the agreement of the tags' sources."""
    input:
        tags=shards("tags"),
    output:
        metrics=metrics("results/{dataset}/tags/metrics.json", "tags"),
    log:
        "logs/{dataset}/compare_tags.log",
    params:
        **door("compare_tags", tags_config=CONFIG.tags),
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule plot_tsne:
    """The latents on the t-SNE map and by PCA, colored by hair."""
    input:
        latents=CODES,
        tags=shards("tags"),
        portraits=shards("portraits"),
    output:
        tsne="results/{dataset}/tsne/tsne.parquet",
        metrics=metrics("results/{dataset}/tsne/metrics.json", "tsne"),
        picture=figure("results/{dataset}/tsne/tsne.png", "5 Latent", "2 Latents by hair color", "tsne"),
    log:
        "logs/{dataset}/plot_tsne.log",
    params:
        **door("plot_tsne", tags_config=CONFIG.tags, holdout=CONFIG.holdout, seed=CONFIG.seed),
    threads: 2
    resources:
        mem_mb=mem_per_attempt(6000),
        runtime="2h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule attribute_vectors:
    """The vectors between hair colors, and to each boolean attribute."""
    input:
        latents=CODES,
        tags=shards("tags"),
    output:
        "results/{dataset}/attributes/vectors.json",
        vectors="results/{dataset}/attributes/vectors.safetensors",
    log:
        "logs/{dataset}/attribute_vectors.log",
    params:
        **door(
            "attribute_vectors",
            booleans=CONFIG.attributes.booleans,
            preserve=CONFIG.attributes.preserve,
            method=CONFIG.attributes.method,
            min_images=CONFIG.attributes.min_images,
            holdout=CONFIG.holdout,
            classes=CONFIG.classes if CONFIG.styled_by_region else None,
        ),
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule probe_latents:
    """Linear probes of each attribute, of latents and of pixels, and their balanced accuracy on test portraits."""
    input:
        latents=CODES,
        tags=shards("tags"),
        portraits=shards("portraits"),
    output:
        judge="results/{dataset}/attributes/judge.safetensors",
        metrics=metrics("results/{dataset}/attributes/probes.json", "probes"),
    log:
        "logs/{dataset}/probe_latents.log",
    params:
        **door(
            "probe_latents",
            booleans=CONFIG.attributes.booleans,
            min_images=CONFIG.attributes.min_images,
            holdout=CONFIG.holdout,
        ),
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule evaluate_attributes:
    """Held-out portraits edited to every target of a vector: the success rate, and the drift of all else."""
    input:
        *[path for source in VISUAL for path in config_file(f"tags.{source}")],
        vectors=plain(rules.attribute_vectors.output.vectors),
        judge=plain(rules.probe_latents.output.judge),
        vae=plain(rules.train_vae.output.model),
        latents=CODES,
        tags=shards("tags"),
        portraits=shards("portraits"),
        gaugan=GAUGAN,
        unet=EVALUATOR,
        pseudo_labels=MASKS,
    output:
        metrics=metrics("results/{dataset}/attributes/metrics.json", "attributes"),
        transitions=figure(
            "results/{dataset}/attributes/transitions.png",
            "5 Latent",
            "3 From one attribute to another",
            "transitions",
        ),
        animation=figure(
            "results/{dataset}/attributes/transitions.webp",
            "5 Latent",
            "4 From one attribute to another, animated",
            "transitions",
        ),
    log:
        "logs/{dataset}/evaluate_attributes.log",
    benchmark:
        "benchmarks/results/{dataset}/evaluate_attributes.tsv"
    params:
        **door(
            "evaluate_attributes",
            tags_config=CONFIG.tags,
            eval_portraits=CONFIG.attributes.eval_portraits,
            strength=CONFIG.attributes.strength,
            steps=CONFIG.attributes.steps,
            holdout=CONFIG.holdout,
            seed=CONFIG.seed,
        ),
    resources:
        mem_mb=mem_per_attempt(6000),
        runtime="2h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule walk_latents:
    """Held-out portraits along each vector, on random walks, and on lines to other portraits."""
    input:
        vectors=plain(rules.attribute_vectors.output.vectors),
        vae=plain(rules.train_vae.output.model),
        latents=CODES,
        tags=shards("tags"),
        gaugan=GAUGAN,
        pseudo_labels=MASKS,
    output:
        sliders=figure("results/{dataset}/attributes/sliders.png", "5 Latent", "5 Along each vector", "sliders"),
        walks=figure("results/{dataset}/attributes/walks.png", "5 Latent", "6 Random walks", "walks"),
        walks_animation=figure(
            "results/{dataset}/attributes/walks.webp", "5 Latent", "7 Random walks, animated", "walks"
        ),
        interpolations=figure(
            "results/{dataset}/attributes/interpolations.png",
            "5 Latent",
            "8 From one portrait to another",
            "interpolations",
        ),
        interpolations_animation=figure(
            "results/{dataset}/attributes/interpolations.webp",
            "5 Latent",
            "9 From one portrait to another, animated",
            "interpolations",
        ),
    log:
        "logs/{dataset}/walk_latents.log",
    params:
        **door(
            "walk_latents",
            strength=CONFIG.attributes.strength,
            steps=CONFIG.attributes.steps,
            holdout=CONFIG.holdout,
            seed=CONFIG.seed,
        ),
    resources:
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"
