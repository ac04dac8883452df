# Stage 4, synthesize: a VAE whose encoder gives the style, then GauGAN, which paints portraits from masks in a style.
# Needs portraits/ and pseudo_labels/; makes vae/ and gaugan/.


rule train_vae:
    """The VAE, trained on all portraits but the held-out ones; pseudo-labels let every region count."""
    message:
        "Train the VAE"
    input:
        code=code("train_vae"),
        portraits=shards("portraits"),
        pseudo_labels=MASKS,
    output:
        model="results/{dataset}/vae/model.safetensors",
        about="results/{dataset}/vae/model.json",
        curves="results/{dataset}/vae/curves.csv",
    log:
        "logs/{dataset}/train_vae.log",
    benchmark:
        "benchmarks/results/{dataset}/train_vae.tsv"
    params:
        settings=settings("vae"),
        seed=lookup(dpath="seed", within=config),
        holdout=lookup(dpath="holdout", within=config),
        masks=lambda wildcards, input: option("--pseudo-labels", input.pseudo_labels),
    threads: 8
    resources:
        mem_mb=memory(8000),
        runtime="12h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --settings {params.settings:q} --seed {params.seed} --holdout {params.holdout}"
        " --portraits {input.portraits} {params.masks} --model {output.model}"
        " --curves {output.curves} 2>&1 | tee {log}"


rule evaluate_vae:
    """Reconstructions of the held-out portraits, in pictures and numbers, and samples."""
    message:
        "Measure the VAE"
    input:
        code=code("evaluate_vae"),
        model="results/{dataset}/vae/model.safetensors",
        portraits=shards("portraits"),
    output:
        metrics="results/{dataset}/vae/metrics.json",
        picture=report(
            "results/{dataset}/vae/vae.png",
            category="4 Synthesize",
            labels={"picture": "1 VAE: reconstructions and samples"},
            caption="report/vae.rst",
        ),
    log:
        "logs/{dataset}/evaluate_vae.log",
    benchmark:
        "benchmarks/results/{dataset}/evaluate_vae.tsv"
    params:
        holdout=lookup(dpath="holdout", within=config),
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime="1h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --model {input.model} --portraits {input.portraits} --holdout {params.holdout}"
        " --metrics {output.metrics} --picture {output.picture} 2>&1 | tee {log}"


rule train_gaugan:
    """The SPADE generator against its discriminators, on accepted pseudo-labels, the VAE's frozen encoder giving z."""
    message:
        "Train GauGAN"
    input:
        code=code("train_gaugan"),
        vae="results/{dataset}/vae/model.safetensors",
        portraits=shards("portraits"),
        pseudo_labels=shards("pseudo_labels"),
        gate="results/{dataset}/pseudo_labels/gate.parquet",
        weights=given("gaugan.vgg_weights"),
    output:
        model="results/{dataset}/gaugan/model.safetensors",
        about="results/{dataset}/gaugan/model.json",
        style_encoder="results/{dataset}/gaugan/style_encoder.safetensors",
        style_about="results/{dataset}/gaugan/style_encoder.json",
        curves="results/{dataset}/gaugan/curves.csv",
    log:
        "logs/{dataset}/train_gaugan.log",
    benchmark:
        "benchmarks/results/{dataset}/train_gaugan.tsv"
    params:
        gpus=lookup(dpath="gaugan/gpus", within=config),
        settings=CONFIG.gaugan.model_dump_json(exclude={"inception_weights"}),
        size=lookup(dpath="portraits/size", within=config),
        seed=lookup(dpath="seed", within=config),
        holdout=lookup(dpath="holdout", within=config),
    threads: 8
    resources:
        mem_mb=memory(12000),
        runtime="7d",
        gpu=CONFIG.gaugan.gpus,
    conda:
        "../envs/facemill.yaml"
    shell:
        "python -m facemill.workflow.launch {params.gpus} {input.code[0]} --settings {params.settings:q} --size {params.size} --seed {params.seed}"
        " --holdout {params.holdout} --vae {input.vae} --portraits {input.portraits}"
        " --pseudo-labels {input.pseudo_labels} --gate {input.gate} --model {output.model}"
        " --style-encoder {output.style_encoder} --curves {output.curves} 2>&1 | tee {log}"


rule evaluate_gaugan:
    """Held-out masks painted in other portraits' styles and in random ones, segmented again by v2 and measured."""
    message:
        "Measure GauGAN"
    input:
        code=code("evaluate_gaugan"),
        model="results/{dataset}/gaugan/model.safetensors",
        vae="results/{dataset}/vae/model.safetensors",
        judge="results/{dataset}/unet/v2/model.safetensors",
        portraits=shards("portraits"),
        pseudo_labels=shards("pseudo_labels"),
        weights=given("gaugan.vgg_weights") + given("gaugan.inception_weights"),
    output:
        metrics="results/{dataset}/gaugan/metrics.json",
        table="results/{dataset}/gaugan/per_image.csv",
        picture=report(
            "results/{dataset}/gaugan/gaugan.png",
            category="4 Synthesize",
            labels={"picture": "2 GauGAN: masks and style references"},
            caption="report/gaugan.rst",
        ),
    log:
        "logs/{dataset}/evaluate_gaugan.log",
    benchmark:
        "benchmarks/results/{dataset}/evaluate_gaugan.tsv"
    params:
        settings=settings("gaugan"),
        holdout=lookup(dpath="holdout", within=config),
        seed=lookup(dpath="seed", within=config),
    threads: 1
    resources:
        mem_mb=memory(6000),
        runtime="2h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --model {input.model} --vae {input.vae} --judge {input.judge}"
        " --settings {params.settings:q} --portraits {input.portraits} --pseudo-labels {input.pseudo_labels}"
        " --holdout {params.holdout} --seed {params.seed} --metrics {output.metrics} --table {output.table}"
        " --picture {output.picture} 2>&1 | tee {log}"
