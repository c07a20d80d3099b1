#!/usr/bin/env python3
"""Makes images without a daemon: what docker, skopeo and `ctr images import` read.

mkimage.py layer FOLDER LAYER.tar
    Packs a folder as a layer. Equal content gives equal bytes: owners are root, times are zero, names are sorted.

mkimage.py image OUT.tar --tag NAME:TAG… [options] LAYER.tar…
    Puts layers together, the first at the bottom.
"""

import argparse
import hashlib
import io
import json
import os
import platform
import sys
import tarfile

EPOCH = "1970-01-01T00:00:00Z"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def timeless(entry):
    entry.mtime = 0
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def layer(arguments):
    with replacing(arguments.out) as part, tarfile.open(fileobj=part, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(os.listdir(arguments.folder)):
            archive.add(os.path.join(arguments.folder, name), name, filter=timeless)


class replacing:
    """A file that gets its name only when it is complete."""

    def __init__(self, path):
        self.path = path
        self.part = f"{path}.{os.getpid()}.part"

    def __enter__(self):
        self.file = open(self.part, "wb")
        return self.file

    def __exit__(self, kind, *_):
        self.file.close()
        if kind is None:
            os.replace(self.part, self.path)
        else:
            os.unlink(self.part)


def digest(path):
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            found.update(part)
    return found.hexdigest()


def configuration(arguments, digests):
    container = {
        "Env": [PATH, *arguments.env],
        "Entrypoint": arguments.entrypoint,
        "Cmd": arguments.command,
        "User": arguments.user,
        "WorkingDir": arguments.workdir,
        "ExposedPorts": {f"{port}/tcp": {} for port in arguments.port},
    }
    return {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": EPOCH,
        "config": {key: value for key, value in container.items() if value},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{one}" for one in digests]},
        "history": [{"created": EPOCH, "created_by": "mkimage.py"} for _ in digests],
    }


def image(arguments):
    digests = [digest(path) for path in arguments.layers]
    config = json.dumps(configuration(arguments, digests), sort_keys=True).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    names = [f"{one}/layer.tar" for one in digests]
    manifest = json.dumps([{"Config": config_name, "RepoTags": arguments.tag, "Layers": names}]).encode()
    with replacing(arguments.out) as part, tarfile.open(fileobj=part, mode="w") as archive:
        for name, path in dict(zip(names, arguments.layers)).items():
            with open(path, "rb") as file:
                entry = tarfile.TarInfo(name)
                entry.size = os.fstat(file.fileno()).st_size
                archive.addfile(entry, file)
        for name, content in ((config_name, config), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("layer")
    one.set_defaults(run=layer)
    one.add_argument("folder")
    one.add_argument("out")
    one = commands.add_parser("image")
    one.set_defaults(run=image)
    one.add_argument("out")
    one.add_argument("--tag", action="append", required=True)
    one.add_argument("--entrypoint", type=json.loads, help="a JSON array")
    one.add_argument("--command", type=json.loads, help="a JSON array")
    one.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    one.add_argument("--user")
    one.add_argument("--workdir")
    one.add_argument("--port", type=int, action="append", default=[], help="that it listens on")
    one.add_argument("layers", nargs="+", metavar="LAYER.tar")
    arguments = parser.parse_args()
    try:
        arguments.run(arguments)
    except OSError as error:
        sys.exit(f"mkimage.py: {error}")


main()
