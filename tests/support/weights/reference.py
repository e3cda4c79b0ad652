#!/usr/bin/env python3
"""torchvision's DenseNet201 as an independent reference for `scopenode weights verify`.

usage: reference.py formula FOLDER   weights by the formula of networks.cpp (formula_value), image by formula_pixel
       reference.py random FOLDER    random weights of torchvision's own, a random image
       reference.py compare FOLDER   features.safetensors of the program against expected.safetensors

The first two write weights.safetensors, image.safetensors and expected.safetensors; needs torch and torchvision.
`formula` prints the figures that tests/integration/weights_test.cpp keeps for machines without them.
"""
import json
import os
import struct
import sys

import numpy


def save(path, tensors):
    header, offset = {}, 0
    for name, value in tensors.items():
        dtype = {"float32": "F32", "int64": "I64"}[str(value.dtype)]
        header[name] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": [offset, offset + value.nbytes]}
        offset += value.nbytes
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for value in tensors.values():
            file.write(numpy.ascontiguousarray(value).tobytes())


def load(path):
    with open(path, "rb") as file:
        data = file.read()
    length = struct.unpack("<Q", data[:8])[0]
    out = {}
    for name, entry in json.loads(data[8:8 + length]).items():
        begin, end = entry["data_offsets"]
        out[name] = numpy.frombuffer(data[8 + length + begin:8 + length + end], "<f4").reshape(entry["shape"])
    return out


def uniform(x):
    x = x.astype(numpy.uint32)
    x ^= x >> numpy.uint32(16)
    x *= numpy.uint32(0x7FEB352D)
    x ^= x >> numpy.uint32(15)
    x *= numpy.uint32(0x846CA68B)
    x ^= x >> numpy.uint32(16)
    return (x >> numpy.uint32(8)).astype(numpy.float64) / (1 << 24)


def formula(name, shape):
    seed = 2166136261
    for c in name.encode():
        seed = ((seed ^ c) * 16777619) & 0xFFFFFFFF
    count = int(numpy.prod(shape))
    u = uniform((numpy.arange(count, dtype=numpy.uint64) + seed) & 0xFFFFFFFF).reshape(shape)
    if len(shape) == 4:
        return ((2 * u - 1) * numpy.sqrt(6 / numpy.prod(shape[1:]))).astype(numpy.float32)
    if name.endswith(".running_var"):
        return (0.8 + 0.4 * u).astype(numpy.float32)
    if name.endswith(".weight"):
        return (0.9 + 0.2 * u).astype(numpy.float32)
    return (0.1 * (2 * u - 1)).astype(numpy.float32)


def make(folder, by_formula):
    import torch
    import torchvision
    torch.manual_seed(7)
    torch.set_num_threads(1)
    network = torchvision.models.densenet201(weights=None).eval()
    state = network.state_dict()
    if by_formula:
        state = {k: torch.from_numpy(formula(k, tuple(v.shape))) if v.dtype == torch.float32 else v
                 for k, v in state.items()}
        image = uniform(numpy.arange(3 * 64 * 64)).reshape(1, 3, 64, 64).astype(numpy.float32)
    else:
        # Statistics as after training, not zero and one.
        for name, value in state.items():
            if name.endswith("running_mean"):
                value.normal_(0, 0.1)
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
        image = torch.rand(2, 3, 96, 64).numpy()
    network.load_state_dict(state)
    save(os.path.join(folder, "weights.safetensors"), {k: v.numpy() for k, v in state.items()})
    save(os.path.join(folder, "image.safetensors"), {"image": image})
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    with torch.no_grad():
        features = torch.relu(network.features((torch.from_numpy(image) - mean) / deviation)).numpy()
    save(os.path.join(folder, "expected.safetensors"), {"features": features})
    flat = features.ravel().astype(numpy.float64)
    print("shape", "x".join(map(str, features.shape)))
    print("mean %.9g square %.9g max %.9g" % (flat.mean(), (flat ** 2).mean(), flat.max()))
    print("values", ", ".join("%.9g" % flat[i] for i in range(0, flat.size, flat.size // 8)))


def compare(folder):
    ours = load(os.path.join(folder, "features.safetensors"))["features"].astype(numpy.float64)
    expected = load(os.path.join(folder, "expected.safetensors"))["features"].astype(numpy.float64)
    if ours.shape != expected.shape:
        sys.exit("shapes differ: %s and %s" % (ours.shape, expected.shape))
    relative = numpy.abs(ours - expected).max() / numpy.abs(expected).max()
    print("largest relative difference %.3g" % relative)
    sys.exit(0 if relative < 1e-5 else 1)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("formula", "random", "compare"):
        sys.exit(__doc__)
    if sys.argv[1] == "compare":
        compare(sys.argv[2])
    make(sys.argv[2], sys.argv[1] == "formula")
