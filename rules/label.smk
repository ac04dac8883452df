# Stage 2, label: from labelme files and index masks to class masks, split by portrait, and many augmented copies of
# each portrait with its mask.
# Needs `source.labelled` or `source.masks` in the config (the sample renders its labels); makes labels/ and augmented/.


rule convert_labels:
    """labelme's shapes and index masks to class masks, checked; split into training, validation and test."""
    input:
        *LABELLED_FILES,
        *(config_file("portraits.detector.cascade") if CONFIG.portraits.crop == "face" else []),
    output:
        train="results/{dataset}/labels/train.parquet",
        validation="results/{dataset}/labels/validation.parquet",
        test="results/{dataset}/labels/test.parquet",
        page="results/{dataset}/labels/labels.html",
        picture=figure("results/{dataset}/labels/labels.png", "2 Label", "1 Labelled portraits", "labels"),
    log:
        "logs/{dataset}/convert_labels.log",
    params:
        **door(
            "convert_labels",
            labelled=SOURCE.labelled,
            mask_images=SOURCE.masks and SOURCE.masks.images,
            masks=SOURCE.masks and SOURCE.masks.masks,
            classes=CONFIG.classes,
            settings=CONFIG.labels,
            size=CONFIG.portraits.size,
            ratio=CONFIG.portraits.ratio,
            crop=CONFIG.portraits.crop,
            detector=CONFIG.portraits.detector if CONFIG.portraits.crop == "face" else None,
            seed=CONFIG.seed,
        ),
        labels=LABELS,
    threads: 2
    priority: 2
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} --threads {threads} 2>&1 | tee {log}"


rule augment_labels:
    """Each portrait to train or validate on mirrored, rotated, scaled and warped many times, its mask alike."""
    input:
        labels=rules.convert_labels.output.train,
        validation=rules.convert_labels.output.validation,
    output:
        augmented="results/{dataset}/augmented/train.parquet",
        augmented_validation="results/{dataset}/augmented/validation.parquet",
        picture=figure("results/{dataset}/augmented/augmented.png", "2 Label", "2 Augmented portraits", "augmented"),
    log:
        "logs/{dataset}/augment_labels.log",
    benchmark:
        "benchmarks/results/{dataset}/augment_labels.tsv"
    params:
        **door("augment_labels", settings=CONFIG.augment, seed=CONFIG.seed),
    threads: 8
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} --threads {threads} 2>&1 | tee {log}"
