# Portraits in the manner of the other collection through their masks, when asked for: one U-Net reads, the GauGAN of
# where they go paints. a2b needs another run's gaugan/, b2a this one's; both need masks of both collections.
# Needs other/, portraits/, pseudo_labels/, unet/ and gaugan/; makes through_masks/.

THROUGH = "results/{dataset}/through_masks"
# By direction the folder of the run whose GauGAN paints; on the sample it goes from the other hand back.
PAINTERS = {}
if CONFIG.masked and OTHER_MASKED:
    if OTHER_RUN and all(
        (OTHER_RUN / "gaugan" / f"{name}.safetensors").exists() for name in ("model", "style_encoder")
    ):
        PAINTERS["a2b"] = OTHER_RUN
    if PAIRED or (OTHER_RUN and (OTHER_RUN / "unet/v3/model.json").exists()):
        PAINTERS["b2a"] = f"results/{CONFIG.dataset}"
NO_PAINTER = TRANSLATION_FAULT or (
    f"cyclegan.other: found {OTHER}; for portraits through masks accepted: the results of another run with gaugan/ or "
    "unet/v3, and masks in both runs"
)
stop_at_fault("through_masks", None if PAINTERS else NO_PAINTER)


if PAINTERS:

    rule through_masks:
        """Portraits of both collections in the manner of the other through their masks, with figures."""
        localrule: True
        input:
            expand(
                [
                    f"{THROUGH}/metrics.json",
                    *(shards("through_masks/a2b") if "a2b" in PAINTERS else []),
                    *(other_shards("through_masks/b2a") if "b2a" in PAINTERS else []),
                ],
                dataset=CONFIG.dataset,
            ),

    rule learn_through_masks:
        """Proportions and colors of both collections and the styles of one, beside the networks: a complete model."""
        input:
            unet=read_by,
            gaugan=lambda wildcards: f"{PAINTERS[wildcards.direction]}/gaugan/model.safetensors",
            style_encoder=lambda wildcards: f"{PAINTERS[wildcards.direction]}/gaugan/style_encoder.safetensors",
            portraits=lambda wildcards: collection(wildcards.direction, 0)[0],
            masks=lambda wildcards: collection(wildcards.direction, 0)[1],
            other=lambda wildcards: collection(wildcards.direction, 1)[0],
            other_masks=lambda wildcards: collection(wildcards.direction, 1)[1],
        output:
            f"{THROUGH}/{{direction}}/unet.safetensors",
            f"{THROUGH}/{{direction}}/unet.json",
            f"{THROUGH}/{{direction}}/gaugan.safetensors",
            f"{THROUGH}/{{direction}}/gaugan.json",
            f"{THROUGH}/{{direction}}/bank.json",
            bank=f"{THROUGH}/{{direction}}/bank.safetensors",
        log:
            "logs/{dataset}/learn_through_masks-{direction}.log",
        params:
            **door(
                "learn_through_masks",
                holdout=CONFIG.holdout,
                cropping=CONFIG.portraits.cropping,
                run=lambda wildcards: OTHER_RUN if wildcards.direction == "b2a" else None,
            ),
        resources:
            mem_mb=mem_per_attempt(8000),
            gpu=1,
        conda:
            "../envs/facemill.yaml"
        shell:
            "{params.command} 2>&1 | tee {log}"

    rule translate_through_masks:
        """A shard of one collection's portraits in the manner of the other, through their masks."""
        input:
            bank=rules.learn_through_masks.output.bank,
            portraits=lambda wildcards: (
                f"results/{wildcards.dataset}/{'portraits' if wildcards.direction == 'a2b' else 'other'}/"
                f"shard-{wildcards.shard}.parquet"
            ),
        output:
            translated=f"{THROUGH}/{{direction}}/shard-{{shard}}.parquet",
        log:
            "logs/{dataset}/translate_through_masks-{direction}-{shard}.log",
        benchmark:
            "benchmarks/results/{dataset}/translate_through_masks-{direction}-{shard}.tsv"
        params:
            **door("translate_through_masks"),
        resources:
            runtime="4h",
            gpu=1,
        conda:
            "../envs/facemill.yaml"
        shell:
            "{params.command} 2>&1 | tee {log}"

    rule evaluate_through_masks:
        """Held-out portraits through their masks, measured as CycleGAN's translations are, and both side by side."""
        input:
            *config_file("gaugan.inception_weights"),
            banks=expand(rules.learn_through_masks.output.bank, direction=PAINTERS, allow_missing=True),
            cyclegan=expand(
                f"{CYCLEGAN}/{{direction}}.safetensors",
                direction=[way for way in WAYS if way in PAINTERS],
                allow_missing=True,
            ),
            portraits=shards("portraits"),
            other=other_shards("other"),
            masks=MASKS,
            unet=JUDGE,
            other_unet=OTHER_JUDGE,
        output:
            metrics=also("through_masks", metrics(f"{THROUGH}/metrics.json", "through_masks")),
            picture=also(
                "through_masks",
                figure(f"{THROUGH}/through_masks.png", "8 Translate", "4 CycleGAN and through masks", "through_masks"),
            ),
        log:
            "logs/{dataset}/evaluate_through_masks.log",
        benchmark:
            "benchmarks/results/{dataset}/evaluate_through_masks.tsv"
        params:
            **door(
                "evaluate_through_masks",
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

else:

    rule through_masks:
        """Says what is missing."""
        localrule: True
        input:
            or_fault(NO_PAINTER, []),
