#!/usr/bin/env python3
"""A model folder in Python: model.json and every tensor of weights.safetensors as numpy arrays, with nothing but numpy."""
import json, struct, sys
import numpy as np

manifest = json.load(open(sys.argv[1] + "/model.json"))
with open(sys.argv[1] + "/weights.safetensors", "rb") as file:
    header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    data = file.read()
weights = {name: np.frombuffer(data, "<f4", offset=t["data_offsets"][0], count=int(np.prod(t["shape"]))).reshape(t["shape"])
           for name, t in header.items()}
print(manifest["preset"]["name"], len(weights), "tensors", sum(w.size for w in weights.values()), "numbers")
