"""CelebA's attributes. https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"""

from pathlib import Path

from facemill.command import progress
from facemill.errors import BadInput
from facemill.ingest.posts import Collection, images_by_id


def read_celeba(attributes: Path, images: Path, max_broken: float) -> Collection:
    """The images of `list_attr_celeba.txt` that are there, their true attributes as tags.

    The file holds a count, the names of the attributes, then a line an image with its name and 1 or -1 for each.
    Raises `BadInput` when it has no such form, or more than the share `max_broken` of its lines is broken.
    """
    lines = attributes.read_text(errors="replace").splitlines()
    names = lines[1].split() if len(lines) > 1 else []
    if not names or not lines[0].strip().isdecimal():
        raise BadInput(f"{attributes}: not CelebA's attributes; accepted: a count, then a line with the names")
    collection = Collection()
    files = images_by_id(images, collection)
    named: set[str] = set()
    for number, line in enumerate(progress(lines[2:], "reading attributes", len(lines) - 2), 3):
        file, *values = line.split() or [""]
        if len(values) != len(names) or not {"1", "-1"}.issuperset(values):
            collection.reject_broken(attributes, number, f"accepted: a file name and {len(names)} values of 1 or -1")
            continue
        id = Path(file).stem
        named.add(id)
        if id in files:
            collection.add_file(id, files[id], [n for n, value in zip(names, values, strict=True) if value == "1"])
        else:
            collection.reject(attributes, "no image file with this id", number, id)
    collection.check_broken(len(lines) - 2, max_broken)
    collection.reject_unnamed(files, named)
    return collection
