"""Goldens of `glassctl models convert`: small PyTorch files, and what torch reads from them as safetensors.

The tensors cover every element type that both formats have, views that are not contiguous, that share a storage or repeat
it, a parameter, a scalar and an empty tensor. `malicious.bin` is a file that would run a command if it were unpickled.

    python ci/reference/checkpoints.py        # writes pipeline/glassctl/tests/goldens/
"""

import collections
import os
import pathlib
import zipfile

import torch
from safetensors.torch import save_file

GOLDENS = pathlib.Path(__file__).resolve().parents[2] / "pipeline/glassctl/tests/goldens"

TYPES = {
    "f64": torch.float64, "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "i64": torch.int64,
    "i32": torch.int32, "i16": torch.int16, "i8": torch.int8, "u8": torch.uint8, "bool": torch.bool,
}


def tensors():
    generator = torch.Generator().manual_seed(7)
    values = torch.randn(4, 6, generator=generator) * 3
    table = collections.OrderedDict((f"types.{name}", values.to(kind)) for name, kind in TYPES.items())
    base = torch.randn(6, 8, generator=generator)
    table["views.whole"] = base
    table["views.same"] = base
    table["views.transposed"] = base.T
    table["views.rows"] = base[2:4]
    table["views.columns"] = base[:, 1:7:2]
    table["views.permuted"] = torch.randn(2, 3, 4, generator=generator).half().permute(2, 0, 1)
    table["views.expanded"] = torch.arange(3).expand(2, 3)
    table["scalar"] = torch.tensor(0.5, dtype=torch.bfloat16)
    table["empty"] = torch.zeros(0, 3)
    table["parameter"] = torch.nn.Parameter(torch.randn(3, generator=generator))
    return table


class RunsACommand:
    def __reduce__(self):
        return os.system, ("touch it-was-run",)


def repack_as_zip64(source, target):
    """The records that archives beyond 4 GB have, in a small one."""
    zipfile.ZIP64_LIMIT, zipfile.ZIP_FILECOUNT_LIMIT = 16, 2
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))


def expected(table, path):
    save_file({name: value.detach().contiguous().clone() for name, value in table.items()}, path)


def main():
    GOLDENS.mkdir(parents=True, exist_ok=True)
    table = tensors()
    torch.save(table, GOLDENS / "zip.bin")
    torch.save(table, GOLDENS / "protocol4.bin", pickle_protocol=4)
    torch.save(table, GOLDENS / "legacy.bin", _use_new_zipfile_serialization=False)
    expected(torch.load(GOLDENS / "zip.bin", weights_only=True), GOLDENS / "expected.safetensors")

    # A state dictionary as a module gives it carries attributes, and a training checkpoint has more in it.
    torch.manual_seed(8)
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.randn(5, 3)).square().sum().backward()
    optimizer.step()
    state = module.state_dict()
    torch.save({"epoch": 3, "loss": 0.5, "state_dict": state, "optimizer": optimizer.state_dict()}, GOLDENS / "training.ckpt")
    expected(state, GOLDENS / "training.safetensors")

    repack_as_zip64(GOLDENS / "zip.bin", GOLDENS / "zip64.bin")
    torch.save({"weight": torch.zeros(2), "note": RunsACommand()}, GOLDENS / "malicious.bin")


if __name__ == "__main__":
    main()
