# Stage 2, label: from labelme files and ready-made masks to class masks, split by portrait, and many augmented pairs of
# each. Needs `source.labelled` or `source.masks` in the config (the sample renders its own); makes labels/ and
# augmented/.


rule convert_labels:
    """labelme's shapes and ready-made masks to class masks, checked; split into training, validation and test."""
    message:
        "Draw the masks of the labelled portraits"
    input:
        code=code("convert_labels"),
        labelled=SOURCE_FILES if CONFIG.kind == "sample" else labelled_files(SOURCE),
    output:
        train="results/{dataset}/labels/train.parquet",
        validation="results/{dataset}/labels/validation.parquet",
        test="results/{dataset}/labels/test.parquet",
        page="results/{dataset}/labels/labels.html",
        picture=report(
            "results/{dataset}/labels/labels.png",
            category="2 Label",
            labels={"picture": "1 Labelled portraits"},
            caption="report/labels.rst",
        ),
    log:
        "logs/{dataset}/convert_labels.log",
    benchmark:
        "benchmarks/results/{dataset}/convert_labels.tsv"
    params:
        folders=label_folders(SOURCE),
        settings=settings("labels"),
        size=lookup(dpath="portraits/size", within=config),
        ratio=lookup(dpath="portraits/ratio", within=config),
        seed=lookup(dpath="seed", within=config),
    threads: 2
    resources:
        mem_mb=memory(2000),
        runtime="20m",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} {params.folders:q} --settings {params.settings:q} --size {params.size}"
        " --ratio {params.ratio} --seed {params.seed} --threads {threads} --train {output.train} --validation {output.validation}"
        " --test {output.test} --page {output.page} --picture {output.picture} 2>&1 | tee {log}"


rule augment_labels:
    """Each labelled training portrait rotated, scaled, mirrored and warped many times, its mask alike."""
    message:
        "Augment the labelled portraits"
    input:
        code=code("augment_labels"),
        labels="results/{dataset}/labels/train.parquet",
    output:
        augmented="results/{dataset}/augmented/train.parquet",
        picture=report(
            "results/{dataset}/augmented/augmented.png",
            category="2 Label",
            labels={"picture": "2 Augmented portraits"},
            caption="report/augmented.rst",
        ),
    log:
        "logs/{dataset}/augment_labels.log",
    benchmark:
        "benchmarks/results/{dataset}/augment_labels.tsv"
    params:
        settings=settings("augment"),
        seed=lookup(dpath="seed", within=config),
    threads: 8
    resources:
        mem_mb=memory(4000),
        runtime="1h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --labels {input.labels} --settings {params.settings:q} --seed {params.seed}"
        " --threads {threads} --out {output.augmented} --picture {output.picture} 2>&1 | tee {log}"


rule fold_labels:
    """One fold of all labelled portraits held out, the others augmented; for `label_quality`."""
    message:
        "Hold out fold {wildcards.fold} of the labelled portraits"
    input:
        code=code("fold_labels"),
        labels=LABELLED,
    output:
        train="results/{dataset}/label_quality/fold-{fold}/train.parquet",
        held_out="results/{dataset}/label_quality/fold-{fold}/held_out.parquet",
    log:
        "logs/{dataset}/fold_labels-{fold}.log",
    benchmark:
        "benchmarks/results/{dataset}/fold_labels-{fold}.tsv"
    params:
        folds=lookup(dpath="label_quality/folds", within=config),
        settings=settings("augment"),
        seed=lookup(dpath="seed", within=config),
    threads: 8
    resources:
        mem_mb=memory(4000),
        runtime="1h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --labels {input.labels} --fold {wildcards.fold} --folds {params.folds}"
        " --settings {params.settings:q} --seed {params.seed} --threads {threads} --train {output.train}"
        " --held-out {output.held_out} 2>&1 | tee {log}"
