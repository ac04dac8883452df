# Report: every number of a run in one file, the pictures of all stages in one page, and what those need who get the
# dataset and the models: cards and a bill of materials.
# Needs what the rules of all stages mark with `metrics` and `figure`, and the products in `TABLES`; makes summary.json
# and summary.html, report.html, bom.json, README.md, and a README.md beside each model.
import json

from facemill.config.root import PRETRAINED

# Folders of shards that the dataset's card offers to `datasets`; a new product of shards is named here.
TABLES = ["portraits", *(["pseudo_labels"] if CONFIG.masked else []), "tags", "latents"]
TABLES += ["styles"] if CONFIG.styled_by_region else []
MODELS = [*(f"unet/{version}" for version in (CONFIG.unets if CONFIG.masked else [])), "vae"]
MODELS += ["gaugan"] if CONFIG.masked else []
MODEL_LICENSE = CONFIG.licenses.get("models")


rule summarize:
    """Every number of the run, from the metrics of all stages and the rows of their tables, as JSON and as a table."""
    input:
        posts=plain(rules.ingest_posts.output.posts),
        selected=plain(rules.filter_posts.output.selected),
        portraits=shards("portraits"),
        rejects=[
            plain(rules.ingest_posts.output.rejects),
            *(
                expand(plain(rules.find_portraits.output.rejects), shard=SHARDS, allow_missing=True)
                if WITH_CANDIDATES
                else []
            ),
            *expand(plain(rules.crop_portraits.output.rejects), shard=SHARDS, allow_missing=True),
        ],
        labels=LABELLED if CONFIG.masked else [],
        augmented=plain(rules.augment_labels.output.augmented) if CONFIG.masked else [],
        metrics=list(marked("metrics")),
    output:
        summary=figure("results/{dataset}/summary.json", "9 Numbers", "Numbers as JSON", "summary"),
        page=figure("results/{dataset}/summary.html", "9 Numbers", "Numbers", "summary"),
    log:
        "logs/{dataset}/summarize.log",
    params:
        **door("summarize", names=list(marked("metrics").values())),
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule report:
    """All pictures in one page, in the order of the stages: Snakemake's report, made by a second Snakemake."""
    input:
        figures=list(marked("report")),
    output:
        report="results/{dataset}/report.html",
    log:
        "logs/{dataset}/report.log",
    params:
        # as it was given: Snakemake merges it again, and CONFIG no longer holds what null takes away
        **door("report", snakefile=ROOT / "Snakefile", config=json.dumps(config, default=str)),
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule describe_vae:
    """The card of the VAE."""
    input:
        model=plain(rules.train_vae.output.model),
        metrics=plain(rules.evaluate_vae.output.metrics),
        portraits=shards("portraits"),
    output:
        card="results/{dataset}/vae/README.md",
    log:
        "logs/{dataset}/describe_vae.log",
    params:
        **door("describe_vae", wildcards=["dataset"], holdout=CONFIG.holdout, model_license=MODEL_LICENSE),
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


if CONFIG.masked:

    rule describe_unet:
        """The card of a U-Net."""
        input:
            model="results/{dataset}/unet/{version}/model.safetensors",
            metrics=plain(rules.compare_unets.output.metrics),
            labels=LABELLED,
            augmented=AUGMENTED,
            portraits=shards("portraits") if CONFIG.self_training or CONFIG.distillation else [],
        output:
            card="results/{dataset}/unet/{version}/README.md",
        wildcard_constraints:
            version="|".join(CONFIG.unets),
        log:
            "logs/{dataset}/describe_unet-{version}.log",
        params:
            **door("describe_unet", wildcards=["dataset", "version"], model_license=MODEL_LICENSE),
        conda:
            "../envs/facemill.yaml"
        shell:
            "{params.command} 2>&1 | tee {log}"

    rule describe_gaugan:
        """The card of GauGAN."""
        input:
            model=plain(rules.train_gaugan.output.model),
            metrics=plain(rules.evaluate_gaugan.output.metrics),
            portraits=shards("portraits"),
            gate=plain(rules.gate_pseudo_labels.output.gate),
        output:
            card="results/{dataset}/gaugan/README.md",
        log:
            "logs/{dataset}/describe_gaugan.log",
        params:
            **door("describe_gaugan", wildcards=["dataset"], holdout=CONFIG.holdout, model_license=MODEL_LICENSE),
        conda:
            "../envs/facemill.yaml"
        shell:
            "{params.command} 2>&1 | tee {log}"


rule describe_dataset:
    """The card of the dataset, by which `datasets` opens its tables."""
    input:
        summary=plain(rules.summarize.output.summary),
        tables=[
            *(path for product in TABLES for path in shards(product)),
            *(LABELLED if CONFIG.masked else []),
            *([plain(rules.gate_pseudo_labels.output.gate)] if CONFIG.masked else []),
        ],
        models=expand("results/{{dataset}}/{model}/README.md", model=MODELS),
    output:
        card="results/{dataset}/README.md",
    log:
        "logs/{dataset}/describe_dataset.log",
    params:
        **door("describe_dataset", settings=CONFIG),
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule list_materials:
    """The bill of materials: what the dataset and its models were made of, with checksums and licenses."""
    input:
        *[path for key in PRETRAINED for path in config_file(key)],
        plain(rules.ingest_posts.output.posts),
        *(LABELLED if CONFIG.masked else []),
        models=expand("results/{{dataset}}/{model}/model.safetensors", model=MODELS),
        checksums=f"{RENDERED}.sha256" if CONFIG.kind == "sample" else [],
    output:
        bill="results/{dataset}/bom.json",
    log:
        "logs/{dataset}/list_materials.log",
    params:
        **door("list_materials", settings=CONFIG, code=rule_codes),
    resources:
        runtime="4h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"
