# Stage 3, segment: three U-Nets trained on the augmented masks, and up to three more, where the config has their
# sections: v4 learns from unlabelled portraits as well, v5 has a vision transformer's tokens, v6 is taught by others; all
# compared on the same test portraits; pseudo-labels of the whole collection by one of them, and the gate that decides on
# which of them GauGAN is trained.
# Needs labels/, augmented/ and portraits/; makes unet/, pseudo_labels/ with timings/, and gate/. Shards lie alone in
# their folders, so that `datasets`, pandas and DuckDB open a folder.


rule pseudo_labels:
    """Masks of all portraits."""
    localrule: True
    input:
        expand(shards("pseudo_labels"), dataset=CONFIG.dataset),


rule gate:
    """The masks in numbers and pictures, and which of them GauGAN is trained on."""
    localrule: True
    input:
        f"results/{CONFIG.dataset}/gate/metrics.json",


rule train_unet:
    """A U-Net trained on the augmented portraits, with early stopping on the validation portraits."""
    input:
        *config_file("unet.encoder_weights"),
        train=rules.augment_labels.output.augmented,
        validation=rules.convert_labels.output.validation,
    output:
        "results/{dataset}/unet/{version}/model.json",
        model="results/{dataset}/unet/{version}/model.safetensors",
        curves=curves("results/{dataset}/unet/{version}/curves.csv", "loss", "validation_miou"),
    log:
        "logs/{dataset}/train_unet-{version}.log",
    benchmark:
        "benchmarks/results/{dataset}/train_unet-{version}.tsv"
    params:
        **door(
            "train_unet",
            wildcards=["version"],
            settings=lambda wildcards: unet_settings(CONFIG, wildcards.version),
            size=CONFIG.portraits.size,
            seed=CONFIG.seed,
        ),
    threads: lambda wildcards: 8 if wildcards.version == CONFIG.pseudo_labels.version else SHARED_THREADS
    priority: lambda wildcards: int(wildcards.version == CONFIG.pseudo_labels.version)  # all masks come from it
    resources:
        mem_mb=mem_per_attempt(6000 + loader_mb()),
        runtime="8h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule self_train_unet:
    """U-Net v4: trained on the labelled portraits and on v3's confident pseudo-labels of the unlabelled ones."""
    input:
        *config_file("unet.encoder_weights"),
        teacher="results/{dataset}/unet/v3/model.safetensors",
        train=plain(rules.augment_labels.output.augmented),
        validation=plain(rules.convert_labels.output.validation),
        portraits=shards("portraits"),
        labelled=LABELLED,
    output:
        "results/{dataset}/unet/v4/model.json",
        model="results/{dataset}/unet/v4/model.safetensors",
        curves=curves("results/{dataset}/unet/v4/curves.csv", "validation_miou"),
    log:
        "logs/{dataset}/self_train_unet.log",
    benchmark:
        "benchmarks/results/{dataset}/self_train_unet.tsv"
    params:
        **door(
            "self_train_unet",
            settings=CONFIG.self_training,
            unet_settings=unet_settings(CONFIG, "v3"),
            size=CONFIG.portraits.size,
            seed=CONFIG.seed,
        ),
    threads: 8
    resources:
        mem_mb=mem_per_attempt(6000 + loader_mb(loaders=2)),
        runtime="8h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule train_token_unet:
    """U-Net v5: v3 with the tokens of a vision transformer, trained on."""
    input:
        *config_file("token_unet.weights"),
        initial="results/{dataset}/unet/v3/model.safetensors",
        train=AUGMENTED,
    output:
        "results/{dataset}/unet/v5/model.json",
        model="results/{dataset}/unet/v5/model.safetensors",
        curves=curves("results/{dataset}/unet/v5/curves.csv", "loss"),
    log:
        "logs/{dataset}/train_token_unet.log",
    benchmark:
        "benchmarks/results/{dataset}/train_token_unet.tsv"
    params:
        **door(
            "train_token_unet",
            settings=CONFIG.token_unet,
            unet_settings=unet_settings(CONFIG, "v3"),
            size=CONFIG.portraits.size,
            seed=CONFIG.seed,
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


rule distill_unet:
    """U-Net v6: of v3's size, trained on the labelled portraits and on other U-Nets' soft labels of the unlabelled."""
    input:
        *config_file("unet.encoder_weights"),
        teachers=expand(
            "results/{{dataset}}/unet/{version}/model.safetensors",
            version=CONFIG.distillation.teachers if CONFIG.distillation else [],
        ),
        train=AUGMENTED,
        portraits=shards("portraits"),
        labelled=LABELLED,
    output:
        "results/{dataset}/unet/v6/model.json",
        model="results/{dataset}/unet/v6/model.safetensors",
        curves=curves("results/{dataset}/unet/v6/curves.csv", "supervised", "distillation"),
    log:
        "logs/{dataset}/distill_unet.log",
    benchmark:
        "benchmarks/results/{dataset}/distill_unet.tsv"
    params:
        **door(
            "distill_unet",
            settings=CONFIG.distillation,
            unet_settings=unet_settings(CONFIG, "v3"),
            size=CONFIG.portraits.size,
            seed=CONFIG.seed,
        ),
    threads: 8
    resources:
        mem_mb=mem_per_attempt(6000 + loader_mb(loaders=2)),
        runtime="8h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule compare_unets:
    """The U-Net versions on the same test portraits: scores with bootstrap intervals, and masks side by side."""
    input:
        models=expand("results/{{dataset}}/unet/{version}/model.safetensors", version=CONFIG.unets),
        test=rules.convert_labels.output.test,
    output:
        metrics=metrics("results/{dataset}/unet/comparison.json", "unet"),
        picture=figure("results/{dataset}/unet/comparison.png", "3 Segment", "1 The U-Nets side by side", "unets"),
        plot=figure(
            "results/{dataset}/unet/comparison_metrics.png", "3 Segment", "2 The U-Nets in numbers", "unet_metrics"
        ),
        confusion=figure(
            "results/{dataset}/unet/comparison_confusion.png",
            "3 Segment",
            "3 Confusion matrices of the U-Nets",
            "unet_confusion",
        ),
    log:
        "logs/{dataset}/compare_unets.log",
    params:
        **door("compare_unets"),
    resources:
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule pseudo_label:
    """A U-Net's masks of one shard of portraits, with their confidence and the share of each class."""
    input:
        model=f"results/{{dataset}}/unet/{CONFIG.pseudo_labels.version}/model.safetensors",
        portraits=rules.crop_portraits.output.portraits,
    output:
        pseudo_labels="results/{dataset}/pseudo_labels/shard-{shard}.parquet",
        metrics="results/{dataset}/timings/shard-{shard}.json",
    log:
        "logs/{dataset}/pseudo_label-{shard}.log",
    benchmark:
        "benchmarks/results/{dataset}/pseudo_label-{shard}.tsv"
    params:
        **door("pseudo_label"),
    threads: 16  # to decode and encode as fast as a GPU labels
    priority: 1  # before other U-Nets and the VAE are trained
    resources:
        runtime="4h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} --threads {threads} 2>&1 | tee {log}"


rule gate_pseudo_labels:
    """The pseudo-labelled portraits that GauGAN is trained on, and the reasons why the others are rejected."""
    input:
        portraits=shards("portraits"),
        pseudo_labels=shards("pseudo_labels"),
    output:
        gate="results/{dataset}/gate/gate.parquet",
    log:
        "logs/{dataset}/gate_pseudo_labels.log",
    params:
        **door("gate_pseudo_labels", settings=CONFIG.pseudo_labels, holdout=CONFIG.holdout),
    priority: 1  # likewise
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule show_pseudo_labels:
    """Pseudo-labels by confidence, the share accepted, the speed, and on the sample the IoU with the true masks."""
    input:
        *(SOURCE_FILES if CONFIG.kind == "sample" else []),
        portraits=shards("portraits"),
        pseudo_labels=shards("pseudo_labels"),
        gate=plain(rules.gate_pseudo_labels.output.gate),
        timings=expand(plain(rules.pseudo_label.output.metrics), shard=SHARDS, allow_missing=True),
        labelled=LABELLED,
    output:
        metrics=metrics("results/{dataset}/gate/metrics.json", "pseudo_labels"),
        picture=figure(
            "results/{dataset}/gate/pseudo_labels.png",
            "3 Segment",
            "4 Pseudo-labels by confidence",
            "pseudo_labels",
        ),
    log:
        "logs/{dataset}/show_pseudo_labels.log",
    params:
        **door("show_pseudo_labels", truth=f"{RENDERED}/truth" if CONFIG.kind == "sample" else None),
    resources:
        runtime="2h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"
