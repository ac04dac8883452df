# Stage 5, latent: style codes and tags of portraits, their map, the vectors that turn one hair color into another, and
# what these do. Needs vae/, portraits/ and, where there are masks, gaugan/, unet/ and pseudo_labels/; makes latents/,
# tags/, tsne/ and attributes/.

# Without masks the VAE's decoder paints, in place of GauGAN.
GAUGAN = ["results/{dataset}/gaugan/model.safetensors"] if CONFIG.styled else []
JUDGE = ["results/{dataset}/unet/v2/model.safetensors"] if CONFIG.masked else []
VISUAL = [source for source in CONFIG.tags.sources if source in ("i2v", "wd14")]


rule encode_latents:
    """The VAE's style codes of the portraits drawn from one shard."""
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
    params:
        limit=-(-CONFIG.latents.max_portraits // len(SHARDS)),
        seed=lookup(dpath="seed", within=config),
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime="1h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --vae {input.vae} --portraits {input.portraits} --limit {params.limit}"
        " --seed {params.seed} --out {output.latents} 2>&1 | tee {log}"


rule plot_latents:
    """Each dimension of the latents against N(0, 1)."""
    message:
        "Compare the latents with a standard normal"
    input:
        code=code("plot_latents"),
        latents=shards("latents"),
    output:
        metrics="results/{dataset}/latents/metrics.json",
        picture=report(
            "results/{dataset}/latents/latents.png",
            category="5 Latent",
            labels={"picture": "1 Latents against a standard normal"},
            caption="report/latents.rst",
        ),
    log:
        "logs/{dataset}/plot_latents.log",
    benchmark:
        "benchmarks/results/{dataset}/plot_latents.tsv"
    params:
        seed=lookup(dpath="seed", within=config),
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime="20m",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --latents {input.latents} --seed {params.seed} --metrics {output.metrics}"
        " --picture {output.picture} 2>&1 | tee {log}"


rule tag_portraits:
    """What each source says of each portrait of one shard, and the colors of its regions."""
    message:
        "Tag portraits, shard {wildcards.shard}"
    input:
        code=code("tag_portraits"),
        portraits="results/{dataset}/portraits/shard-{shard}.parquet",
        pseudo_labels=["results/{dataset}/pseudo_labels/shard-{shard}.parquet"] if CONFIG.masked else [],
        networks=[path for source in VISUAL for path in given(f"tags.{source}")],
    output:
        tags="results/{dataset}/tags/shard-{shard}.parquet",
    log:
        "logs/{dataset}/tag_portraits-{shard}.log",
    benchmark:
        "benchmarks/results/{dataset}/tag_portraits-{shard}.tsv"
    params:
        settings=settings("tags"),
        booleans=option("--booleans", CONFIG.attributes.booleans),
        masks=lambda wildcards, input: option("--pseudo-labels", input.pseudo_labels),
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime="4h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --settings {params.settings:q} --portraits {input.portraits}"
        " {params.masks} {params.booleans} --out {output.tags} 2>&1 | tee {log}"


rule compare_tags:
    """How often each name of hair, skin and eye colors was given, and how far the sources agree."""
    message:
        "Compare the sources of tags"
    input:
        code=code("compare_tags"),
        tags=shards("tags"),
    output:
        metrics="results/{dataset}/tags/metrics.json",
    log:
        "logs/{dataset}/compare_tags.log",
    benchmark:
        "benchmarks/results/{dataset}/compare_tags.tsv"
    params:
        settings=settings("tags"),
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime="20m",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --tags {input.tags} --settings {params.settings:q} --out {output.metrics}"
        " 2>&1 | tee {log}"


rule plot_tsne:
    """Latents in the plane by t-SNE and by PCA, colored by hair."""
    message:
        "Lay out the latents by t-SNE"
    input:
        code=code("plot_tsne"),
        latents=shards("latents"),
        tags=shards("tags"),
        portraits=shards("portraits"),
    output:
        tsne="results/{dataset}/tsne/tsne.parquet",
        metrics="results/{dataset}/tsne/metrics.json",
        picture=report(
            "results/{dataset}/tsne/tsne.png",
            category="5 Latent",
            labels={"picture": "2 Latents by hair color"},
            caption="report/tsne.rst",
        ),
    log:
        "logs/{dataset}/plot_tsne.log",
    benchmark:
        "benchmarks/results/{dataset}/plot_tsne.tsv"
    params:
        palette=settings("tags"),
        holdout=lookup(dpath="holdout", within=config),
        seed=lookup(dpath="seed", within=config),
    threads: 2
    resources:
        mem_mb=memory(6000),
        runtime="2h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --latents {input.latents} --tags {input.tags} --portraits {input.portraits}"
        " --palette {params.palette:q} --holdout {params.holdout} --seed {params.seed} --out {output.tsne}"
        " --metrics {output.metrics} --picture {output.picture} 2>&1 | tee {log}"


rule attribute_vectors:
    """The vectors between hair colors, and to each boolean attribute."""
    message:
        "Find the attribute vectors"
    input:
        code=code("attribute_vectors"),
        latents=shards("latents"),
        tags=shards("tags"),
    output:
        vectors="results/{dataset}/attributes/vectors.safetensors",
        about="results/{dataset}/attributes/vectors.json",
    log:
        "logs/{dataset}/attribute_vectors.log",
    benchmark:
        "benchmarks/results/{dataset}/attribute_vectors.tsv"
    params:
        booleans=option("--booleans", CONFIG.attributes.booleans),
        preserve=option("--preserve", CONFIG.attributes.preserve),
        method=lookup(dpath="attributes/method", within=config),
        min_images=lookup(dpath="attributes/min_images", within=config),
        holdout=lookup(dpath="holdout", within=config),
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime="1h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --latents {input.latents} --tags {input.tags} {params.booleans} {params.preserve}"
        " --method {params.method} --min-images {params.min_images} --holdout {params.holdout}"
        " --vectors {output.vectors} 2>&1 | tee {log}"


rule probe_latents:
    """Linear probes of each attribute, and their balanced accuracy on test portraits."""
    message:
        "Probe the latents"
    input:
        code=code("probe_latents"),
        latents=shards("latents"),
        tags=shards("tags"),
        portraits=shards("portraits"),
    output:
        probes="results/{dataset}/attributes/probes.safetensors",
        metrics="results/{dataset}/attributes/probes.json",
    log:
        "logs/{dataset}/probe_latents.log",
    benchmark:
        "benchmarks/results/{dataset}/probe_latents.tsv"
    params:
        booleans=option("--booleans", CONFIG.attributes.booleans),
        min_images=lookup(dpath="attributes/min_images", within=config),
        holdout=lookup(dpath="holdout", within=config),
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime="1h",
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --latents {input.latents} --tags {input.tags} --portraits {input.portraits}"
        " {params.booleans} --min-images {params.min_images} --holdout {params.holdout}"
        " --probes {output.probes} --metrics {output.metrics} 2>&1 | tee {log}"


rule evaluate_attributes:
    """Held-out portraits turned into everything there is a vector for: how often it takes, and what else changes."""
    message:
        "Try the attribute vectors"
    input:
        code=code("evaluate_attributes"),
        vectors="results/{dataset}/attributes/vectors.safetensors",
        probes="results/{dataset}/attributes/probes.safetensors",
        vae="results/{dataset}/vae/model.safetensors",
        latents=shards("latents"),
        tags=shards("tags"),
        portraits=shards("portraits"),
        gaugan=GAUGAN,
        unet=JUDGE,
        pseudo_labels=MASKS,
        networks=[path for source in VISUAL for path in given(f"tags.{source}")],
    output:
        metrics="results/{dataset}/attributes/metrics.json",
        transitions=report(
            "results/{dataset}/attributes/transitions.png",
            category="5 Latent",
            labels={"picture": "3 From one attribute to another"},
            caption="report/transitions.rst",
        ),
        animation=report(
            "results/{dataset}/attributes/transitions.webp",
            category="5 Latent",
            labels={"picture": "4 From one attribute to another, animated"},
            caption="report/transitions.rst",
        ),
    log:
        "logs/{dataset}/evaluate_attributes.log",
    benchmark:
        "benchmarks/results/{dataset}/evaluate_attributes.tsv"
    params:
        settings=settings("tags"),
        eval_portraits=lookup(dpath="attributes/eval_portraits", within=config),
        strength=lookup(dpath="attributes/strength", within=config),
        steps=lookup(dpath="attributes/steps", within=config),
        gaugan=lambda wildcards, input: option("--gaugan", input.gaugan),
        unet=lambda wildcards, input: option("--unet", input.unet),
        masks=lambda wildcards, input: option("--pseudo-labels", input.pseudo_labels),
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
        "python {input.code[0]} --vectors {input.vectors} --probes {input.probes} --vae {input.vae}"
        " {params.gaugan} {params.unet} {params.masks} --latents {input.latents} --tags {input.tags}"
        " --portraits {input.portraits} --settings {params.settings:q} --eval-portraits {params.eval_portraits} --strength {params.strength}"
        " --steps {params.steps} --holdout {params.holdout} --seed {params.seed}"
        " --metrics {output.metrics} --transitions {output.transitions} --animation {output.animation} 2>&1 | tee {log}"


rule walk_latents:
    """Held-out portraits along each vector, on random walks, and on the way to one another."""
    message:
        "Walk through the latents"
    input:
        code=code("walk_latents"),
        vectors="results/{dataset}/attributes/vectors.safetensors",
        vae="results/{dataset}/vae/model.safetensors",
        latents=shards("latents"),
        tags=shards("tags"),
        gaugan=GAUGAN,
        pseudo_labels=MASKS,
    output:
        sliders=report(
            "results/{dataset}/attributes/sliders.png",
            category="5 Latent",
            labels={"picture": "5 Along each vector"},
            caption="report/sliders.rst",
        ),
        walks=report(
            "results/{dataset}/attributes/walks.png",
            category="5 Latent",
            labels={"picture": "6 Random walks"},
            caption="report/walks.rst",
        ),
        walks_animation=report(
            "results/{dataset}/attributes/walks.webp",
            category="5 Latent",
            labels={"picture": "7 Random walks, animated"},
            caption="report/walks.rst",
        ),
        interpolations=report(
            "results/{dataset}/attributes/interpolations.png",
            category="5 Latent",
            labels={"picture": "8 From one portrait to another"},
            caption="report/interpolations.rst",
        ),
        interpolations_animation=report(
            "results/{dataset}/attributes/interpolations.webp",
            category="5 Latent",
            labels={"picture": "9 From one portrait to another, animated"},
            caption="report/interpolations.rst",
        ),
    log:
        "logs/{dataset}/walk_latents.log",
    benchmark:
        "benchmarks/results/{dataset}/walk_latents.tsv"
    params:
        strength=lookup(dpath="attributes/strength", within=config),
        steps=lookup(dpath="attributes/steps", within=config),
        gaugan=lambda wildcards, input: option("--gaugan", input.gaugan),
        masks=lambda wildcards, input: option("--pseudo-labels", input.pseudo_labels),
        holdout=lookup(dpath="holdout", within=config),
        seed=lookup(dpath="seed", within=config),
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime="1h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "python {input.code[0]} --vectors {input.vectors} --vae {input.vae} {params.gaugan} {params.masks}"
        " --latents {input.latents} --tags {input.tags} --strength {params.strength} --steps {params.steps}"
        " --holdout {params.holdout} --seed {params.seed} --sliders {output.sliders}"
        " --walks {output.walks} --walks-animation {output.walks_animation} --interpolations {output.interpolations} --interpolations-animation {output.interpolations_animation} 2>&1 | tee {log}"
