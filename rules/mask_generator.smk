# Masks out of nothing, when asked for: StyleGAN's networks on masks, and what GauGAN paints on them.
# Needs portraits/, pseudo_labels/, gate/, unet/v2 and gaugan/; makes mask_generator/.

MASK_GENERATOR = "results/{dataset}/mask_generator"


rule mask_generator:
    """The generator of masks, with figures."""
    localrule: True
    input:
        f"results/{CONFIG.dataset}/mask_generator/model.safetensors",
        f"results/{CONFIG.dataset}/mask_generator/metrics.json",


rule train_mask_generator:
    """StyleGAN2's networks, trained on the masks that the gate accepts."""
    input:
        portraits=shards("portraits"),
        pseudo_labels=MASKS,
        gate=plain(rules.gate_pseudo_labels.output.gate),
    output:
        f"{MASK_GENERATOR}/model.json",
        model=f"{MASK_GENERATOR}/model.safetensors",
        curves=curves(f"{MASK_GENERATOR}/curves.csv", "loss_g", "loss_d"),
    log:
        "logs/{dataset}/train_mask_generator.log",
    benchmark:
        "benchmarks/results/{dataset}/train_mask_generator.tsv"
    params:
        **door("train_mask_generator", settings=CONFIG.mask_generator, seed=CONFIG.seed, holdout=CONFIG.holdout),
    threads: 8
    resources:
        mem_mb=mem_per_attempt(8000 + loader_mb()),
        runtime="7d",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"


rule evaluate_mask_generator:
    """Random masks in numbers beside held-out ones, and what GauGAN paints on them, seen again by v2."""
    input:
        model=plain(rules.train_mask_generator.output.model),
        gaugan=plain(rules.train_gaugan.output.model),
        evaluator=expand(plain(rules.train_unet.output.model), version="v2", allow_missing=True),
        portraits=shards("portraits"),
        pseudo_labels=MASKS,
        gate=plain(rules.gate_pseudo_labels.output.gate),
    output:
        metrics=also("mask_generator", metrics(f"{MASK_GENERATOR}/metrics.json", "mask_generator")),
        picture=shown("mask_generator", "masks.png", "8 Masks out of nothing", "Seeds 0 to 63", "mask_generator"),
    log:
        "logs/{dataset}/evaluate_mask_generator.log",
    benchmark:
        "benchmarks/results/{dataset}/evaluate_mask_generator.tsv"
    params:
        **door("evaluate_mask_generator", seed=CONFIG.seed, holdout=CONFIG.holdout),
    resources:
        mem_mb=mem_per_attempt(8000),
        runtime="2h",
        gpu=1,
    conda:
        "../envs/facemill.yaml"
    shell:
        "{params.command} 2>&1 | tee {log}"
