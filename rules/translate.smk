# Portraits of this collection in the manner of another and back, when asked for, learned without pairs.
# Needs portraits/, for weights of masks and colors pseudo_labels/ and unet/, and another collection (`cyclegan.other`);
# the sample draws its own portraits by another hand. Makes other/ and cyclegan/.

CYCLEGAN = "results/{dataset}/cyclegan"
POINTS = range(1, 9)
# The directions that are trained.
WAYS = ["a2b"] if CONFIG.cyclegan.method == "cut" else ["a2b", "b2a"]

# The other collection: another run's portraits, a folder or archive, or the sample's other hand. KEEPS tells whether
# masks are needed.
OTHER = CONFIG.cyclegan.other
OTHER_RUN = OTHER if OTHER and (OTHER / "portraits").is_dir() else None
PAIRED = OTHER is None and CONFIG.kind == "sample"
OTHER_SHARDS = (
    [path.stem.removeprefix("shard-") for path in sorted((OTHER_RUN / "portraits").glob("shard-*.parquet"))]
    if OTHER_RUN
    else SHARDS
)
OTHER_MASKED = PAIRED or bool(CONFIG.cyclegan.mask_model if not OTHER_RUN else (OTHER_RUN / "pseudo_labels").is_dir())
OTHER_UNET = (
    CONFIG.cyclegan.mask_model
    or (OTHER_RUN / "unet/v3/model.safetensors" if OTHER_RUN and (OTHER_RUN / "unet/v3/model.json").exists() else None)
    or []
)
# The U-Nets that see results: those that drew no masks, where there are such; the sample's one knows both hands.
HANDS_UNET = f"{CYCLEGAN}/unet/model.safetensors"
JUDGE = HANDS_UNET if PAIRED else EVALUATOR
OTHER_JUDGE = HANDS_UNET if PAIRED else str(OTHER_UNET) if OTHER_UNET else []
if OTHER_RUN and (OTHER_RUN / "unet/v2/model.json").exists():
    OTHER_JUDGE = str(OTHER_RUN / "unet/v2/model.safetensors")
# The U-Nets whose loss is `mask_weight`, and the directions where the same ones measure.
TEACHERS = {"a2b": HANDS_UNET if PAIRED else OTHER_UNET, "b2a": HANDS_UNET if PAIRED else LABELLER}
SELF_GRADED = [
    way
    for way, judge in (("a2b", OTHER_JUDGE), ("b2a", JUDGE))
    if CONFIG.cyclegan.mask_weight and judge and str(judge) == str(TEACHERS[way])
]
KEEPS = bool(CONFIG.cyclegan.mask_weight or CONFIG.cyclegan.color_weight)


def other_shards(product):
    """The shards of a product that has those of the other collection."""
    return expand(f"results/{{{{dataset}}}}/{product}/shard-{{shard}}.parquet", shard=OTHER_SHARDS)


def way_back(path, **values):
    """The files of b2a of a name; none where it is not trained."""
    return expand(path, allow_missing=True, **values) if "b2a" in WAYS else []


wildcard_constraints:
    direction="a2b|b2a",


def translation_fault():
    """Why collections cannot be translated with these settings, in one line; None where they can."""
    settings, size = CONFIG.cyclegan, CONFIG.portraits.size
    if not (PAIRED or OTHER):
        return "cyclegan.other: found null; accepted: results/<dataset> of another run, a folder or an archive"
    if OTHER and not OTHER_RUN and (OTHER / "config.yaml").exists():
        return f"cyclegan.other: found {OTHER}, a run without portraits/; accepted: a run that has made them"
    if PAIRED and CONFIG.portraits.detector:
        return (
            "portraits.detector: found a section; accepted: null, since the sample's other hand is drawn in the middle"
        )
    if size % settings.size:
        return f"cyclegan.size: found {settings.size}; accepted: portraits.size, {size}, or a half or quarter of it"
    if KEEPS and not (CONFIG.masked and OTHER_MASKED):
        where = "cyclegan.other" if CONFIG.masked else "this collection"
        return f"cyclegan.mask_weight, cyclegan.color_weight: found weights; accepted: 0 for both, without masks of {where}"
    if settings.mask_weight and not (PAIRED or OTHER_UNET):
        return "cyclegan.mask_model: found null; accepted: a U-Net that knows the other collection, or mask_weight 0"
    return None


def or_fault(fault, inputs):
    """The inputs of a product, or an input function that says why it cannot be made."""

    def raise_fault(wildcards):
        raise UserError(fault)

    return raise_fault if fault else inputs


def stop_at_fault(stage, fault):
    """Ends the run where a product that cannot be made is to be a part of all."""
    if fault and stage in CONFIG.also:
        sys.exit(f"config: {fault}")


stop_at_fault("cyclegan", TRANSLATION_FAULT := translation_fault())


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
