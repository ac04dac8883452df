# The other collection of a translation (`cyclegan.other`): where its portraits, masks and networks come from, and what is
# wrong with the settings, for translate.smk and through_masks.smk.

CYCLEGAN = "results/{dataset}/cyclegan"
POINTS = range(1, 9)
# The directions that are trained.
WAYS = ["a2b"] if CONFIG.cyclegan.method == "cut" else ["a2b", "b2a"]

# The other collection: another run's portraits, a folder or archive, or the sample's other hand. KEEPS tells whether
# masks are needed.
OTHER = CONFIG.cyclegan.other
OTHER_RUN = OTHER if OTHER and (OTHER / "portraits").is_dir() else None
PAIRED = OTHER is None and CONFIG.kind == "sample"
OTHER_SHARDS = (
    [path.stem.removeprefix("shard-") for path in sorted((OTHER_RUN / "portraits").glob("shard-*.parquet"))]
    if OTHER_RUN
    else SHARDS
)
OTHER_MASKED = PAIRED or bool(CONFIG.cyclegan.mask_model if not OTHER_RUN else (OTHER_RUN / "pseudo_labels").is_dir())
OTHER_UNET = (
    CONFIG.cyclegan.mask_model
    or (OTHER_RUN / "unet/v3/model.safetensors" if OTHER_RUN and (OTHER_RUN / "unet/v3/model.json").exists() else None)
    or []
)
# The U-Nets that see results: those that drew no masks, where there are such; the sample's one knows both hands.
HANDS_UNET = f"{CYCLEGAN}/unet/model.safetensors"
JUDGE = HANDS_UNET if PAIRED else EVALUATOR
OTHER_JUDGE = HANDS_UNET if PAIRED else str(OTHER_UNET) if OTHER_UNET else []
if OTHER_RUN and (OTHER_RUN / "unet/v2/model.json").exists():
    OTHER_JUDGE = str(OTHER_RUN / "unet/v2/model.safetensors")
# The U-Nets whose loss is `mask_weight`, and the directions where the same ones measure.
TEACHERS = {"a2b": HANDS_UNET if PAIRED else OTHER_UNET, "b2a": HANDS_UNET if PAIRED else LABELLER}
SELF_GRADED = [
    way
    for way, judge in (("a2b", OTHER_JUDGE), ("b2a", JUDGE))
    if CONFIG.cyclegan.mask_weight and judge and str(judge) == str(TEACHERS[way])
]
KEEPS = bool(CONFIG.cyclegan.mask_weight or CONFIG.cyclegan.color_weight)


def other_shards(product):
    """The shards of a product that has those of the other collection."""
    return expand(f"results/{{{{dataset}}}}/{product}/shard-{{shard}}.parquet", shard=OTHER_SHARDS)


def way_back(path, **values):
    """The files of b2a of a name; none where it is not trained."""
    return expand(path, allow_missing=True, **values) if "b2a" in WAYS else []


def translation_fault():
    """Why collections cannot be translated with these settings, in one line; None where they can."""
    settings, size = CONFIG.cyclegan, CONFIG.portraits.size
    if not (PAIRED or OTHER):
        return "cyclegan.other: found null; accepted: results/<dataset> of another run, a folder or an archive"
    if OTHER and not OTHER_RUN and (OTHER / "config.yaml").exists():
        return f"cyclegan.other: found {OTHER}, a run without portraits/; accepted: a run that has made them"
    if PAIRED and CONFIG.portraits.detector:
        return (
            "portraits.detector: found a section; accepted: null, since the sample's other hand is drawn in the middle"
        )
    if size % settings.size:
        return f"cyclegan.size: found {settings.size}; accepted: portraits.size, {size}, or a half or quarter of it"
    if KEEPS and not (CONFIG.masked and OTHER_MASKED):
        where = "cyclegan.other" if CONFIG.masked else "this collection"
        return f"cyclegan.mask_weight, cyclegan.color_weight: found weights; accepted: 0 for both, without masks of {where}"
    if settings.mask_weight and not (PAIRED or OTHER_UNET):
        return "cyclegan.mask_model: found null; accepted: a U-Net that knows the other collection, or mask_weight 0"
    return None


def or_fault(fault, inputs):
    """The inputs of a product, or an input function that ends the run and says why it cannot be made."""

    def stop(wildcards):
        sys.exit(f"config: {fault}")  # of an error Snakemake would show the traceback

    return stop if fault else inputs


def stop_at_fault(stage, fault):
    """Ends the run where a product that cannot be made is to be a part of all."""
    if fault and stage in CONFIG.also:
        sys.exit(f"config: {fault}")


stop_at_fault("cyclegan", TRANSLATION_FAULT := translation_fault())


def read_by(wildcards):
    """The U-Net that drew the masks of a direction's portraits; the sample's one that knows both hands."""
    if PAIRED:
        return HANDS_UNET
    return LABELLER if wildcards.direction == "a2b" else f"{OTHER_RUN}/unet/v3/model.safetensors"


def collection(direction, place):
    """The shards of the collection that portraits come from (0) or go to (1), and of its masks where they are apart."""
    is_own = (direction == "a2b") == (place == 0)
    return (shards("portraits"), MASKS) if is_own else (other_shards("other"), [])
