#!/usr/bin/env python3
"""Writes docs/presets.md: every preset as the program counts it, beside Table 1 of the paper.

usage: docs/make_presets.py PROGRAM [--check]    --check: only compare, exit 1 when the file is out of date
"""
import json
import pathlib
import subprocess
import sys

# Preset, name and parameters (millions) in Table 1.
ROWS = [
    ("scopeformer_s", "Scopeformer (S)", 34),
    ("scopeformer_b", "Scopeformer (B)", 42),
    ("scopeformer_m", "Scopeformer (M)", 43),
    ("scopeformer_l4", "Scopeformer (L)/4", 51),
    ("scopeformer_l8", "Scopeformer (L)/8", 102),
    ("scopeformer_l16", "Scopeformer (L)/16", 203),
    ("deep_scopeformer_l8", "Deep Scopeformer (L)/8", 102),
    ("deep_scopeformer_tr_l8", "Deep Scopeformer TR (L)/8", 6),
    ("efficient_scopeformer", "Efficient Scopeformer", 6),
    ("scopeformer_2021", "Scopeformer (2021)", 755),
    ("scaled_scopeformer_2021", "Scaled Scopeformer (2021)", 870),
    ("scopeformer_nano", "(ours: the demonstration model)", None),
]
HEAD = """# The presets beside the paper's Table 1

Made by `docs/make_presets.py build/release/bin/scopenode` from `scopenode models info --preset P --json`; a test keeps it current.

"As the paper counts" is encoder and head without the CNNs and their 1x1 convolutions; "trainable" is what fine-tuning moves (the top 30 % of
each CNN, all of it in `scopeformer_2021` and `scopeformer_nano`); "stored" is every number in `weights.safetensors`.

| preset | Table 1 | as the paper counts | trainable | stored | GMAC a slice | tokens |
|---|---|---|---|---|---|---|
"""
NOTES = """
## Where the paper contradicts itself

- **Scopeformer (M), 43 M**: as printed (D 512, 8 blocks, MLP 5120 instead of B's 4096) it has {m:.1f} M; the wider MLP alone adds 8 x 2 x 512 x 1024 = 8.4 M
  to B's {b:.1f} M. We build what is printed.
- **"17 times" smaller** compares {l8:.0f} M with {efficient:.1f} M by the paper's own count, which leaves the CNNs out. What is trained shrinks from {l8_trained:.1f} M to
  {efficient_trained:.1f} M ({trained_ratio:.1f} times), what is stored {stored_ratio:.1f} times, and the arithmetic from {l8_gmac:.1f} to {efficient_gmac:.1f} GMAC a slice ({gmac_ratio:.2f} times).
- **The sizes of attention** in section 3.4 (1024^2, 65^2, 64^2) are not those of these models: the matrices have tokens x tokens numbers per head, which is
  {deep_tokens}^2 (Deep L/8), {tr_tokens}^2 (TR) and {efficient_tokens}^2 (Efficient; Fig. 7 shows 384 x 384). Parameters do not depend on the number of tokens: they fall because a token
  is 64 numbers wide instead of 1024. The arithmetic of attention rises.
- **The rows of 2021** (755 M, 870 M) fit only with CNN layers counted in: all of the three Xceptions ({old:.1f} M trainable here), and the upper part of
  the four ({scaled:.1f} M). The rows of 2022 fit only without.
- **TR and Efficient** are given three CNNs in Table 1 and four in the text; appendix A says that DenseNet was left out.

The CNNs, as Keras counts them (`include_top=False`):

| CNN | trainable | non-trainable | total | channels | learns when the top 30 % does |
|---|---|---|---|---|---|
"""


def thousands(number):
    return f"{number:,}"


def main():
    program, check = sys.argv[1], "--check" in sys.argv[2:]
    figures = {}
    for preset, _, _ in ROWS:
        out = subprocess.run([program, "models", "info", "--preset", preset, "--json"], check=True, capture_output=True)
        figures[preset] = json.loads(out.stdout)

    def millions(preset, kind):
        return figures[preset]["parameters"][kind] / 1e6

    text = HEAD
    for preset, name, published in ROWS:
        f = figures[preset]
        p = f["parameters"]
        text += (f"| `{preset}` | {name}{f', {published} M' if published else ''} | {thousands(p['paper'])} | {thousands(p['trainable'])} | "
                 f"{thousands(p['stored'])} | {f['gmac_per_slice']:.2f} | {' x '.join(map(str, f['token_shape']))} |\n")
    l8, efficient = "scopeformer_l8", "efficient_scopeformer"
    gmac = {preset: f["gmac_per_slice"] for preset, f in figures.items()}
    tokens = {preset: f["token_shape"][0] for preset, f in figures.items()}
    text += NOTES.format(
        m=millions("scopeformer_m", "paper"), b=millions("scopeformer_b", "paper"), l8=millions(l8, "paper"),
        efficient=millions(efficient, "paper"), l8_trained=millions(l8, "trainable"), efficient_trained=millions(efficient, "trainable"),
        trained_ratio=millions(l8, "trainable") / millions(efficient, "trainable"),
        stored_ratio=millions(l8, "stored") / millions(efficient, "stored"), l8_gmac=gmac[l8], efficient_gmac=gmac[efficient],
        gmac_ratio=gmac[l8] / gmac[efficient], deep_tokens=tokens["deep_scopeformer_l8"], tr_tokens=tokens["deep_scopeformer_tr_l8"],
        efficient_tokens=tokens[efficient], old=millions("scopeformer_2021", "trainable"), scaled=millions("scaled_scopeformer_2021", "trainable"))
    for cnn in figures["scopeformer_s"]["backbones"]:
        p = cnn["parameters"]
        text += (f"| {cnn['name']} | {thousands(p['trainable'])} | {thousands(p['non_trainable'])} | {thousands(p['total'])} | {cnn['channels']} | "
                 f"{thousands(cnn['learns'])} |\n")

    path = pathlib.Path(__file__).with_name("presets.md")
    if not check:
        path.write_text(text)
    elif not path.exists() or path.read_text() != text:
        print("docs/presets.md is out of date: run docs/make_presets.py PROGRAM", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
