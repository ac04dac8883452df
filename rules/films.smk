# The two films or folders of a swap (`swap.a`, `swap.b`): where they are, and what is wrong with the settings, for
# swap.smk.

SWAP = "results/{dataset}/swap"
FILMED = CONFIG.swap.a is None  # the sample's own films


def swap_fault():
    """What is wrong with the two films or folders, None where nothing is."""
    accepted = "accepted: a film, or a folder of frames or photos"
    if FILMED:
        return None if CONFIG.kind == "sample" else f"swap.a: found null; {accepted}"
    from facemill.swap.pictures import is_photo  # which a run without a swap need not import

    photos = [f"swap.{side}: {path} is one photo" for side, path in FILMS.items() if is_photo(Path(path))]
    return f"{photos[0]}; {accepted}" if photos else None


FILMS = {
    side: str(path or f"results/{CONFIG.dataset}/films/{side}.mp4")
    for side, path in (("a", CONFIG.swap.a), ("b", CONFIG.swap.b))
}
SWAP_FAULT = swap_fault()
# A film becomes a film, a folder one of images.
SWAPPED = {
    way: f"results/{CONFIG.dataset}/swap/{way}/{'images' if Path(FILMS[way[0]]).is_dir() else way + '.mp4'}"
    for way in ("a2b", "b2a")
}
PICTURES = listed([Path(film) for film in FILMS.values() if Path(film).is_dir()], IMAGE_SUFFIXES)
TRUTH = f"results/{CONFIG.dataset}/films.parquet" if FILMED else None

# What figures depend on, since faces come from their tables, and what trainings do.
EVALUATED = CONFIG.swap.model_copy(
    update={
        "a": None,
        "b": None,
        "detector": "masks",
        "detector_file": None,
        "rejected_faces": [],
        "holdout": 0.5,
        "initial": None,
    }
)
LEARNED = EVALUATED.model_copy(
    update={"identity": None, "color": "none", "blend": "alpha", "feather": 0.0, "mark": True}
)


def film_of(wildcards):
    """The film or folder of a side, or of the side where a direction starts."""
    return FILMS[wildcards.get("side") or wildcards.direction[0]]


def film_files(*films):
    """What films or folders come from, as inputs."""
    if FILMED:
        return [ancient(rules.film_sample.output.films), plain(rules.film_sample.output.truth)]
    return [ancient(film) if Path(film).is_dir() else film for film in films]


stop_at_fault("swap", SWAP_FAULT)
