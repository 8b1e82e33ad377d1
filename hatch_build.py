"""Builds the generated stubs: proto/ → build/gen/attend/v1, and puts them into the wheel as the package `attend`."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
OUT = ROOT / "build" / "gen"


def _validate_descriptor(target: Path) -> None:
    """Write buf/validate/validate.proto's descriptor, which ships only inside the protovalidate package."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, descriptor_pb2  # type: ignore
    from protovalidate._gen.buf.validate import validate_pb

    raise NotImplementedError
