# ROOT: the folder that holds the library and the scripts.
import os
import subprocess
import tempfile
from pathlib import Path


def checkout(basedir):
    """The folder above; of a module from a Git host, where Snakemake reads single files, a copy of the repository.

    The copy's path is the same for all revisions, since rules' commands hold it.
    """
    if basedir.is_local and not hasattr(basedir, "ref"):
        return Path(os.path.relpath(basedir)).parent
    repository = basedir.repo_path if basedir.is_local else basedir.hosted_repo.repo.git_dir
    git = ["git", "-C", str(repository)]
    revision = subprocess.run(
        [*git, "rev-parse", f"{basedir.ref}^{{commit}}"], check=True, capture_output=True, text=True
    )
    folder = Path(".snakemake/facemill", revision.stdout.strip())
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as tmp:
        if not folder.exists():
            copy = Path(tmp, "copy")
            subprocess.run(["git", "clone", "--quiet", "--no-checkout", repository, copy], check=True)
            subprocess.run(["git", "-C", copy, "checkout", "--quiet", folder.name], check=True)
            copy.rename(folder)
        Path(tmp, "current").symlink_to(folder.name)
        return Path(tmp, "current").replace(folder.with_name("current"))


ROOT = checkout(workflow.current_basedir)
