# Stage 5, latent: style codes and hair colours of all portraits, their map, and the vectors that turn one into another.
# Needs vae/, gaugan/, portraits/ and pseudo_labels/; makes latents/, colors/, tsne/ and attributes/.


rule encode_latents:
    """The VAE's style codes of one shard of portraits."""
    message:
        "Encode latents, shard {wildcards.shard}"
    input:
        code=code("encode_latents"),
        vae="results/{dataset}/vae/model.safetensors",
        portraits="results/{dataset}/portraits/shard-{shard}.parquet",
    output:
        latents="results/{dataset}/latents/shard-{shard}.parquet",
    log:
        "logs/{dataset}/encode_latents-{shard}.log",
    benchmark:
        "benchmarks/results/{dataset}/encode_latents-{shard}.tsv"
    threads: 2
    resources:
        mem_mb=memory(4000),
        runtime="1h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --vae {input.vae} --portraits {input.portraits} --out {output.latents} 2>&1 | tee {log}"


rule tag_colors:
    """The hair colour of each portrait of one shard, and the colours of its parts."""
    message:
        "Tag hair colours, shard {wildcards.shard}"
    input:
        code=code("tag_colors"),
        portraits="results/{dataset}/portraits/shard-{shard}.parquet",
        pseudo_labels="results/{dataset}/pseudo_labels/shard-{shard}.parquet",
    output:
        colors="results/{dataset}/colors/shard-{shard}.parquet",
    log:
        "logs/{dataset}/tag_colors-{shard}.log",
    benchmark:
        "benchmarks/results/{dataset}/tag_colors-{shard}.tsv"
    params:
        settings=settings("tags"),
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime="1h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --settings {params.settings:q} --portraits {input.portraits}"
        " --pseudo-labels {input.pseudo_labels} --out {output.colors} 2>&1 | tee {log}"


rule plot_tsne:
    """Latents in the plane by t-SNE, coloured by hair."""
    message:
        "Lay out the latents by t-SNE"
    input:
        code=code("plot_tsne"),
        latents=shards("latents"),
        colors=shards("colors"),
        portraits=shards("portraits"),
    output:
        tsne="results/{dataset}/tsne/tsne.parquet",
        metrics="results/{dataset}/tsne/metrics.json",
        picture=report(
            "results/{dataset}/tsne/tsne.png",
            category="5 Latent",
            labels={"picture": "1 Latents by hair colour"},
            caption="report/tsne.rst",
        ),
    log:
        "logs/{dataset}/plot_tsne.log",
    benchmark:
        "benchmarks/results/{dataset}/plot_tsne.tsv"
    params:
        palette=settings("tags"),
        seed=lookup(dpath="seed", within=config),
        limit=lookup(dpath="latents", within=config),
    threads: 2
    resources:
        mem_mb=memory(4000),
        runtime="2h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --latents {input.latents} --colors {input.colors} --portraits {input.portraits}"
        " --palette {params.palette:q} --seed {params.seed} --limit {params.limit} --out {output.tsne}"
        " --metrics {output.metrics} --picture {output.picture} 2>&1 | tee {log}"


rule attribute_vectors:
    """The mean latent of each hair colour; the vectors between them change it."""
    message:
        "Find the attribute vectors"
    input:
        code=code("attribute_vectors"),
        latents=shards("latents"),
        colors=shards("colors"),
    output:
        vectors="results/{dataset}/attributes/vectors.safetensors",
        about="results/{dataset}/attributes/vectors.json",
    log:
        "logs/{dataset}/attribute_vectors.log",
    benchmark:
        "benchmarks/results/{dataset}/attribute_vectors.tsv"
    params:
        min_images=lookup(dpath="attributes/min_images", within=config),
        holdout=lookup(dpath="holdout", within=config),
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime="1h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --latents {input.latents} --colors {input.colors} --min-images {params.min_images}"
        " --holdout {params.holdout} --vectors {output.vectors} 2>&1 | tee {log}"


rule evaluate_attributes:
    """Held-out portraits painted with each hair colour in turn: how often it takes, and what else changes."""
    message:
        "Try the attribute vectors"
    input:
        code=code("evaluate_attributes"),
        vectors="results/{dataset}/attributes/vectors.safetensors",
        gaugan="results/{dataset}/gaugan/model.safetensors",
        latents=shards("latents"),
        colors=shards("colors"),
        pseudo_labels=shards("pseudo_labels"),
        portraits=shards("portraits"),
    output:
        metrics="results/{dataset}/attributes/metrics.json",
        transitions=report(
            "results/{dataset}/attributes/transitions.png",
            category="5 Latent",
            labels={"picture": "2 From one hair colour to another"},
            caption="report/transitions.rst",
        ),
    log:
        "logs/{dataset}/evaluate_attributes.log",
    benchmark:
        "benchmarks/results/{dataset}/evaluate_attributes.tsv"
    params:
        settings=settings("attributes"),
        tags=settings("tags"),
        holdout=lookup(dpath="holdout", within=config),
        seed=lookup(dpath="seed", within=config),
    threads: 2
    resources:
        mem_mb=memory(6000),
        runtime="2h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --vectors {input.vectors} --gaugan {input.gaugan} --latents {input.latents}"
        " --colors {input.colors} --pseudo-labels {input.pseudo_labels} --portraits {input.portraits}"
        " --settings {params.settings:q} --tags {params.tags:q} --holdout {params.holdout} --seed {params.seed}"
        " --metrics {output.metrics} --transitions {output.transitions} 2>&1 | tee {log}"
