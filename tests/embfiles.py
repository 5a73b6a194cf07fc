"""Files of embeddings as other programs write them, for the tests: what numpy
cannot write is laid out here from the formats' own descriptions. Nothing of
torch is needed: its pickles are made by Python's pickle with stand-ins."""
import collections
import gzip
import io
import json
import pickle
import struct
import sys
import tarfile
import types
import zipfile

import numpy as np

STORAGES = {"<f4": "Float", "<f8": "Double", "<f2": "Half", "<i8": "Long", "<i4": "Int", "<i2": "Short",
            "|i1": "Char", "|u1": "Byte", "|b1": "Bool", "bf16": "BFloat16"}


def bf16(a):
    """The upper halves of float32."""
    return (np.asarray(a, "<f4").view("<u4") >> 16).astype("<u2")


def widened(a):
    return (np.asarray(a, "<u4") << 16).view("<f4")


class Storage:
    def __init__(self, data, dtype=None):
        self.data = np.asarray(data).ravel()
        self.type = STORAGES[dtype or self.data.dtype.str]


class Tensor:
    """shape and stride in elements, on a storage that several may share."""

    def __init__(self, storage, shape, stride=None, offset=0, parameter=False):
        if not isinstance(storage, Storage):
            storage = Storage(storage)
        if stride is None:
            stride = [int(np.prod(shape[i + 1:])) for i in range(len(shape))]
        self.args = storage, offset, tuple(shape), tuple(stride), False, collections.OrderedDict()
        self.parameter = parameter


def tensor(a, **more):
    """An array as it lies in memory: a transposed one keeps its strides."""
    a = np.asarray(a)
    if a.ndim == 2 and a.flags.f_contiguous and not a.flags.c_contiguous:
        return Tensor(a.ravel("K"), a.shape, [s // a.itemsize for s in a.strides], **more)
    return Tensor(a, a.shape, **more)


def _stand_in(name):
    module, _, name = name.rpartition(".")
    f = types.FunctionType((lambda *a: None).__code__, {}, name)
    f.__module__, f.__qualname__ = module, name
    for i, part in enumerate(module.split(".")):
        whole = ".".join(module.split(".")[:i + 1])
        sys.modules.setdefault(whole, types.ModuleType(whole))
    setattr(sys.modules[module], name, f)
    return f


REBUILD = _stand_in("torch._utils._rebuild_tensor_v2")
PARAMETER = _stand_in("torch._utils._rebuild_parameter")
TYPES = {t: _stand_in(f"torch.{t}Storage") for t in STORAGES.values()}


class _Pickler(pickle.Pickler):
    def __init__(self, f, protocol, legacy):
        super().__init__(f, protocol)
        self.storages, self.legacy = [], legacy

    def persistent_id(self, obj):
        if not isinstance(obj, Storage):
            return None
        if obj not in self.storages:
            self.storages.append(obj)
        key = str(self.storages.index(obj))
        return ("storage", TYPES[obj.type], key, "cpu", obj.data.size) + ((None,) if self.legacy else ())

    def reducer_override(self, obj):
        if not isinstance(obj, Tensor):
            return NotImplemented
        if obj.parameter:
            plain = Tensor(obj.args[0], obj.args[2], obj.args[3], obj.args[1])
            return PARAMETER, (plain, True, collections.OrderedDict())
        return REBUILD, obj.args


def _pickled(obj, protocol=2, legacy=False):
    f = io.BytesIO()
    p = _Pickler(f, protocol, legacy)
    p.dump(obj)
    return f.getvalue(), p.storages


def save_pt(path, obj, protocol=2, preface=b"", method=zipfile.ZIP_STORED):
    """As torch.save writes since 1.6; preface: bytes in front."""
    text, storages = _pickled(obj, protocol)
    f = io.BytesIO()
    with zipfile.ZipFile(f, "w", method) as z:
        z.writestr("archive/data.pkl", text)
        z.writestr("archive/byteorder", b"little")
        for i, s in enumerate(storages):
            z.writestr(f"archive/data/{i}", s.data.tobytes())
        z.writestr("archive/version", b"3\n")
    with open(path, "wb") as to:
        to.write(preface + f.getvalue())


def save_pt_legacy(path, obj):
    """As torch.save wrote before 1.6."""
    text, storages = _pickled(obj, legacy=True)
    with open(path, "wb") as f:
        pickle.dump(0x1950a86a20f9469cfc6c, f, 2)
        pickle.dump(1001, f, 2)
        pickle.dump({"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}, f, 2)
        f.write(text)
        pickle.dump([str(i) for i in range(len(storages))], f, 2)
        for s in storages:
            f.write(struct.pack("<q", s.data.size) + s.data.tobytes())


def save_safetensors(path, tensors):
    """name -> (dtype as the format calls it, array)"""
    header, at = {}, 0
    for name, (dtype, a) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(a.shape), "data_offsets": [at, at + a.nbytes]}
        at += a.nbytes
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for _, a in tensors.values():
            f.write(a.tobytes())


def save_vecs(path, a):
    with open(path, "wb") as f:
        for row in a:
            f.write(struct.pack("<i", len(row)) + row.tobytes())


def npy_bytes(a):
    f = io.BytesIO()
    np.save(f, a)
    return f.getvalue()


def save_tar(path, members, format=tarfile.USTAR_FORMAT):
    with tarfile.open(path, "w", format=format) as t:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))


def text(v):
    """Decimals that read back as the same float32."""
    return repr(float(v))
