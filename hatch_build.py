"""Builds the generated stubs: proto/ → build/gen, and puts them into the wheel as the packages `attend` and `buf`.

Run it by hand (`python hatch_build.py`) after a change in proto/; the wheel's build runs it by itself.
"""

import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).resolve().parent
GEN = Path("build") / "gen"
VALIDATE = "buf/validate/validate.proto"


def _write_validate_descriptor(target: Path) -> None:
    """Write the descriptor of validate.proto, which the protovalidate package carries but does not ship as a file."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
    from protovalidate._gen.buf.validate import validate_pb

    google = files("grpc_tools") / "_proto"
    needed = FileDescriptorSet()
    scratch = target.with_suffix(".wkt")
    proto = FileDescriptorProto.FromString(validate_pb.desc().proto.to_binary())
    _protoc(f"-I{google}", f"--descriptor_set_out={scratch}", "--include_imports", *proto.dependency)
    needed.ParseFromString(scratch.read_bytes())
    scratch.unlink()
    needed.file.append(proto)
    target.write_bytes(needed.SerializeToString())


def _protoc(*arguments: str) -> None:
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", "grpc_tools.protoc", *arguments]
    subprocess.run(command, check=True, env={**os.environ, "PATH": search})


def generate(root: Path = ROOT) -> dict[str, str]:
    """Generate every stub under build/gen and return {absolute path: path inside the wheel}."""
    out = root / GEN
    out.mkdir(parents=True, exist_ok=True)
    validate = root / "build" / "validate.binpb"
    _write_validate_descriptor(validate)
    sources = sorted(str(p.relative_to(root / "proto")) for p in (root / "proto").rglob("*.proto"))
    search = [f"-I{root / 'proto'}", f"--descriptor_set_in={validate}"]
    _protoc(f"--descriptor_set_in={validate}", f"--python_out={out}", f"--mypy_out=quiet:{out}", VALIDATE)
    google = f"-I{files('grpc_tools') / '_proto'}"
    _protoc(
        *search,
        google,
        f"--python_out={out}",
        f"--mypy_out=quiet:{out}",
        f"--grpc_python_out={out}",
        f"--mypy_grpc_out=quiet:{out}",
        *sources,
    )
    _protoc(*search, google, f"--connectrpc_out={out}", "--connectrpc_opt=protobuf=google", *sources)
    _protoc(
        *search,
        google,
        f"--descriptor_set_out={root / 'build' / 'attend.binpb'}",
        "--include_imports",
        "--include_source_info",
        *sources,
    )
    for package in {path.parent for path in out.rglob("*_pb2.py")}:
        for level in (package, *package.parents):
            if level == out:
                break
            (level / "__init__.py").touch()
            (level / "py.typed").touch()
    return {
        str(p): str(p.relative_to(out))
        for p in sorted(out.rglob("*"))
        if p.suffix in {".py", ".pyi", ".typed"}
    }


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by hand in an environment without the build backend
    pass
else:

    class StubsBuildHook(BuildHookInterface):  # type: ignore[type-arg]
        """Hatchling's hook: generate, then include unless the install is editable (which sees build/gen itself)."""

        def initialize(self, version: str, build_data: dict[str, object]) -> None:
            made = generate(Path(self.root))
            if version != "editable":
                include = build_data["force_include"]
                assert isinstance(include, dict)
                include.update(made)


if __name__ == "__main__":
    print(f"generated {len(generate())} files under {GEN}")
