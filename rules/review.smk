# Review, when asked for: `review` chooses the portraits to label next (active learning), `label_quality` ranks the
# labels to check again (confident learning).
# Needs labels/, portraits/, pseudo_labels/ and unet/; makes review/ and label_quality/.


rule review:
    """The portraits to label next, as labelme files."""
    localrule: True
    input:
        f"results/{CONFIG.dataset}/review/labelme",


rule label_quality:
    """The labelled portraits, the most doubtful labels first."""
    localrule: True
    input:
        f"results/{CONFIG.dataset}/label_quality/ranking.csv",


# the most unlike of the U-Nets that do not label
SECOND_OPINION = "v2" if not CONFIG.token_unet else "v3" if CONFIG.pseudo_labels.version == "v5" else "v5"


rule score_portraits:
    """The entropy of each pseudo-label of a shard, and how much another U-Net disagrees with it: v5, or else v2."""
    input:
        model=f"results/{{dataset}}/unet/{SECOND_OPINION}/model.safetensors",
        portraits=rules.crop_portraits.output.portraits,
        pseudo_labels=rules.pseudo_label.output.pseudo_labels,
    output:
        scores="results/{dataset}/review/shard-{shard}.parquet",
    log:
        "logs/{dataset}/score_portraits-{shard}.log",
    benchmark:
        "benchmarks/results/{dataset}/score_portraits-{shard}.tsv"
    params:
        **door("score_portraits"),
    threads: 8
    resources:
        runtime="4h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule review_portraits:
    """The unlabelled portraits by score; the first ones, all different, as labelme files to correct."""
    input:
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
    params:
        **door("review_portraits", settings=CONFIG.review, labels=CONFIG.labels),
    threads: 2
    resources:
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule fold_labels:
    """One fold of all labelled portraits held out, the others augmented."""
    input:
        labels=LABELLED,
    output:
        train="results/{dataset}/label_quality/fold-{fold}/train.parquet",
        held_out="results/{dataset}/label_quality/fold-{fold}/held_out.parquet",
    log:
        "logs/{dataset}/fold_labels-{fold}.log",
    params:
        **door(
            "fold_labels",
            wildcards=["fold"],
            folds=CONFIG.label_quality.folds,
            settings=CONFIG.augment,
            seed=CONFIG.seed,
        ),
    threads: 8
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} --threads {threads} 2>&1 | tee {log}"


use rule train_unet as train_fold with:
    input:
        *config_file("unet.encoder_weights"),
        train=rules.fold_labels.output.train,
    output:
        "results/{dataset}/label_quality/fold-{fold}/model.json",
        model="results/{dataset}/label_quality/fold-{fold}/model.safetensors",
        curves=curves("results/{dataset}/label_quality/fold-{fold}/curves.csv", "loss"),
    log:
        "logs/{dataset}/train_fold-{fold}.log",
    benchmark:
        "benchmarks/results/{dataset}/train_fold-{fold}.tsv"
    threads: SHARED_THREADS
    priority: 0
    params:
        **door(
            "train_unet",
            version="v3",
            settings=unet_settings(CONFIG, "v3", CONFIG.label_quality.training),
            size=CONFIG.portraits.size,
            seed=CONFIG.seed,
        ),


use rule train_token_unet as train_token_fold with:
    input:
        *config_file("token_unet.weights"),
        initial=rules.train_fold.output.model,
        train=[rules.fold_labels.output.train],
    output:
        "results/{dataset}/label_quality/fold-{fold}/v5/model.json",
        model="results/{dataset}/label_quality/fold-{fold}/v5/model.safetensors",
        curves=curves("results/{dataset}/label_quality/fold-{fold}/v5/curves.csv", "loss"),
    log:
        "logs/{dataset}/train_token_fold-{fold}.log",
    benchmark:
        "benchmarks/results/{dataset}/train_token_fold-{fold}.tsv"
    threads: SHARED_THREADS


rule judge_labels:
    """The labelled portraits by how much networks that were trained without them contradict their labels."""
    input:
        models=expand(
            (rules.train_token_fold if CONFIG.token_unet else rules.train_fold).output.model,
            fold=FOLDS,
            allow_missing=True,
        ),
        held_out=expand(rules.fold_labels.output.held_out, fold=FOLDS, allow_missing=True),
    output:
        ranking="results/{dataset}/label_quality/ranking.csv",
        picture="results/{dataset}/label_quality/label_quality.png",
    log:
        "logs/{dataset}/judge_labels.log",
    params:
        **door("judge_labels"),
    threads: 2
    resources:
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"
