"""Photos: cropped as the collection's portraits, masked by the U-Net, and the portraits of `review`."""

import io
from dataclasses import replace

import numpy as np
import pytest
from helpers.bombs import bomb
from helpers.faces import faces_at, write_cascade
from helpers.scenes import ColorUnet
from helpers.studio_models import draw_mask, draw_portrait, write_results
from PIL import Image

from facemill.config.ingest import DetectorConfig
from facemill.data.shards import decode_mask, encode_jpeg
from facemill.errors import UserError
from facemill.inference.painter import Painter
from facemill.inference.segmenter import Segmenter
from facemill.ingest.portraits import crop
from facemill.networks.store import load_model, save_model
from facemill.networks.vae import Vae
from facemill.segment.predict_masks import predict_masks
from facemill.studio.painting import Studio
from facemill.studio.paths import find_paths
from facemill.studio.photos import MOST_PHOTOS, Cropper, Photos, segment, without_specks
from facemill.studio.settings import Settings
from facemill.synthesize.generate_portraits import read_style

HAIR = "#863dc6"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("results"))


@pytest.fixture
def studio(results):
    paths = find_paths(results)
    painter = Painter.load(paths.model, style_encoder=paths.model / "style_encoder.safetensors")
    return Studio(painter, paths, segmenter=Segmenter.load(paths.unet), settings=Settings.load(paths.config))


def png(pixels: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return buffer.getvalue()


def landscape(width: int = 300) -> np.ndarray:
    """A portrait with gray bars at its left and right."""
    pixels = np.full((200, width, 3), 128, np.uint8)
    left = (width - 200) // 2
    pixels[:, left : left + 200] = draw_portrait(draw_mask(3, 200), HAIR)
    return pixels


def test_a_turned_photo_is_upright_cropped_and_masked_as_by_predict_masks(studio, tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    photo_file, buffer = tmp_path / "photo.jpg", io.BytesIO()
    Image.fromarray(np.rot90(landscape()).copy()).save(buffer, "JPEG", quality=95, exif=turned)
    photo_file.write_bytes(buffer.getvalue())
    photo = Photos(studio).add(buffer.getvalue(), "photo.jpg")
    assert photo.picture.shape == (200, 200, 3)
    assert np.abs(photo.picture.astype(int) - landscape()[:, 50:250]).mean() < 3
    (tmp_path / "cropped").mkdir()
    (tmp_path / "cropped/a.png").write_bytes(png(photo.picture))
    predict_masks(model=studio.paths.unet, images=tmp_path / "cropped", out=tmp_path / "masks")
    assert (photo.mask == decode_mask((tmp_path / "masks/a.png").read_bytes(), studio.classes)).all()
    assert (photo.mask == draw_mask(3, 200)).mean() > 0.98
    assert photo.z == read_style(photo_file, studio.painter)[0].tolist()


def test_large_photos_are_reduced_and_small_ones_are_left(studio):
    photos = Photos(studio)
    large, small = encode_jpeg(np.full((1500, 2400, 3), 90, np.uint8)), png(np.full((5, 3, 3), 90, np.uint8))
    assert photos.add(large, "a").picture.shape == (1024, 1024, 3)
    assert photos.add(small, "b").mask.shape == (3, 3)


@pytest.mark.parametrize(("place", "top"), [("middle", 50), ("top", 0)])
def test_portraits_are_cropped_where_the_settings_say(place, top):
    pixels = np.random.default_rng(0).integers(0, 256, (200, 100, 3), np.uint8)
    found = Cropper((64, 64), 1, place).place(png(pixels))
    assert found.size == (100, 100)
    assert (crop(png(pixels), found.box, *found.size, found.centering)[0] == pixels[top : top + 100]).all()


def test_portraits_have_the_collections_shape():
    wide, tall = (png(np.zeros((*size, 3), np.uint8)) for size in ((200, 500), (3000, 900)))
    assert Cropper((64, 128), 2).place(wide).size == (100, 200)
    assert Cropper((64, 128), 2).place(tall).size == (512, 1024)


def test_portraits_of_faces_are_cropped_around_the_largest(tmp_path):
    detector = DetectorConfig(kind="cascade", cascade=write_cascade(tmp_path), min_face=40)
    content = png(faces_at((40, 60, 80), (250, 100, 120)))
    found = Cropper((64, 64), 1, "middle", detector).place(content)
    assert found.box.left < 310 / 400 < found.box.right
    assert found.box.left > 80 / 400
    assert found.size[0] == found.size[1] == round((found.box.right - found.box.left) * 400)
    assert Cropper((64, 64), 1, "middle", detector).place(png(faces_at())).box is None
    at_face = Cropper((64, 64), 1, "face", detector).place(content)
    assert (at_face.box, at_face.size) == (None, (300, 300))
    assert at_face.centering[0] > 0.8
    as_it_is = Cropper((400, 300), 0.75, "middle", detector).place(content)
    assert (as_it_is.box, as_it_is.size) == (None, (400, 300))


def test_a_detector_that_is_not_there_takes_no_photo_away(tmp_path, caplog):
    cropper = Cropper((64, 64), 1, "face", DetectorConfig(kind="cascade", cascade=tmp_path / "none.xml"))
    assert "photos are cropped without a detector: portraits.detector.cascade" in caplog.text
    assert cropper.place(png(np.zeros((200, 100, 3), np.uint8))).centering == (0.5, 0)


def test_settings_of_the_run_come_before_those_of_the_model_and_these_before_none(studio, tmp_path):
    content = png(np.zeros((200, 100, 3), np.uint8))
    assert Photos(studio).cropper.place(content).centering == (0.5, 0.5)
    portraits = studio.settings.portraits
    studio.settings.portraits = portraits.model_copy(update={"crop": "top", "ratio": 2})
    assert Photos(studio).cropper.place(content).size == (100, 200)
    studio.settings.portraits = None
    arguments = {"size": 64, "z_dim": 8, "ngf": 4, "nhidden": 8, "classes": 7, "z": "encoder"}
    save_model(tmp_path / "model.safetensors", studio.painter.generator, arguments, {"crop": "top"}, studio.classes)
    studio.paths = replace(studio.paths, model=tmp_path)
    place = Photos(studio).cropper.place(content)
    assert (place.size, place.centering) == ((100, 100), (0.5, 0))


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("notes.txt", b"no image", r"notes.txt: cannot be read \(cannot identify image file\)"),
        ("C:\\a\\b.png", png(landscape())[:999], r"b.png: cannot be read \("),
        ("../bomb.png", bomb(), r"bomb.png: .*decompression bomb"),
        ("", b"", r"photo: cannot be read \("),
    ],
)
def test_what_is_no_picture_is_refused_in_one_sentence(studio, name, content, fault):
    with pytest.raises(UserError, match=f"^{fault}") as caught:
        Photos(studio).add(content, name)
    assert "\n" not in str(caught.value)


def test_a_photo_is_unsure_where_classes_are_as_likely(studio):
    colors = np.array(studio.classes.colors)
    picture = np.empty((96, 60, 3), np.uint8)
    picture[:, :30], picture[:, 30:] = colors[5], (colors[5] + colors[6]) // 2
    unsure = segment(Segmenter(ColorUnet(64), studio.classes), picture)[1]
    assert unsure.shape == (96, 60)
    assert unsure[:, :25].max() < 20
    half = 255 * np.log(2) / np.log(7)  # of two classes as likely among seven
    assert abs(unsure[:, 35:].astype(float) - half).max() < 25
    undecided = ColorUnet(64)
    undecided.colors.data.zero_()
    assert (segment(Segmenter(undecided, studio.classes), landscape())[1] == 255).all()


def test_the_last_photos_are_in_memory(studio):
    photos = Photos(studio)
    ids = [photos.add(png(np.full((9, 9, 3), shade, np.uint8)), f"{shade}.png").id for shade in range(MOST_PHOTOS + 1)]
    assert [photos.get(number).name for number in ids[1:]] == [f"{shade}.png" for shade in range(1, MOST_PHOTOS + 1)]
    with pytest.raises(UserError, match=f"photo {ids[0]} is not in memory"):
        photos.get(ids[0])


def test_without_models_a_photo_is_background_without_a_style(studio):
    studio.segmenter = studio.painter.encoder = None
    photo = Photos(studio).add(png(landscape()), "a.png")
    assert (photo.mask.max(), photo.unsure, photo.z) == (0, None, None)


def test_a_style_that_is_no_number_is_refused(studio):
    studio.painter.encoder.mean.bias.data[0] = np.nan
    with pytest.raises(UserError, match="the style encoder returned no style"):
        Photos(studio).add(png(landscape()), "a.png")


def test_portraits_of_review_come_with_their_masks(studio, results):
    photos = Photos(studio)
    assert [path.stem for path in studio.review] == ["1004", "1005", "1006"]
    photo = photos.review(1)
    assert (photo.stem, photo.name) == ("1005", "1005")
    assert (photo.mask == draw_mask(5)).mean() > 0.995
    assert photo.unsure.shape == photo.mask.shape
    encoder = Painter(
        studio.painter.generator, studio.classes, load_model(Vae, results / "gaugan/style_encoder.safetensors")
    )
    assert photo.z == read_style(results / "review/labelme/1005.jpg", encoder)[0].tolist()
    for number in (-1, 3):
        with pytest.raises(UserError, match=f"no portrait {number} to review; there are 3"):
            photos.review(number)


def test_a_damaged_file_of_review_is_named(studio, tmp_path):
    (tmp_path / "7.json").write_text('{"shapes": [')
    studio.review = [tmp_path / "7.json"]
    with pytest.raises(UserError, match=r"^7.json: not a labelme file"):
        Photos(studio).review(0)
    studio.review = []
    with pytest.raises(UserError, match="there are 0"):
        Photos(studio).review(0)


def test_specks_are_filled_as_review_does():
    mask = np.zeros((128, 128), np.uint8)
    mask[:, 64:] = 5
    expected = mask.copy()
    mask[10, 10:13] = 3
    assert (without_specks(mask) == expected).all()
    mask[40:42, 100:102] = expected[40:42, 100:102] = 4
    assert (without_specks(mask) == expected).all()
