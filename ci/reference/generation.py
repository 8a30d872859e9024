"""Goldens of the generation metrics: scikit-image for pixels, pytorch-fid's and torchmetrics' formulas for features,
lpips for layers of features.

The Frechet distance is written with scipy's square root of a matrix (pytorch-fid) and with the eigenvalues of the
product (torchmetrics); where covariances are singular only the second is used. The kernel distance is torchmetrics'
polynomial MMD.

    python ci/reference/generation.py        # writes trainer/metrics/tests/goldens/generation.json
"""

import json
import pathlib

import lpips
import numpy as np
import torch
from scipy import linalg
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "trainer/metrics/tests/goldens/generation.json"


def pictures(rng):
    for channels, height, width, noise in [(3, 16, 21, 0.1), (1, 11, 11, 0.5), (3, 24, 12, 0.01), (3, 14, 17, 1.0)]:
        a = rng.random((channels, height, width)).astype(np.float32).round(3)
        b = np.clip(a + noise * rng.normal(size=a.shape), 0, 1).astype(np.float32).round(3)
        similarity = structural_similarity(
            a.astype(np.float64) * 255, b.astype(np.float64) * 255, channel_axis=0, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False, data_range=255)
        yield {"width": width, "height": height, "a": a.ravel().tolist(), "b": b.ravel().tolist(),
               "psnr": peak_signal_noise_ratio(a.astype(np.float64), b.astype(np.float64), data_range=1.0),
               "ssim": similarity, "squared_error": float(((a.astype(np.float64) - b) ** 2).sum())}


def frechet(a, b):
    means, covariances = [x.mean(0) for x in (a, b)], [np.cov(x, rowvar=False) for x in (a, b)]
    apart, spread = ((means[0] - means[1]) ** 2).sum(), sum(np.trace(c) for c in covariances)
    by_values = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).astype(complex)).real.sum()
    if min(len(a), len(b)) > a.shape[1]:
        by_root = np.trace(linalg.sqrtm(covariances[0] @ covariances[1]).real)
        assert abs(by_root - by_values) < 1e-9
    return apart + spread - 2 * by_values


def kernel(a, b):
    k = [(x @ y.T / a.shape[1] + 1) ** 3 for x, y in ((a, a), (b, b), (a, b))]
    within = [(m.sum() - np.trace(m)) / (len(m) * (len(m) - 1)) for m in k[:2]]
    return sum(within) - 2 * k[2].mean()


def features(rng):
    for rows, dim in [((40, 30), 8), ((50, 50), 12), ((9, 20), 12), ((6, 5), 16), ((30, 30), 1)]:
        mixing = rng.normal(size=(dim, dim))
        a, b = (((rng.normal(size=(n, dim)) @ mixing) + 0.3 * k).astype(np.float32).round(4) for k, n in enumerate(rows))
        wide = [x.astype(np.float64) for x in (a, b)]
        yield {"dim": dim, "a": a.ravel().tolist(), "b": b.ravel().tolist(),
               "frechet": frechet(*wide) if dim > 1 else None, "kernel": kernel(*wide)}


def perceptual(rng):
    """Layers through lpips' own functions; a position without any activation is among them."""
    draw = lambda *shape: rng.random(shape).astype(np.float32).round(3)  # noqa: E731
    for shapes in ([(3, 4, 5)], [(4, 3, 3), (6, 2, 1)]):
        layers, distance = [], 0
        for shape in shapes:
            first, second, weights = draw(*shape), draw(*shape), draw(shape[0])
            first[:, 0, 0] = 0
            head = lpips.NetLinLayer(shape[0]).eval()
            head.model[-1].weight.data = torch.from_numpy(weights)[None, :, None, None]
            a, b = (lpips.normalize_tensor(torch.from_numpy(x)[None]) for x in (first, second))
            distance += lpips.spatial_average(head((a - b) ** 2)).item()
            layers.append({"first": first.ravel().tolist(), "second": second.ravel().tolist(), "weights": weights.tolist()})
        yield {"layers": layers, "distance": distance}


def cosine(rng):
    for dim in (1, 5, 32):
        a, b = (rng.normal(size=dim).astype(np.float32).round(3) for _ in range(2))
        score = 100 * torch.nn.functional.cosine_similarity(
            torch.from_numpy(a).double(), torch.from_numpy(b).double(), dim=0)
        yield {"a": a.tolist(), "b": b.tolist(), "score": score.item()}


def rounded(entry):
    for name, value in entry.items():
        if isinstance(value, list) and value and isinstance(value[0], float):
            entry[name] = [float(f"{number:.4f}") for number in value]


def main():
    rng = np.random.default_rng(11)
    round_trip = lambda value: json.loads(json.dumps(value), parse_float=lambda text: float(np.float32(text)))  # noqa: E731
    golden = {"pictures": list(pictures(rng)), "features": list(features(rng))}
    for entry in golden["pictures"] + golden["features"]:
        for name in "ab":
            assert round_trip(entry[name]) == entry[name]
            entry[name] = [float(f"{value:.4f}") for value in entry[name]]
    # Drawn last, so that the older goldens stay as they are.
    golden |= {"perceptual": list(perceptual(rng)), "cosine": list(cosine(rng))}
    for entry in golden["cosine"] + [layer for golden_ in golden["perceptual"] for layer in golden_["layers"]]:
        rounded(entry)
    GOLDEN.write_text(json.dumps(golden, separators=(",", ":")).replace("},{", "},\n{") + "\n")


if __name__ == "__main__":
    main()
