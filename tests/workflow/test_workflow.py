"""The real Snakefile on a tiny config: from start to end, again, after changes, after kills."""

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from datasets import load_dataset
from helpers.running import command, is_training, jobs_in, planned, snakemake, wait_for

from facemill.data.shards import read_rows
from facemill.files import digest, sha256

PARTS = ["labels/train", "labels/validation", "labels/test", "augmented/train", "augmented/validation"]
V3 = "results/tiny/unet/v3/model.safetensors"
FILTER = "filter={ratings: [], min_score: null, tags_all: []}"  # a folder carries no ratings, scores or tags


def test_the_summary_holds_every_number(finished):
    found = json.loads((finished / "results/tiny/summary.json").read_text())
    assert found["posts"] >= found["selected"] >= found["portraits"] > 30
    assert found["posts"] + found["rejected"] >= 60
    assert found["labels"]["images"] == 16 and found["labels"]["augmented"] % 2 == 0
    for version in ("v1", "v2", "v3", "v4"):
        measured = found["unet"][version]
        assert {"miou", "iou", "boundary_iou", "specks", "checkerboard", "test_images"} <= measured.keys()
        assert set(measured["iou"]) == {"background", "skin", "face", "eye", "mouth", "hair", "clothes"}
    assert found["pseudo_labels"]["images"] == found["portraits"]
    assert found["pseudo_labels"]["images_per_second"] > 0 and 0 < found["pseudo_labels"]["miou_vs_truth"] <= 1
    assert {"reconstruction_l1", "kl"} <= found["vae"].keys()
    assert {"resegmentation_miou", "frechet_distance", "style_color_error"} <= found["gaugan"].keys()
    assert found["attributes"] and all({"success", "drift"} <= a.keys() for a in found["attributes"].values())
    assert found["tags"]["hair_color"]["tags_color"]["images"] > 30 and "hair_color" in found["probes"]
    assert len(found["latents"]["kolmogorov_smirnov"]) == 16  # dimensions
    assert {"purity", "discriminant_purity", "trustworthiness", "pca_variance"} <= found["tsne"].keys()


def test_no_json_of_the_run_holds_what_is_no_number(finished):
    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    paths = list((finished / "results/tiny").rglob("*.json"))
    assert len(paths) > 20
    for path in paths:
        json.loads(path.read_text(), parse_constant=refuse)


def test_the_report_holds_the_pictures_in_the_order_of_the_chain(finished):
    page = (finished / "results/tiny/report.html").read_text()
    shown = json.loads(re.search(r"var results = (\{.*?\});\n", page)[1])
    categories = json.loads(re.search(r"categories = (\{.*?\});\n", page)[1])
    stages = {path: stage for stage, parts in categories.items() for paths in parts.values() for path in paths}
    assert shown.keys() == stages.keys() and all(figure["caption"] for figure in shown.values())
    # the page sorts by category, then by label
    in_order = sorted(shown, key=lambda path: (stages[path], shown[path]["labels"]["picture"]))
    assert [path.removeprefix("results/tiny/") for path in in_order] == [
        "selected/funnel.png",
        "labels/labels.png",
        "augmented/augmented.png",
        "unet/comparison.png",
        "unet/comparison_metrics.png",
        "unet/comparison_confusion.png",
        "gate/pseudo_labels.png",
        "vae/vae.png",
        "gaugan/gaugan.png",
        "gaugan/best_and_worst.png",
        "latents/latents.png",
        "tsne/tsne.png",
        "attributes/transitions.png",
        "attributes/transitions.webp",
        "attributes/sliders.png",
        "attributes/walks.png",
        "attributes/walks.webp",
        "attributes/interpolations.png",
        "attributes/interpolations.webp",
        "summary.html",
        "summary.json",
    ]
    assert all(figure["data_uri"].startswith("data:") for figure in shown.values())


def test_datasets_opens_what_a_run_made(finished, tmp_path):
    folder, cache = finished / "results/tiny", str(tmp_path)
    rows = {name: load_dataset(str(folder), name, cache_dir=cache) for name in ("portraits", "pseudo_labels", "labels")}
    portraits, masks = rows["portraits"]["train"], rows["pseudo_labels"]["train"]
    assert portraits["id"][:] == masks["id"][:] and len(masks) > 30
    assert portraits[0]["image"].size == masks[0]["mask"].size == (64, 64) and masks[0]["mask"].mode == "P"
    assert {split: len(part) > 0 for split, part in rows["labels"].items()} == dict.fromkeys(rows["labels"], True)
    for name in ("portraits", "pseudo_labels"):
        [unaided] = load_dataset("parquet", data_dir=str(folder / name), cache_dir=cache).values()
        assert unaided["id"][:] == portraits["id"][:]


def test_cards_and_the_bill_say_what_a_run_made(finished):
    folder = finished / "results/tiny"
    models = [path.parent.relative_to(folder).as_posix() for path in folder.rglob("model.safetensors")]
    assert sorted(models) == ["gaugan", "unet/v1", "unet/v2", "unet/v3", "unet/v4", "vae"]
    card, summary = (folder / "README.md").read_text(), json.loads((folder / "summary.json").read_text())
    assert all(f"- [{model}/README.md]({model}/README.md)" in card.splitlines() for model in models)
    assert f"| portraits | {summary['portraits']} |" in card.splitlines()
    assert f"| `miou` | {summary['unet']['v3']['miou']:.4g} |" in (folder / "unet/v3/README.md").read_text()

    text = (folder / "bom.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    hashes = {part["bom-ref"]: part["hashes"][0]["content"] for part in bill["components"] if "hashes" in part}
    assert {f"models/{m}": sha256(folder / m / "model.safetensors") for m in models}.items() <= hashes.items()
    codes = json.loads((finished / "code.json").read_text())
    said = {entry["name"]: entry["value"] for entry in bill["metadata"]["properties"]}
    assert {f"facemill:code.{rule}": code for rule, code in codes.items()}.items() <= said.items()


def test_training_and_validation_portraits_are_augmented_apart(finished):
    ids = {p: {row["id"] for row in read_rows([finished / f"results/tiny/{p}.parquet"], ["id"])} for p in PARTS}
    train, validation, test, *augmented = ids.values()
    assert not train & validation and not train & test and not validation & test
    for portraits, copies in zip((train, validation), augmented, strict=True):
        assert copies == {f"{portrait}-{copy:02}" for portrait in portraits for copy in range(2)}


def test_logs_say_what_each_job_said(finished):
    logs = finished / "logs/tiny"
    assert "portraits" in (logs / "render_sample.log").read_text()
    assert "unet-v3: 400 of 400 images" in (logs / "train_unet-v3.log").read_text()


def test_a_second_run_does_nothing_and_says_so(finished):
    code, said = snakemake(finished)
    assert code == 0 and "Nothing to be done" in said


SHARDS = 2
BILL = {"list_materials": 1, "all": 1}
LAST = {"summarize": 1, "report": 1, "describe_dataset": 1} | BILL
TRIED = {"evaluate_attributes": 1, "walk_latents": 1}
VECTORS = {"attribute_vectors": 1, "probe_latents": 1} | TRIED
LATENT = {"encode_latents": SHARDS, "plot_latents": 1}
STYLES = {"encode_styles": SHARDS, "plot_tsne": 1} | VECTORS
VAE = {"train_vae": 1, "evaluate_vae": 1, "describe_vae": 1}
EVALUATED = {"evaluate_gaugan": 1, "describe_gaugan": 1}
SYNTHESIZE = {"train_gaugan": 1} | EVALUATED
TAGS = {"tag_portraits": SHARDS, "compare_tags": 1, "plot_tsne": 1}
MASKS = {"pseudo_label": SHARDS, "gate_pseudo_labels": 1, "show_pseudo_labels": 1} | TAGS
UNETS = {"compare_unets": 1, "describe_unet": 4}
V4 = {"self_train_unet": 1} | UNETS
COUNTED = {"count_portraits": 1}


@pytest.mark.parametrize(
    ("change", "jobs"),
    [
        ("unet={versions: {v1: {training: {batch: 4}}}}", {"train_unet": 1} | UNETS),
        (
            "unet={versions: {v2: {training: {batch: 4}}}}",
            {"train_unet": 1} | UNETS | EVALUATED | {"evaluate_attributes": 1},
        ),
        (
            "unet={versions: {v3: {training: {batch: 4}}}}",
            {"train_unet": 1} | V4 | MASKS | VAE | SYNTHESIZE | LATENT | STYLES,
        ),
        (
            "augment={rotation: 20}",
            {"augment_labels": 1, "train_unet": 3} | V4 | MASKS | VAE | SYNTHESIZE | LATENT | STYLES,
        ),
        (
            "filter={min_score: -1}",
            {"filter_posts": 1, "crop_portraits": SHARDS} | COUNTED | V4 | MASKS | VAE | SYNTHESIZE | LATENT | STYLES,
        ),
        ("self_training={confidence: 0.6}", V4),
        (
            "pseudo_labels={max_flip_disagreement: 0.6}",
            {"gate_pseudo_labels": 1, "show_pseudo_labels": 1} | SYNTHESIZE | STYLES,
        ),
        ("vae={kl_weight: 0.001}", VAE | LATENT | TRIED),
        ("gaugan={feature_matching_weight: 5}", SYNTHESIZE | STYLES),
        ("tags={hair_colors: {red_hair: ['#ff0000']}}", TAGS | VECTORS),
        ("latents={max_portraits: 50}", LATENT | STYLES),
        ("attributes={min_images: 2}", VECTORS | COUNTED),
        ("attributes={steps: 4}", TRIED),
        ("attributes={eval_portraits: 2}", {"evaluate_attributes": 1}),
        ("attributes={preserve: []}", {"attribute_vectors": 1} | TRIED),
    ],
)
def test_a_changed_setting_reruns_what_depends_on_it(finished, change, jobs):
    assert planned(finished, "--config", change) == jobs | LAST


def test_a_changed_comment_or_docstring_reruns_nothing(project):
    for module in [*(project / "facemill").rglob("*.py"), *(project / "scripts").glob("*.py")]:
        module.write_text(f'"""Another docstring."""\n{module.read_text()}\n# changed\n')
    commented = [project / "Snakefile", project / "config/config.yaml", *(project / "rules").glob("*.smk")]
    for source in commented:
        source.write_text(f"# changed\n{source.read_text()}\n# changed\n")
    for rules in (project / "rules").glob("*.smk"):
        rules.write_text(re.sub(r'^( +""")(?=\w.*"""$)', r"\1Changed: ", rules.read_text(), flags=re.M))
    assert planned(project) == {}


@pytest.mark.parametrize(
    ("module", "constant", "jobs"),
    [
        ("latent/plot_tsne.py", "PERPLEXITY", {"plot_tsne": 1} | LAST),
        ("segment/show_pseudo_labels.py", "SHOWN", {"show_pseudo_labels": 1} | LAST),
        ("latent/walk_latents.py", "STRIDE", {"walk_latents": 1, "report": 1} | BILL),  # it measures nothing
        ("networks/vgg.py", "LPIPS_TAPS", SYNTHESIZE | STYLES | LAST),
        ("workflow/gpu_slots.py", "_NONE", {}),
    ],
)
def test_a_changed_constant_reruns_the_rules_that_reach_it_alone(project, module, constant, jobs):
    source = project / "facemill" / module
    changed = re.sub(
        rf"^{constant} = .*$", f"{constant} = (123456, 'changed')", source.read_text(), count=1, flags=re.M
    )
    assert changed != source.read_text()
    source.write_text(changed)
    assert planned(project) == jobs


def test_dates_alone_rerun_nothing(project):
    for path in project.rglob("*"):
        if path.is_file() and ".snakemake" not in path.parts and path.name != ".snakemake_timestamp":
            os.utime(path)
    assert planned(project) == {}


def test_a_fault_in_the_config_is_one_line_before_anything_runs(project):
    code, said = snakemake(project, "--config", "unet={encoders: vgg}")
    lines = [line for line in said.splitlines() if not line.startswith(("Using workflow", "Config file"))]
    accepted = "encoder, encoder_weights, width, class_weights, patience, versions"
    assert (code, lines) == (1, [f"config: unet.encoders: unknown key (value 'vgg'); accepted: {accepted}"])


def test_a_failing_script_fails_the_run_and_leaves_no_output(project):
    code, said = snakemake(project, "--config", "filter={tags_all: [no_such_tag]}")
    assert code == 1 and re.search(r"^filter_posts.py: .*no_such_tag", said, re.M) and "Traceback" not in said
    assert not (project / "results/tiny/selected/selected.parquet").exists()
    assert "no_such_tag" in (project / "logs/tiny/filter_posts.log").read_text()


@pytest.mark.parametrize("killed", ["snakemake", "everything"])
def test_a_training_that_was_killed_ends_with_the_same_model(project, killed):
    expected = digest({}, [project / V3])
    shutil.rmtree(project / "results/tiny/unet/v3")
    shutil.rmtree(project / "work")
    run = subprocess.Popen(command("--", V3), cwd=project, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for(lambda: any(is_training(job) for job in jobs_in(project)))
    finally:
        os.killpg(run.pid, signal.SIGKILL) if killed == "everything" else run.kill()
        run.wait()
    wait_for(lambda: not jobs_in(project))
    assert not (project / V3).exists()

    code, said = snakemake(project, "--", V3)
    assert code == 0, said
    assert ("resumes after step" in said) == (killed == "snakemake")  # a job whose Snakemake is gone saves and ends
    assert digest({}, [project / V3]) == expected


def test_a_training_killed_under_old_code_restarts_under_new_code_and_says_so(project):
    shutil.rmtree(project / "results/tiny/unet/v3")
    shutil.rmtree(project / "work")
    run = subprocess.Popen(command("--", V3), cwd=project, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for(lambda: any(is_training(job) for job in jobs_in(project)))
    finally:
        run.kill()
        run.wait()
    wait_for(lambda: not jobs_in(project))
    [checkpoint] = (project / "work").glob("unet-v3-*/checkpoint.safetensors")

    module = project / "facemill/segment/train_unet.py"
    module.write_text(f"{module.read_text()}\nCHANGED = 1\n")
    code, said = snakemake(project, "--", V3)
    assert code == 0, said
    assert f"the checkpoint in work/{checkpoint.parent.name} was made by other code; restarts from scratch" in said
    assert "resumes after step" not in said


def test_portraits_to_review_are_picked_up_when_they_are_labelled(project, tmp_path):
    code, said = snakemake(project, "--", "review", "label_quality")
    assert code == 0, said
    assert planned(project, "--", "review", "label_quality") == {}
    ranking = (project / "results/tiny/label_quality/ranking.csv").read_text().splitlines()
    assert len(ranking) == 1 + 16 and ranking[0].startswith("id,class,deviations,background,")
    review = project / "results/tiny/review/labelme"
    assert len(list(review.glob("*.json"))) == 3 and "hair_accessory" in (review / "labels.txt").read_text().split()

    labelled = shutil.copytree(project / "results/tiny/source/labelled", tmp_path / "labelled")
    source = f"source={{images: {project}/results/tiny/source/images, labelled: {labelled}}}"
    mine = ["--config", "dataset=mine", "kind=folder", FILTER, source, "--", "results/mine/labels/labels.html"]
    assert snakemake(project, *mine)[0] == 0 and planned(project, *mine) == {}
    shutil.copytree(review, labelled / "reviewed")
    assert planned(project, *mine) == {"convert_labels": 1}
    code, said = snakemake(project, *mine)
    assert code == 0 and "<h1>19 labelled portraits</h1>" in (project / "results/mine/labels/labels.html").read_text()


def test_another_folder_can_hold_the_results(finished, tmp_path):
    arguments = ["--snakefile", str(finished / "Snakefile"), "--directory", str(tmp_path)]
    assert planned(finished, *arguments)["train_unet"] == 3
    code, said = snakemake(finished, *arguments, "--", "results/tiny/source")
    assert code == 0 and (tmp_path / "results/tiny/source/metadata.jsonl").exists(), said


def test_dvc_knows_every_product_and_setting(finished):
    stages = yaml.safe_load((finished / "dvc.yaml").read_text())["stages"]
    outs = [next(iter(out)) for stage in stages.values() for out in stage["outs"]]
    assert all(next(iter(out.values())) == {"persist": True} for stage in stages.values() for out in stage["outs"])
    made = [path.relative_to(finished) for path in (finished / "results").rglob("*") if path.is_file()]
    made.remove(Path("results/tiny/config.yaml"))  # git has the settings of the sample
    owners = {str(path): [out for out in outs if path.is_relative_to(out)] for path in made}
    assert {path: owner for path, owner in owners.items() if len(owner) != 1} == {}

    targets = [target for stage in stages.values() for target in stage["cmd"].split(" -- ")[1].split()]
    assert planned(finished, "--", *targets) == {}
    config = yaml.safe_load((finished / "config/config.yaml").read_text())
    for stage in stages.values():
        for key in [key for params in stage["params"] for key in params.get("config/config.yaml", [])]:
            value = config
            for part in key.split("."):
                value = value[part]
        assert all(path in outs for path in stage["deps"])
