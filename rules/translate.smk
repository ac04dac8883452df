# Portraits of this collection in the manner of another and back, when asked for, learned without pairs.
# Needs portraits/, for weights of masks and colors pseudo_labels/ and unet/, and another collection (`cyclegan.other`);
# the sample draws its own portraits by another hand. Makes other/ and cyclegan/.


wildcard_constraints:
    direction="a2b|b2a",


rule cyclegan:
    """Portraits of this collection in the manner of the other, and back, with figures."""
    localrule: True
    input:
        or_fault(
            TRANSLATION_FAULT,
            expand(
                [
                    *shards("cyclegan/a2b"),
                    *(other_shards("cyclegan/b2a") if "b2a" in WAYS else []),
                    f"{CYCLEGAN}/metrics.json",
                ],
                dataset=CONFIG.dataset,
            ),
        ),


if PAIRED:

    rule draw_other_hand:
        """The sample's portraits, drawn by another hand, with their exact masks."""
        input:
            portraits="results/{dataset}/portraits/shard-{shard}.parquet",
        output:
            other="results/{dataset}/other/shard-{shard}.parquet",
        log:
            "logs/{dataset}/draw_other_hand-{shard}.log",
        params:
            **door(
                "draw_other_hand",
                settings=CONFIG.portraits.model_copy(
                    update={"detector": None, "person": None, "duplicates": None, "rejected_ids": []}
                ),
                seed=CONFIG.seed,
                classes=CONFIG.classes,
                labels=LabelsConfig(merge=CONFIG.labels.merge, ignore=CONFIG.labels.ignore, validation=0, test=0),
            ),
        conda:
            "../envs/facemill.yaml"
        shell:
            "{params.command} 2>&1 | tee {log}"

    rule train_hands_unet:
        """A U-Net that knows both hands, at the size at which portraits are translated."""
        input:
            *config_file("unet.encoder_weights"),
            portraits=shards("portraits"),
            masks=MASKS,
            other=shards("other"),
        output:
            f"{CYCLEGAN}/unet/model.json",
            labelled=f"{CYCLEGAN}/unet/labelled.parquet",
            model=HANDS_UNET,
            curves=curves(f"{CYCLEGAN}/unet/curves.csv", "loss"),
        log:
            "logs/{dataset}/train_hands_unet.log",
        benchmark:
            "benchmarks/results/{dataset}/train_hands_unet.tsv"
        params:
            **door(
                "train_hands_unet",
                settings=unet_settings(CONFIG, "v3"),
                size=CONFIG.cyclegan.size,
                seed=CONFIG.seed,
                holdout=CONFIG.holdout,
            ),
        threads: 8
        resources:
            mem_mb=mem_per_attempt(6000 + loader_mb()),
            runtime="8h",
            gpu=1,
        conda:
            "../envs/facemill.yaml"
        shell:
            "{params.command} 2>&1 | tee {log}"


if OTHER_RUN:

    rule take_other:
        """A shard of another run's portraits, with their masks."""
        input:
            portraits=f"{OTHER_RUN}/portraits/shard-{{shard}}.parquet",
            pseudo_labels=f"{OTHER_RUN}/pseudo_labels/shard-{{shard}}.parquet" if OTHER_MASKED else [],
        output:
            other="results/{dataset}/other/shard-{shard}.parquet",
        log:
            "logs/{dataset}/take_other-{shard}.log",
        params:
            **door("take_other"),
        conda:
            "../envs/facemill.yaml"
        shell:
            "{params.command} 2>&1 | tee {log}"


if OTHER and not OTHER_RUN:

    rule crop_other:
        """A shard of the other collection's images as portraits, with masks where a U-Net is given."""
        input:
            *config_file("portraits.detector.cascade"),
            images=ancient(str(OTHER)),
            unet=config_file("cyclegan.mask_model"),
        output:
            other="results/{dataset}/other/shard-{shard}.parquet",
        log:
            "logs/{dataset}/crop_other-{shard}.log",
        params:
            **door(
                "crop_other",
                wildcards=["shard"],
                settings=CONFIG.portraits.model_copy(update={"person": None, "duplicates": None, "rejected_ids": []}),
            ),
            images=listed([OTHER], IMAGE_SUFFIXES),
        resources:
            runtime="4h",
            gpu=1 if CONFIG.cyclegan.mask_model else 0,
        conda:
            "../envs/facemill.yaml"
        shell:
            "{params.command} 2>&1 | tee {log}"


rule train_cyclegan:
    """A generator for each direction, and the discriminators that teach them, without pairs."""
    input:
        portraits=shards("portraits"),
        other=other_shards("other"),
        masks=MASKS if KEEPS else [],
        unet=TEACHERS["b2a"] if CONFIG.cyclegan.mask_weight else [],
        other_unet=TEACHERS["a2b"] if CONFIG.cyclegan.mask_weight else [],
    output:
        expand(f"{CYCLEGAN}/points/{{point}}/{{way}}.json", point=POINTS, way=WAYS, allow_missing=True),
        a2b=expand(f"{CYCLEGAN}/points/{{point}}/a2b.safetensors", point=POINTS, allow_missing=True),
        b2a=way_back(f"{CYCLEGAN}/points/{{point}}/b2a.safetensors", point=POINTS),
        curves=curves(
            f"{CYCLEGAN}/curves.csv",
            *(["gan_a2b", "gan_b2a", "cycle_a2b", "cycle_b2a"] if "b2a" in WAYS else ["gan_a2b", "nce_a2b"]),
        ),
    log:
        "logs/{dataset}/train_cyclegan.log",
    benchmark:
        "benchmarks/results/{dataset}/train_cyclegan.tsv"
    params:
        **door(
            "train_cyclegan",
            launcher=f"-m facemill.workflow.launch {CONFIG.cyclegan.gpus}",
            settings=CONFIG.cyclegan.model_copy(update={"other": None, "mask_model": None}),
            seed=CONFIG.seed,
            holdout=CONFIG.holdout,
            paired=PAIRED,
            cropping=CONFIG.portraits.cropping,
            other_run=OTHER_RUN,
        ),
    threads: 8 * CONFIG.cyclegan.gpus
    resources:
        mem_mb=mem_per_attempt(CONFIG.cyclegan.gpus * (12000 + loader_mb(2))),
        runtime="7d",
        gpu=CONFIG.cyclegan.gpus,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule choose_point:
    """The latest point of the training whose Frechet distance is as low as the lowest, among those that keep the layout."""
    input:
        *config_file("gaugan.inception_weights"),
        points_a2b=rules.train_cyclegan.output.a2b,
        points_b2a=rules.train_cyclegan.output.b2a,
        portraits=shards("portraits"),
        other=other_shards("other"),
        masks=MASKS,
        unet=JUDGE,
        other_unet=OTHER_JUDGE,
        vae=[] if CONFIG.masked else plain(rules.train_vae.output.model),
    output:
        expand(f"{CYCLEGAN}/{{way}}.json", way=WAYS, allow_missing=True),
        a2b=f"{CYCLEGAN}/a2b.safetensors",
        b2a=way_back(f"{CYCLEGAN}/b2a.safetensors"),
        points=f"{CYCLEGAN}/points.csv",
        picture=also("cyclegan", figure(f"{CYCLEGAN}/points.png", "8 Translate", "3 Points", "cyclegan_points")),
    log:
        "logs/{dataset}/choose_point.log",
    benchmark:
        "benchmarks/results/{dataset}/choose_point.tsv"
    params:
        **door(
            "choose_point",
            inception_weights=CONFIG.gaugan.inception_weights,
            paired=PAIRED,
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


rule translate_portraits:
    """A shard of one collection's portraits in the manner of the other."""
    input:
        model=f"{CYCLEGAN}/{{direction}}.safetensors",
        portraits=lambda wildcards: (
            f"results/{wildcards.dataset}/{'portraits' if wildcards.direction == 'a2b' else 'other'}/"
            f"shard-{wildcards.shard}.parquet"
        ),
    output:
        translated=f"{CYCLEGAN}/{{direction}}/shard-{{shard}}.parquet",
    log:
        "logs/{dataset}/translate_portraits-{direction}-{shard}.log",
    benchmark:
        "benchmarks/results/{dataset}/translate_portraits-{direction}-{shard}.tsv"
    params:
        **door("translate_portraits"),
    resources:
        runtime="4h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule evaluate_cyclegan:
    """Held-out portraits of both collections, translated there and back, in numbers and pictures."""
    input:
        *config_file("gaugan.inception_weights"),
        a2b=rules.choose_point.output.a2b,
        b2a=rules.choose_point.output.b2a,
        portraits=shards("portraits"),
        other=other_shards("other"),
        masks=MASKS,
        unet=JUDGE,
        other_unet=OTHER_JUDGE,
        vae=[] if CONFIG.masked else plain(rules.train_vae.output.model),
    output:
        metrics=also("cyclegan", metrics(f"{CYCLEGAN}/metrics.json", "cyclegan")),
        picture=also(
            "cyclegan", figure(f"{CYCLEGAN}/cyclegan.png", "8 Translate", "1 Portraits as they come", "cyclegan")
        ),
        best_and_worst=also(
            "cyclegan",
            figure(f"{CYCLEGAN}/best_and_worst.png", "8 Translate", "2 The best and the worst", "cyclegan_extremes"),
        ),
    log:
        "logs/{dataset}/evaluate_cyclegan.log",
    benchmark:
        "benchmarks/results/{dataset}/evaluate_cyclegan.tsv"
    params:
        **door(
            "evaluate_cyclegan",
            inception_weights=CONFIG.gaugan.inception_weights,
            paired=PAIRED,
            self_graded=SELF_GRADED,
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
