# StyleGAN, when asked for: portraits out of nothing, with figures, and ways to steer them.
# Needs portraits/, vae/ and attributes/, where there are masks also pseudo_labels/, unet/, tags/ and gaugan/, with
# conditions tags/; makes stylegan/, generated/ and generated_tags/.

STYLEGAN = "results/{dataset}/stylegan"

# The U-Net that draws the masks of generated portraits is that of the pseudo-labels.
LABELLER = (
    expand(plain(rules.train_unet.output.model), version=CONFIG.pseudo_labels.version, allow_missing=True)
    if CONFIG.masked
    else []
)


rule stylegan:
    """StyleGAN, trained on all portraits but held-out and rejected ones."""
    localrule: True
    input:
        f"results/{CONFIG.dataset}/stylegan/model.safetensors",
        f"results/{CONFIG.dataset}/stylegan/metrics.json",
        expand(
            "results/{dataset}/stylegan/{file}.json",
            dataset=CONFIG.dataset,
            file=["mixing", "projections", "vectors_metrics", "factors"]
            + ["features", "edits", "propagation"] * CONFIG.masked,
        ),
        f"results/{CONFIG.dataset}/stylegan/interpolations.png",


rule train_stylegan:
    """StyleGAN2's generator and discriminator, trained on the portraits that the gate accepts."""
    input:
        *(
            f"{path}/{name}.safetensors"
            for path in config_file("stylegan.initial")
            for name in ("model", "discriminator")
        ),
        portraits=shards("portraits"),
        gate=plain(rules.gate_pseudo_labels.output.gate) if CONFIG.masked else [],
        tags=shards("tags") if CONFIG.stylegan.conditions else [],
    output:
        f"{STYLEGAN}/model.json",
        f"{STYLEGAN}/discriminator.json",
        model=f"{STYLEGAN}/model.safetensors",
        discriminator=f"{STYLEGAN}/discriminator.safetensors",
        curves=curves(f"{STYLEGAN}/curves.csv", "loss_g", "loss_d", "overfit"),
    log:
        "logs/{dataset}/train_stylegan.log",
    benchmark:
        "benchmarks/results/{dataset}/train_stylegan.tsv"
    params:
        **door(
            "train_stylegan",
            launcher=f"-m facemill.workflow.launch {CONFIG.stylegan.gpus}",
            settings=CONFIG.stylegan,
            min_images=CONFIG.attributes.min_images,
            seed=CONFIG.seed,
            holdout=CONFIG.holdout,
        ),
    threads: 8 * CONFIG.stylegan.gpus
    resources:
        mem_mb=mem_per_attempt(CONFIG.stylegan.gpus * (12000 + loader_mb())),
        runtime="7d",
        gpu=CONFIG.stylegan.gpus,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule evaluate_stylegan:
    """Portraits of seeds in numbers beside held-out ones, at each truncation, and those nearest to the training's."""
    input:
        *config_file("gaugan.inception_weights"),
        model=plain(rules.train_stylegan.output.model),
        curves=plain(rules.train_stylegan.output.curves),
        portraits=shards("portraits"),
        gate=plain(rules.gate_pseudo_labels.output.gate) if CONFIG.masked else [],
        evaluator=EVALUATOR,
        labeller=LABELLER,
        vae=[] if CONFIG.masked else plain(rules.train_vae.output.model),
        tags=shards("tags") if CONFIG.stylegan.conditions else [],
        probes=plain(rules.probe_latents.output.judge) if CONFIG.stylegan.conditions else [],
    output:
        **(
            {"classes": shown("stylegan", "classes.png", "7 StyleGAN", "4 Classes", "stylegan_classes")}
            if CONFIG.stylegan.conditions
            else {}
        ),
        **({"mask_limits": f"{STYLEGAN}/mask_limits.json"} if CONFIG.masked else {}),
        metrics=also("stylegan", metrics(f"{STYLEGAN}/metrics.json", "stylegan")),
        truncation=f"{STYLEGAN}/truncation.csv",
        truncation_picture=shown("stylegan", "truncation.png", "7 StyleGAN", "2 Truncation", "stylegan_truncation"),
        samples=shown("stylegan", "samples.png", "7 StyleGAN", "1 Seeds 0 to 99", "stylegan_samples"),
        neighbors=shown("stylegan", "neighbors.png", "7 StyleGAN", "3 Nearest to the training", "stylegan_neighbors"),
    log:
        "logs/{dataset}/evaluate_stylegan.log",
    benchmark:
        "benchmarks/results/{dataset}/evaluate_stylegan.tsv"
    params:
        **door(
            "evaluate_stylegan",
            inception_weights=CONFIG.gaugan.inception_weights,
            tags_config=CONFIG.tags,
            holdout=CONFIG.holdout,
        ),
    resources:
        mem_mb=mem_per_attempt(8000),
        runtime="4h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule evaluate_mixing:
    """What coarse, middle and fine layers carry: portraits with some layers' styles from others."""
    input:
        model=plain(rules.train_stylegan.output.model),
        unet=EVALUATOR,
    output:
        metrics=also("stylegan", metrics(f"{STYLEGAN}/mixing.json", "stylegan_mixing")),
        picture=shown("stylegan", "mixing.png", "7 StyleGAN", "5 Mixed styles", "stylegan_mixing"),
    log:
        "logs/{dataset}/evaluate_mixing.log",
    benchmark:
        "benchmarks/results/{dataset}/evaluate_mixing.tsv"
    params:
        **door("evaluate_mixing", truncation=CONFIG.generated.truncation),
    resources:
        runtime="2h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule project_samples:
    """How near the styles that are found for portraits come to them: held-out ones, the training's, and generated ones."""
    input:
        *config_file("gaugan.vgg_weights"),
        model=plain(rules.train_stylegan.output.model),
        vae=plain(rules.train_vae.output.model),
        unet=EVALUATOR,
        portraits=shards("portraits"),
    output:
        projections=f"{STYLEGAN}/projections.parquet",
        metrics=also("stylegan", metrics(f"{STYLEGAN}/projections.json", "stylegan_projections")),
        picture=shown("stylegan", "projections.png", "7 StyleGAN", "6 Projected portraits", "stylegan_projections"),
    log:
        "logs/{dataset}/project_samples.log",
    benchmark:
        "benchmarks/results/{dataset}/project_samples.tsv"
    params:
        **door(
            "project_samples",
            vgg_weights=CONFIG.gaugan.vgg_weights,
            settings=CONFIG.projection,
            holdout=CONFIG.holdout,
        ),
    resources:
        mem_mb=mem_per_attempt(8000),
        runtime="8h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule generate_samples:
    """Portraits of seeds, dealt out to shards, with styles and masks, and whether they are accepted."""
    input:
        model=rules.train_stylegan.output.model,
        discriminator=rules.train_stylegan.output.discriminator,
        unet=LABELLER,
        mask_limits=rules.evaluate_stylegan.output.mask_limits if CONFIG.masked else [],
        probes=rules.probe_latents.output.judge if CONFIG.tags.sources == ["tags"] else [],
    output:
        generated="results/{dataset}/generated/shard-{shard}.parquet",
    log:
        "logs/{dataset}/generate_samples-{shard}.log",
    benchmark:
        "benchmarks/results/{dataset}/generate_samples-{shard}.tsv"
    params:
        **door(
            "generate_samples",
            wildcards=["shard"],
            shards=len(SHARDS),
            settings=CONFIG.generated,
            limits=CONFIG.pseudo_labels.model_copy(update={"min_confidence": CONFIG.generated.min_confidence}),
        ),
    resources:
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule tag_generated:
    """The tags that each source assigns to the generated portraits of one shard, and the colors of their regions."""
    input:
        *[path for source in VISUAL for path in config_file(f"tags.{source}")],
        generated=rules.generate_samples.output.generated,
    output:
        tags="results/{dataset}/generated_tags/shard-{shard}.parquet",
    log:
        "logs/{dataset}/tag_generated-{shard}.log",
    params:
        **door("tag_generated", tags_config=CONFIG.tags, booleans=CONFIG.attributes.booleans),
    resources:
        runtime="4h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule stylegan_vectors:
    """The vectors in W between hair colors, and to each boolean attribute, fitted to generated portraits."""
    input:
        generated=shards("generated"),
        tags=shards("generated_tags"),
    output:
        f"{STYLEGAN}/vectors.json",
        vectors=f"{STYLEGAN}/vectors.safetensors",
    log:
        "logs/{dataset}/stylegan_vectors.log",
    params:
        **door(
            "stylegan_vectors",
            booleans=CONFIG.attributes.booleans,
            preserve=CONFIG.attributes.preserve,
            method=CONFIG.attributes.method,
            min_images=CONFIG.attributes.min_images,
            holdout=CONFIG.holdout,
        ),
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule evaluate_stylegan_vectors:
    """Held-out generated portraits edited to every target of a vector: the success rate, and the drift of all else."""
    input:
        *[path for source in VISUAL for path in config_file(f"tags.{source}")],
        vectors=plain(rules.stylegan_vectors.output.vectors),
        probes=plain(rules.probe_latents.output.judge),
        model=plain(rules.train_stylegan.output.model),
        generated=shards("generated"),
        tags=shards("generated_tags"),
        portraits=shards("portraits"),
        evaluator=EVALUATOR,
        labeller=LABELLER,
        vae=[] if CONFIG.masked else plain(rules.train_vae.output.model),
    output:
        metrics=also("stylegan", metrics(f"{STYLEGAN}/vectors_metrics.json", "stylegan_vectors")),
        transitions=shown(
            "stylegan", "vectors.png", "7 StyleGAN", "7 From one attribute to another", "stylegan_vectors"
        ),
        animation=shown(
            "stylegan", "vectors.webp", "7 StyleGAN", "8 From one attribute to another, animated", "stylegan_vectors"
        ),
    log:
        "logs/{dataset}/evaluate_stylegan_vectors.log",
    benchmark:
        "benchmarks/results/{dataset}/evaluate_stylegan_vectors.tsv"
    params:
        **door(
            "evaluate_stylegan_vectors",
            tags_config=CONFIG.tags,
            eval_portraits=CONFIG.attributes.eval_portraits,
            strength=CONFIG.generated.strength,
            steps=CONFIG.attributes.steps,
            holdout=CONFIG.holdout,
            seed=CONFIG.seed,
        ),
    resources:
        mem_mb=mem_per_attempt(8000),
        runtime="2h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule factor_styles:
    """Directions in W without labels, of the style matrices and of the styles, and what each moves."""
    input:
        model=plain(rules.train_stylegan.output.model),
        unet=EVALUATOR,
    output:
        factors=f"{STYLEGAN}/factors.safetensors",
        metrics=also("stylegan", metrics(f"{STYLEGAN}/factors.json", "stylegan_factors")),
        picture=shown(
            "stylegan", "factors.png", "8 Steering StyleGAN", "1 Directions without labels", "stylegan_factors"
        ),
    log:
        "logs/{dataset}/factor_styles.log",
    benchmark:
        "benchmarks/results/{dataset}/factor_styles.tsv"
    params:
        **door("factor_styles", truncation=CONFIG.generated.truncation),
    resources:
        runtime="2h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule walk_stylegan:
    """Straight lines in W from portrait to portrait, and held-out generated portraits that walk along the vectors."""
    input:
        model=plain(rules.train_stylegan.output.model),
        vectors=plain(rules.stylegan_vectors.output.vectors),
        generated=shards("generated"),
        tags=shards("generated_tags"),
    output:
        interpolations=shown(
            "stylegan",
            "interpolations.png",
            "8 Steering StyleGAN",
            "2 From one portrait to another",
            "stylegan_interpolations",
        ),
        interpolations_animation=shown(
            "stylegan",
            "interpolations.webp",
            "8 Steering StyleGAN",
            "3 From one portrait to another, animated",
            "stylegan_interpolations",
        ),
        walks_animation=shown(
            "stylegan",
            "walks.webp",
            "8 Steering StyleGAN",
            "4 From one attribute to the next, animated",
            "stylegan_walks",
        ),
    log:
        "logs/{dataset}/walk_stylegan.log",
    params:
        **door(
            "walk_stylegan",
            truncation=CONFIG.generated.truncation,
            strength=CONFIG.generated.strength,
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


rule find_features:
    """Which feature maps of StyleGAN follow a class of the masks, and by how much more than the mean mask does."""
    input:
        model=plain(rules.train_stylegan.output.model),
        generated=shards("generated"),
    output:
        features=f"{STYLEGAN}/features.parquet",
        metrics=also("stylegan", metrics(f"{STYLEGAN}/features.json", "stylegan_features")),
        picture=shown(
            "stylegan", "features.png", "8 Steering StyleGAN", "5 Maps that follow a class", "stylegan_features"
        ),
    log:
        "logs/{dataset}/find_features.log",
    params:
        **door("find_features", settings=CONFIG.edits),
    resources:
        mem_mb=mem_per_attempt(8000),
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule find_edits:
    """Local edits of feature maps, one for each attribute, found by difference and by effect."""
    input:
        model=plain(rules.train_stylegan.output.model),
        generated=shards("generated"),
        portraits=shards("portraits"),
        tags=shards("tags"),
        pseudo_labels=shards("pseudo_labels"),
    output:
        edits=expand(f"{STYLEGAN}/edits/{{attribute}}.json", attribute=CONFIG.edits.attributes, allow_missing=True),
    log:
        "logs/{dataset}/find_edits.log",
    params:
        **door("find_edits", settings=CONFIG.edits, min_images=CONFIG.attributes.min_images, holdout=CONFIG.holdout),
    resources:
        mem_mb=mem_per_attempt(8000),
        runtime="4h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule evaluate_edits:
    """Held-out generated portraits edited in four ways, success and what else changes; a talking mouth."""
    input:
        model=plain(rules.train_stylegan.output.model),
        edits=rules.find_edits.output.edits,
        evaluator=EVALUATOR,
        gaugan=GAUGAN,
        style_encoder=plain(rules.train_gaugan.output.style_encoder) if CONFIG.styled else [],
        generated=shards("generated"),
        generated_tags=shards("generated_tags"),
        portraits=shards("portraits"),
        tags=shards("tags"),
        pseudo_labels=shards("pseudo_labels"),
    output:
        metrics=also("stylegan", metrics(f"{STYLEGAN}/edits.json", "stylegan_edits")),
        picture=shown("stylegan", "edits.png", "8 Steering StyleGAN", "6 Four ways to an attribute", "stylegan_edits"),
        animation=shown("stylegan", "edits.webp", "8 Steering StyleGAN", "7 Local edits, animated", "stylegan_edits"),
    log:
        "logs/{dataset}/evaluate_edits.log",
    benchmark:
        "benchmarks/results/{dataset}/evaluate_edits.tsv"
    params:
        **door(
            "evaluate_edits",
            settings=CONFIG.edits,
            preserve=CONFIG.attributes.preserve,
            strength=CONFIG.generated.strength,
            min_images=CONFIG.attributes.min_images,
            holdout=CONFIG.holdout,
        ),
    resources:
        mem_mb=mem_per_attempt(8000),
        runtime="2h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


if CONFIG.masked:

    rule stylegan_review:
        """Generated portraits to label, as labelme files."""
        localrule: True
        input:
            f"results/{CONFIG.dataset}/stylegan_review/labelme",

    rule propagated:
        """Masks of all generated portraits, from a few that are labelled."""
        localrule: True
        input:
            f"results/{CONFIG.dataset}/stylegan/propagation.json",

    rule review_generated:
        """Random generated portraits, with the U-Net's masks, as labelme files to correct."""
        input:
            generated=shards("generated"),
        output:
            labelme=directory("results/{dataset}/stylegan_review/labelme"),
            picture="results/{dataset}/stylegan_review/review.png",
        log:
            "logs/{dataset}/review_generated.log",
        params:
            **door("review_generated", count=CONFIG.propagation.portraits, labels=CONFIG.labels),
        resources:
            gpu=1,
        conda:
            "../envs/facemill.yaml"
        shell:
            "{params.command} 2>&1 | tee {log}"

    rule propagate_labels:
        """A linear classifier of feature maps, fitted to few labelled portraits, labels all generated ones."""
        input:
            *map(ancient, config_file("propagation.labelled")),
            model=plain(rules.train_stylegan.output.model),
            generated=shards("generated"),
        output:
            propagated=expand("results/{dataset}/propagated/shard-{shard}.parquet", shard=SHARDS, allow_missing=True),
            metrics=also("stylegan", metrics(f"{STYLEGAN}/propagation.json", "stylegan_propagation")),
            picture=shown(
                "stylegan", "propagation.png", "8 Steering StyleGAN", "8 Labels from a few", "stylegan_propagation"
            ),
        log:
            "logs/{dataset}/propagate_labels.log",
        params:
            **door("propagate_labels", settings=CONFIG.propagation, labels=CONFIG.labels),
            corrected=listed(CONFIG.files("propagation.labelled"), (*IMAGE_SUFFIXES, ".json")),
        resources:
            mem_mb=mem_per_attempt(8000),
            runtime="2h",
            gpu=1,
        conda:
            "../envs/facemill.yaml"
        shell:
            "{params.command} 2>&1 | tee {log}"
