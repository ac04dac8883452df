# Stage 3, segment: three U-Nets trained on the augmented masks, a fourth if asked for on unlabelled portraits too, all
# compared on the same test portraits; masks for the whole collection by the third or fourth, and which of them GauGAN
# may learn from. Needs labels/, augmented/ and portraits/; makes unet/ and pseudo_labels/.
# When asked for: `review`, the portraits to label next, and `label_quality`, the labels to look at again; each in a
# folder of its own name.


rule train_unet:
    """A MobileNetV2 U-Net trained on the augmented portraits; the validation portraits say when to stop."""
    message:
        "Train U-Net {wildcards.version}"
    input:
        code=code("train_unet"),
        train="results/{dataset}/augmented/train.parquet",
        validation=["results/{dataset}/labels/validation.parquet"],
        weights=given("unet.encoder_weights"),
    output:
        model="results/{dataset}/unet/{version}/model.safetensors",
        about="results/{dataset}/unet/{version}/model.json",
        curves="results/{dataset}/unet/{version}/curves.csv",
    log:
        "logs/{dataset}/train_unet-{version}.log",
    benchmark:
        "benchmarks/results/{dataset}/train_unet-{version}.tsv"
    wildcard_constraints:
        version="v[123]",
    params:
        version="{version}",
        settings=lambda wildcards: unet_settings(CONFIG, wildcards.version).model_dump_json(),
        size=lookup(dpath="portraits/size", within=config),
        seed=lookup(dpath="seed", within=config),
        validation=lambda wildcards, input: option("--validation", input.validation),
    threads: 8
    resources:
        mem_mb=memory(6000),
        runtime="8h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --version {params.version} --settings {params.settings:q} --size {params.size}"
        " --seed {params.seed} --train {input.train} {params.validation} --model {output.model}"
        " --curves {output.curves} 2>&1 | tee {log}"


rule self_train_unet:
    """U-Net v4: a new one that learns from what v3 is sure of in the unlabelled portraits, too."""
    message:
        "Train U-Net v4 with what v3 is sure of"
    input:
        code=code("self_train_unet"),
        teacher="results/{dataset}/unet/v3/model.safetensors",
        train="results/{dataset}/augmented/train.parquet",
        validation="results/{dataset}/labels/validation.parquet",
        portraits=shards("portraits"),
        labelled=LABELLED,
    output:
        model="results/{dataset}/unet/v4/model.safetensors",
        about="results/{dataset}/unet/v4/model.json",
        curves="results/{dataset}/unet/v4/curves.csv",
    log:
        "logs/{dataset}/self_train_unet.log",
    benchmark:
        "benchmarks/results/{dataset}/self_train_unet.tsv"
    params:
        settings=settings("self_training"),
        unet_settings=unet_settings(CONFIG, "v3").model_dump_json(),
        size=lookup(dpath="portraits/size", within=config),
        seed=lookup(dpath="seed", within=config),
    threads: 8
    resources:
        mem_mb=memory(6000),
        runtime="8h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --settings {params.settings:q} --unet-settings {params.unet_settings:q}"
        " --teacher {input.teacher} --size {params.size} --seed {params.seed} --train {input.train}"
        " --validation {input.validation} --portraits {input.portraits} --labelled {input.labelled}"
        " --model {output.model} --curves {output.curves} 2>&1 | tee {log}"


rule compare_unets:
    """The versions side by side on the test portraits: in numbers that show their faults, and in pictures."""
    message:
        "Compare the U-Nets"
    input:
        code=code("compare_unets"),
        models=expand("results/{{dataset}}/unet/{version}/model.safetensors", version=CONFIG.unets),
        test="results/{dataset}/labels/test.parquet",
    output:
        metrics="results/{dataset}/unet/comparison.json",
        confusion=report(
            "results/{dataset}/unet/comparison_confusion.png",
            category="3 Segment",
            labels={"picture": "3 What the U-Nets confuse"},
            caption="report/unet_confusion.rst",
        ),
        picture=report(
            "results/{dataset}/unet/comparison.png",
            category="3 Segment",
            labels={"picture": "1 The U-Nets side by side"},
            caption="report/unets.rst",
        ),
        plot=report(
            "results/{dataset}/unet/comparison_metrics.png",
            category="3 Segment",
            labels={"picture": "2 The U-Nets in numbers"},
            caption="report/unet_metrics.rst",
        ),
    log:
        "logs/{dataset}/compare_unets.log",
    benchmark:
        "benchmarks/results/{dataset}/compare_unets.tsv"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime="1h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --models {input.models} --test {input.test} --metrics {output.metrics}"
        " --picture {output.picture} --plot {output.plot} --confusion {output.confusion} 2>&1 | tee {log}"


rule pseudo_label:
    """A U-Net's masks of one shard of portraits, with how sure it is and the share of each class."""
    message:
        "Label portraits, shard {wildcards.shard}"
    input:
        code=code("pseudo_label"),
        model=f"results/{{dataset}}/unet/{CONFIG.pseudo_labels.version}/model.safetensors",
        portraits="results/{dataset}/portraits/shard-{shard}.parquet",
    output:
        pseudo_labels="results/{dataset}/pseudo_labels/shard-{shard}.parquet",
        metrics="results/{dataset}/pseudo_labels/shard-{shard}.json",
    log:
        "logs/{dataset}/pseudo_label-{shard}.log",
    benchmark:
        "benchmarks/results/{dataset}/pseudo_label-{shard}.tsv"
    threads: 8
    resources:
        mem_mb=memory(4000),
        runtime="4h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --model {input.model} --portraits {input.portraits} --out {output.pseudo_labels}"
        " --metrics {output.metrics} 2>&1 | tee {log}"


rule gate_pseudo_labels:
    """Which pseudo-labelled portraits GauGAN may learn from, and why not the others."""
    message:
        "Accept or reject pseudo-labels"
    input:
        code=code("gate_pseudo_labels"),
        pseudo_labels=shards("pseudo_labels"),
    output:
        "results/{dataset}/pseudo_labels/gate.parquet",
    log:
        "logs/{dataset}/gate_pseudo_labels.log",
    benchmark:
        "benchmarks/results/{dataset}/gate_pseudo_labels.tsv"
    params:
        settings=settings("pseudo_labels"),
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime="1h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --pseudo-labels {input.pseudo_labels} --settings {params.settings:q} --out {output}"
        " 2>&1 | tee {log}"


rule show_pseudo_labels:
    """Pseudo-labels from sure to unsure, how many are accepted, their speed, and on the sample how true they are."""
    message:
        "Show the pseudo-labels"
    input:
        code=code("show_pseudo_labels"),
        portraits=shards("portraits"),
        pseudo_labels=shards("pseudo_labels"),
        gate="results/{dataset}/pseudo_labels/gate.parquet",
        timings=expand("results/{{dataset}}/pseudo_labels/shard-{shard}.json", shard=SHARDS),
        labelled=LABELLED,
        source=SOURCE_FILES if CONFIG.kind == "sample" else [],
    output:
        metrics="results/{dataset}/pseudo_labels/metrics.json",
        picture=report(
            "results/{dataset}/pseudo_labels/pseudo_labels.png",
            category="3 Segment",
            labels={"picture": "4 Pseudo-labels, from sure to unsure"},
            caption="report/pseudo_labels.rst",
        ),
    log:
        "logs/{dataset}/show_pseudo_labels.log",
    benchmark:
        "benchmarks/results/{dataset}/show_pseudo_labels.tsv"
    params:
        truth=f"--truth {RENDERED}/truth" if CONFIG.kind == "sample" else "",
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime="2h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --portraits {input.portraits} --pseudo-labels {input.pseudo_labels} --gate {input.gate}"
        " --timings {input.timings} --labelled {input.labelled} {params.truth} --metrics {output.metrics}"
        " --picture {output.picture} 2>&1 | tee {log}"


rule score_portraits:
    """How unsure U-Net v3 is of each portrait of a shard, and how much v2 disagrees with it; for `review`."""
    message:
        "Score portraits, shard {wildcards.shard}"
    input:
        code=code("score_portraits"),
        model="results/{dataset}/unet/v2/model.safetensors",
        portraits="results/{dataset}/portraits/shard-{shard}.parquet",
        pseudo_labels="results/{dataset}/pseudo_labels/shard-{shard}.parquet",
    output:
        "results/{dataset}/review/shard-{shard}.parquet",
    log:
        "logs/{dataset}/score_portraits-{shard}.log",
    benchmark:
        "benchmarks/results/{dataset}/score_portraits-{shard}.tsv"
    threads: 8
    resources:
        mem_mb=memory(4000),
        runtime="4h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --model {input.model} --portraits {input.portraits}"
        " --pseudo-labels {input.pseudo_labels} --out {output} 2>&1 | tee {log}"


rule review_portraits:
    """The unlabelled portraits by how doubtful their masks are; the first ones, all different, as labelme files."""
    message:
        "Choose the portraits to label next"
    input:
        code=code("review_portraits"),
        scores=shards("review"),
        portraits=shards("portraits"),
        pseudo_labels=shards("pseudo_labels"),
        labelled=LABELLED,
        model="results/{dataset}/unet/v3/model.safetensors",
    output:
        labelme=directory("results/{dataset}/review/labelme"),
        ranking="results/{dataset}/review/ranking.parquet",
        picture="results/{dataset}/review/review.png",
    log:
        "logs/{dataset}/review_portraits.log",
    benchmark:
        "benchmarks/results/{dataset}/review_portraits.tsv"
    params:
        settings=settings("review"),
        labels=settings("labels"),
    threads: 2
    resources:
        mem_mb=memory(4000),
        runtime="1h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --scores {input.scores} --portraits {input.portraits}"
        " --pseudo-labels {input.pseudo_labels} --labelled {input.labelled} --model {input.model}"
        " --settings {params.settings:q} --labels {params.labels:q} --out {output.labelme}"
        " --ranking {output.ranking} --picture {output.picture} 2>&1 | tee {log}"


use rule train_unet as train_fold with:
    message:
        "Train U-Net v3 without fold {wildcards.fold}"
    input:
        code=code("train_unet"),
        train="results/{dataset}/label_quality/fold-{fold}/train.parquet",
        validation=[],  # what is judged may not choose
        weights=given("unet.encoder_weights"),
    output:
        model="results/{dataset}/label_quality/fold-{fold}/model.safetensors",
        about="results/{dataset}/label_quality/fold-{fold}/model.json",
        curves="results/{dataset}/label_quality/fold-{fold}/curves.csv",
    log:
        "logs/{dataset}/train_fold-{fold}.log",
    benchmark:
        "benchmarks/results/{dataset}/train_fold-{fold}.tsv"
    params:
        version="v3",
        settings=unet_settings(CONFIG, "v3", CONFIG.label_quality.training).model_dump_json(),
        size=lookup(dpath="portraits/size", within=config),
        seed=lookup(dpath="seed", within=config),
        validation="",


rule judge_labels:
    """The labelled portraits by how much networks that were trained without them contradict their labels."""
    message:
        "Judge the hand-drawn labels"
    input:
        code=code("judge_labels"),
        models=expand("results/{{dataset}}/label_quality/fold-{fold}/model.safetensors", fold=FOLDS),
        held_out=expand("results/{{dataset}}/label_quality/fold-{fold}/held_out.parquet", fold=FOLDS),
    output:
        ranking="results/{dataset}/label_quality/ranking.csv",
        picture="results/{dataset}/label_quality/label_quality.png",
    log:
        "logs/{dataset}/judge_labels.log",
    benchmark:
        "benchmarks/results/{dataset}/judge_labels.tsv"
    threads: 2
    resources:
        mem_mb=memory(4000),
        runtime="1h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --models {input.models} --held-out {input.held_out} --ranking {output.ranking}"
        " --picture {output.picture} 2>&1 | tee {log}"
