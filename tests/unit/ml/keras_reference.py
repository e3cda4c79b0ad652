#!/usr/bin/env python3
"""The four CNNs of Keras Applications and the attention of the paper (Eq. 1 and 2) in plain numpy, channels last, with
TensorFlow's padding: a reference that shares no code with the program.

usage: keras_reference.py NAME IN.safetensors OUT.safetensors
  NAME  xception | efficientnet_b5 | resnet152v2 | densenet201: weights by Keras' layer names and `image` -> `features`
        attention: x, qkv, out, out_bias[, mix, mix_bias, gamma, beta, mean, var, scale], heads -> y
"""
import json
import struct
import sys

import numpy as np


def read(path):
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        head, data = json.loads(file.read(size)), file.read()
    return {name: np.frombuffer(data[t["data_offsets"][0]:t["data_offsets"][1]], "<f4").reshape(t["shape"]).astype(float)
            for name, t in head.items() if name != "__metadata__"}


def write(path, name, values):
    values = np.ascontiguousarray(values, "<f4")
    head = json.dumps({name: {"dtype": "F32", "shape": values.shape, "data_offsets": [0, values.nbytes]}}).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head + values.tobytes())


def pad_same(x, k, s, value):
    widths = [(0, 0)]
    for n in x.shape[1:3]:
        total = max((-(-n // s) - 1) * s + k - n, 0)
        widths.append((total // 2, total - total // 2))
    return np.pad(x, widths + [(0, 0)], constant_values=value)


def windows(x, k, s):
    view = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(1, 2))
    return view[:, ::s, ::s]  # n, y, x, channel, ky, kx


def zeros(x, n):
    return np.pad(x, [(0, 0), (n, n), (n, n), (0, 0)])


def relu(x):
    return np.maximum(x, 0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def swish(x):
    return x * sigmoid(x)


class Net:
    def __init__(self, weights, eps):
        self.w, self.eps = weights, eps

    def conv(self, x, name, s=1, same=True):
        w = self.w[name + ".weight"]  # O I ky kx
        k = w.shape[2]
        y = np.einsum("nyxcij,ocij->nyxo", windows(pad_same(x, k, s, 0) if same else x, k, s), w, optimize=True)
        return y + self.w[name + ".bias"] if name + ".bias" in self.w else y

    def depthwise(self, x, name, s=1):
        w = self.w[name + ".weight"]  # C 1 ky kx
        k = w.shape[2]
        return np.einsum("nyxcij,cij->nyxc", windows(pad_same(x, k, s, 0), k, s), w[:, 0], optimize=True)

    def bn(self, x, name):
        w = self.w
        return (x - w[name + ".running_mean"]) / np.sqrt(w[name + ".running_var"] + self.eps) * w[name + ".weight"] + w[
            name + ".bias"]

    def separable(self, x, name):
        return self.bn(self.conv(self.depthwise(x, name + ".depthwise"), name + ".pointwise"), name + "_bn")


def max_pool(x, k, s, same):
    return windows(pad_same(x, k, s, -np.inf) if same else x, k, s).max((4, 5))


def xception(w, x):
    n = Net(w, 1e-3)
    x = x * 2 - 1
    x = relu(n.bn(n.conv(x, "block1_conv1", 2, same=False), "block1_conv1_bn"))
    x = relu(n.bn(n.conv(x, "block1_conv2", 1, same=False), "block1_conv2_bn"))
    for b in (2, 3, 4, 13):
        if b == 13:
            for m in range(5, 13):
                y = x
                for i in (1, 2, 3):
                    y = n.separable(relu(y), f"block{m}_sepconv{i}")
                x = x + y
        skip = n.bn(n.conv(x, f"block{b}_skip", 2), f"block{b}_skip_bn")
        y = n.separable(x if b == 2 else relu(x), f"block{b}_sepconv1")
        y = n.separable(relu(y), f"block{b}_sepconv2")
        x = max_pool(y, 3, 2, True) + skip
    x = relu(n.separable(x, "block14_sepconv1"))
    return relu(n.separable(x, "block14_sepconv2"))


def imagenet(x):
    return (x - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]


def efficientnet_b5(w, x):
    n = Net(w, 1e-3)
    x = swish(n.bn(n.conv(imagenet(x), "stem_conv", 2), "stem_bn"))
    stages = [(1, 3), (2, 5), (2, 5), (2, 7), (1, 7), (2, 9), (1, 3)]
    for stage, (stride, repeats) in enumerate(stages, 1):
        for r in range(repeats):
            name = f"block{stage}{chr(97 + r)}_"
            y = x
            if name + "expand_conv.weight" in w:
                y = swish(n.bn(n.conv(y, name + "expand_conv"), name + "expand_bn"))
            y = swish(n.bn(n.depthwise(y, name + "dwconv", stride if r == 0 else 1), name + "bn"))
            gate = swish(n.conv(y.mean((1, 2), keepdims=True), name + "se_reduce"))
            y = y * sigmoid(n.conv(gate, name + "se_expand"))
            y = n.bn(n.conv(y, name + "project_conv"), name + "project_bn")
            x = x + y if r > 0 else y
    return swish(n.bn(n.conv(x, "top_conv"), "top_bn"))


def resnet152v2(w, x):
    n = Net(w, 1.001e-5)
    x = n.conv(zeros(x * 2 - 1, 3), "conv1_conv", 2, same=False)
    x = max_pool(zeros(x, 1), 3, 2, False)
    for stack, blocks in enumerate((3, 8, 36, 3), 2):
        for b in range(1, blocks + 1):
            name, s = f"conv{stack}_block{b}_", 2 if b == blocks and stack < 5 else 1
            active = relu(n.bn(x, name + "preact_bn"))
            skip = n.conv(active, name + "0_conv", s) if b == 1 else x[:, ::s, ::s]
            y = relu(n.bn(n.conv(active, name + "1_conv"), name + "1_bn"))
            y = relu(n.bn(n.conv(zeros(y, 1), name + "2_conv", s, same=False), name + "2_bn"))
            x = skip + n.conv(y, name + "3_conv")
    return relu(n.bn(x, "post_bn"))


def densenet201(w, x):
    n = Net(w, 1.001e-5)
    x = relu(n.bn(n.conv(zeros(imagenet(x), 3), "conv1_conv", 2, same=False), "conv1_bn"))
    x = max_pool(zeros(x, 1), 3, 2, False)
    for block, layers in enumerate((6, 12, 48, 32), 2):
        for layer in range(1, layers + 1):
            name = f"conv{block}_block{layer}_"
            y = n.conv(relu(n.bn(x, name + "0_bn")), name + "1_conv")
            x = np.concatenate([x, n.conv(relu(n.bn(y, name + "1_bn")), name + "2_conv")], 3)
        if block < 5:
            x = n.conv(relu(n.bn(x, f"pool{block}_bn")), f"pool{block}_conv")
            x = windows(x, 2, 2).mean((4, 5))
    return relu(n.bn(x, "bn"))


def attention(t):
    """Eq. 1: softmax(q k^T / sqrt(d)) v; Eq. 2: norm(M^T softmax(...)) v, M over heads."""
    heads = int(t["heads"][0])
    x = t["x"]
    batch, tokens, _ = x.shape
    q, k, v = np.split(x @ t["qkv"].T, 3, axis=2)
    q, k, v = (a.reshape(batch, tokens, heads, -1).transpose(0, 2, 1, 3) for a in (q, k, v))
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[3])
    maps = np.exp(scores - scores.max(3, keepdims=True))
    maps /= maps.sum(3, keepdims=True)
    if "mix" in t:
        maps = np.einsum("bhij,hg->bgij", maps * t["scale"][0], t["mix"]) + t["mix_bias"][None, :, None, None]
        shaped = {key: t[key][None, :, None, None] for key in ("gamma", "beta", "mean", "var")}
        maps = (maps - shaped["mean"]) / np.sqrt(shaped["var"] + 1e-5) * shaped["gamma"] + shaped["beta"]
    y = (maps @ v).transpose(0, 2, 1, 3).reshape(batch, tokens, -1)
    return y @ t["out"].T + t["out_bias"]


def main():
    name, source, target = sys.argv[1:]
    tensors = read(source)
    if name == "attention":
        return write(target, "y", attention(tensors))
    image = tensors.pop("image").transpose(0, 2, 3, 1)
    features = {"xception": xception, "efficientnet_b5": efficientnet_b5, "resnet152v2": resnet152v2,
                "densenet201": densenet201}[name](tensors, image)
    write(target, "features", features.transpose(0, 3, 1, 2))


if __name__ == "__main__":
    main()
