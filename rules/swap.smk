# Two people's faces exchanged in films and photos, when asked for: faces extracted and aligned, one encoder and two
# decoders trained on both, films converted.
# Needs the U-Nets of unet/ and two films or folders (`swap.a`, `swap.b`); the sample films two drawn actors. Makes swap/.


wildcard_constraints:
    side="a|b",


rule swap:
    """Both films with the faces exchanged, with figures."""
    localrule: True
    input:
        or_fault(
            SWAP_FAULT,
            expand([f"{SWAP}/a2b", f"{SWAP}/b2a", f"{SWAP}/metrics.json"], dataset=CONFIG.dataset),
        ),


rule culled_faces:
    """A page for each side on which faces are rejected by hand."""
    localrule: True
    input:
        or_fault(SWAP_FAULT, expand(f"{SWAP}/{{side}}/faces.html", dataset=CONFIG.dataset, side=["a", "b"])),


rule extract_faces:
    """The faces of a film or folder, aligned, with their masks, and why others are rejected."""
    input:
        lambda wildcards: film_files(film_of(wildcards)),
        detector_file=config_file("swap.detector_file"),
        unet=LABELLER,
        rejected=config_file("swap.rejected_faces"),
    output:
        faces=f"{SWAP}/{{side}}/faces.parquet",
        frames=f"{SWAP}/{{side}}/frames.parquet",
        picture=f"{SWAP}/{{side}}/faces.png",
    log:
        "logs/{dataset}/extract_faces-{side}.log",
    benchmark:
        "benchmarks/results/{dataset}/extract_faces-{side}.tsv"
    params:
        **door(
            "extract_faces",
            wildcards=["side"],
            film=film_of,
            size=CONFIG.swap.size,
            detector=CONFIG.swap.detector,
            holdout=CONFIG.swap.holdout,
        ),
        pictures=PICTURES,
    resources:
        runtime="8h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule cull_faces:
    """The faces of a film on a page: click to reject, export the list for `swap.rejected_faces`."""
    input:
        faces=rules.extract_faces.output.faces,
    output:
        page=f"{SWAP}/{{side}}/faces.html",
    log:
        "logs/{dataset}/cull_faces-{side}.log",
    params:
        **door("cull_faces"),
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule train_swap:
    """One encoder of faces, and a decoder for each side."""
    input:
        initial=config_file("swap.initial"),
        a=expand(rules.extract_faces.output.faces, side="a", allow_missing=True),
        b=expand(rules.extract_faces.output.faces, side="b", allow_missing=True),
    output:
        f"{SWAP}/model.json",
        model=f"{SWAP}/model.safetensors",
        curves=curves(f"{SWAP}/curves.csv", "loss_a", "loss_b"),
    log:
        "logs/{dataset}/train_swap.log",
    benchmark:
        "benchmarks/results/{dataset}/train_swap.tsv"
    params:
        **door("train_swap", settings=LEARNED, seed=CONFIG.seed),
    threads: 8
    resources:
        mem_mb=mem_per_attempt(8000),
        runtime="7d",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule convert_faces:
    """A film, or a folder, in which a side's face is drawn anew as the other's."""
    input:
        lambda wildcards: film_files(film_of(wildcards)),
        faces=lambda wildcards: f"results/{wildcards.dataset}/swap/{wildcards.direction[0]}/faces.parquet",
        model=rules.train_swap.output.model,
    output:
        directory(f"{SWAP}/{{direction}}"),
        table=f"{SWAP}/{{direction}}.parquet",
    log:
        "logs/{dataset}/convert_faces-{direction}.log",
    benchmark:
        "benchmarks/results/{dataset}/convert_faces-{direction}.tsv"
    params:
        **door(
            "convert_faces",
            wildcards=["direction"],
            input=film_of,
            out=lambda wildcards: SWAPPED[wildcards.direction],
            color=CONFIG.swap.color,
            blend=CONFIG.swap.blend,
            feather=CONFIG.swap.feather,
            no_mark=not CONFIG.swap.mark,
        ),
        pictures=PICTURES,
    resources:
        runtime="2d",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule evaluate_swap:
    """Held-out faces of both films, reconstructed and exchanged, in numbers and pictures."""
    input:
        *film_files(*FILMS.values()),
        expand(rules.extract_faces.output.frames, side=["a", "b"], allow_missing=True),
        identity=config_file("swap.identity"),
        a=rules.train_swap.input.a,
        b=rules.train_swap.input.b,
        model=rules.train_swap.output.model,
        swapped=expand(f"{SWAP}/{{direction}}", direction=list(SWAPPED), allow_missing=True),
        unet=EVALUATOR,
        truth=TRUTH or [],
    output:
        metrics=also("swap", metrics(f"{SWAP}/metrics.json", "swap")),
        picture=also("swap", figure(f"{SWAP}/swap.png", "7 Swap", "1 Held-out frames", "swap")),
    log:
        "logs/{dataset}/evaluate_swap.log",
    benchmark:
        "benchmarks/results/{dataset}/evaluate_swap.tsv"
    params:
        **door(
            "evaluate_swap",
            film_a=FILMS["a"],
            film_b=FILMS["b"],
            settings=EVALUATED,
            seed=CONFIG.seed,
        ),
        pictures=PICTURES,
    resources:
        mem_mb=mem_per_attempt(8000),
        runtime="4h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"
