# Stage 4, synthesize: a VAE, whose encoder can give the style, and GauGAN, which paints portraits from masks in it.
# Needs portraits/ and, where there are masks, pseudo_labels/ and unet/; makes holdout/, vae/ and, with masks, gaugan/.


rule count_portraits:
    """The numbers of portraits that are trained on and held out: too few stop the run before anything long."""
    input:
        portraits=shards("portraits"),
        rejects=expand(plain(rules.crop_portraits.output.rejects), shard=SHARDS, allow_missing=True),
        labelled=LABELLED if CONFIG.masked and (CONFIG.self_training or CONFIG.distillation) else [],
    output:
        counts=metrics("results/{dataset}/holdout/counts.json", "holdout"),
    log:
        "logs/{dataset}/count_portraits.log",
    params:
        **door("count_portraits", holdout=CONFIG.holdout, min_images=CONFIG.attributes.min_images),
    priority: 2  # as what it needs, so that no U-Net is trained first
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule train_vae:
    """The VAE, trained on all portraits but the held-out ones; with pseudo-labels every region has the same weight."""
    input:
        portraits=shards("portraits"),
        pseudo_labels=MASKS,
    output:
        "results/{dataset}/vae/model.json",
        model="results/{dataset}/vae/model.safetensors",
        curves=curves("results/{dataset}/vae/curves.csv", "reconstruction_l1"),
    log:
        "logs/{dataset}/train_vae.log",
    benchmark:
        "benchmarks/results/{dataset}/train_vae.tsv"
    params:
        **door("train_vae", settings=CONFIG.vae, seed=CONFIG.seed, holdout=CONFIG.holdout),
    threads: SHARED_THREADS
    resources:
        mem_mb=mem_per_attempt(8000 + loader_mb()),
        runtime="12h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule evaluate_vae:
    """Reconstructions of the held-out portraits, in pictures and numbers, and samples."""
    input:
        model=plain(rules.train_vae.output.model),
        portraits=shards("portraits"),
    output:
        metrics=metrics("results/{dataset}/vae/metrics.json", "vae"),
        picture=figure("results/{dataset}/vae/vae.png", "4 Synthesize", "1 VAE: reconstructions and samples", "vae"),
    log:
        "logs/{dataset}/evaluate_vae.log",
    benchmark:
        "benchmarks/results/{dataset}/evaluate_vae.tsv"
    params:
        **door("evaluate_vae", holdout=CONFIG.holdout),
    resources:
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


if CONFIG.masked:
    # Reads the styles of images without masks: by region, the U-Net that labels says where the regions are.
    STYLE_READER = f"results/{{dataset}}/unet/{CONFIG.pseudo_labels.version}/model.safetensors"
    STYLE_READER = STYLE_READER if CONFIG.styled_by_region else plain(rules.train_vae.output.model)

    rule train_gaugan:
        """GauGAN: the SPADE generator and its discriminator, trained on the pseudo-labels that the gate accepts."""
        input:
            *(config_file("gaugan.vgg_weights") if CONFIG.gaugan.perceptual == "vgg" else []),
            style_reader=STYLE_READER,
            portraits=shards("portraits"),
            pseudo_labels=MASKS,
            gate=plain(rules.gate_pseudo_labels.output.gate),
            perceptual_unet="results/{dataset}/unet/v3/model.safetensors" if CONFIG.gaugan.perceptual == "unet" else [],
        output:
            "results/{dataset}/gaugan/model.json",
            "results/{dataset}/gaugan/style_encoder.json",
            model="results/{dataset}/gaugan/model.safetensors",
            style_encoder="results/{dataset}/gaugan/style_encoder.safetensors",
            curves=curves("results/{dataset}/gaugan/curves.csv", "adversarial_g", "adversarial_d"),
        log:
            "logs/{dataset}/train_gaugan.log",
        benchmark:
            "benchmarks/results/{dataset}/train_gaugan.tsv"
        params:
            **door(
                "train_gaugan",
                launcher=f"-m facemill.workflow.launch {CONFIG.gaugan.gpus}",
                settings=CONFIG.gaugan.for_training,
                crop=CONFIG.portraits.crop,
                detector=CONFIG.portraits.detector,
                size=CONFIG.portraits.size,
                seed=CONFIG.seed,
                holdout=CONFIG.holdout,
            ),
        threads: 8 * CONFIG.gaugan.gpus
        resources:
            mem_mb=mem_per_attempt(CONFIG.gaugan.gpus * (12000 + loader_mb())),
            runtime="7d",
            gpu=CONFIG.gaugan.gpus,
        conda:
            "../envs/facemill.yaml"
        shell:
            "{params.command} 2>&1 | tee {log}"

    rule evaluate_gaugan:
        """Held-out masks painted in other portraits' styles and in random ones, re-segmented by v2, in numbers."""
        input:
            *config_file("gaugan.vgg_weights"),
            *config_file("gaugan.inception_weights"),
            model=plain(rules.train_gaugan.output.model),
            style_encoder=plain(rules.train_gaugan.output.style_encoder),
            evaluator=expand(plain(rules.train_unet.output.model), version="v2", allow_missing=True),
            portraits=shards("portraits"),
            pseudo_labels=MASKS,
        output:
            metrics=metrics("results/{dataset}/gaugan/metrics.json", "gaugan"),
            table="results/{dataset}/gaugan/per_image.csv",
            picture=figure(
                "results/{dataset}/gaugan/gaugan.png", "4 Synthesize", "2 GauGAN: masks and style references", "gaugan"
            ),
            extremes=figure(
                "results/{dataset}/gaugan/best_and_worst.png",
                "4 Synthesize",
                "3 GauGAN: the best and the worst",
                "gaugan_extremes",
            ),
        log:
            "logs/{dataset}/evaluate_gaugan.log",
        benchmark:
            "benchmarks/results/{dataset}/evaluate_gaugan.tsv"
        params:
            **door("evaluate_gaugan", settings=CONFIG.gaugan, holdout=CONFIG.holdout, seed=CONFIG.seed),
        resources:
            mem_mb=mem_per_attempt(7000),
            runtime="2h",
            gpu=1,
        conda:
            "../envs/facemill.yaml"
        shell:
            "{params.command} 2>&1 | tee {log}"
