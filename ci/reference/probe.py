"""Golden of the property probes: PyTorch's AdamW on a small fixed set of slots, scikit-learn's scores.

A linear map with cross entropy for classes, an MLP with mean squared error for boxes brought to [-1, 1], full batches, as
in Latent Slot Diffusion's `src/eval/eval.py`; initial weights are in the golden. The matching of objects and slots is
written with one-hot masks and scipy's assignment.

    python ci/reference/probe.py        # writes trainer/goldens/probe.json
"""

import json
import pathlib

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import accuracy_score, r2_score

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "trainer/goldens/probe.json"
STEPS, TRAIN = 300, 33
torch.set_num_threads(1)


def numbers(values):
    return [float(f"{value:.6g}") for value in np.asarray(values, dtype=np.float32).ravel()]


def rounded(values):
    return np.array(numbers(values), dtype=np.float32).reshape(np.shape(values))


def fit(model, loss):
    optimizer = torch.optim.AdamW(model.parameters())
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        value = loss(model)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


def weights(model):
    return {name: numbers(parameter.detach()) for name, parameter in model.named_parameters()}


def probes(rng):
    slots = rounded(rng.normal(size=(40, 6)))
    classes = (slots[:, 0] + 0.5 * slots[:, 1] > 0).astype(int) + (slots[:, 2] > 0.4)
    boxes = rounded(1 / (1 + np.exp(-slots[:, :4] @ rng.normal(size=(4, 4)) - 0.2 * rng.normal(size=(40, 4)))))
    scaled = (boxes - boxes.min(0)) / (boxes.max(0) - boxes.min(0)) * 2 - 1
    golden = {"steps": STEPS, "train": TRAIN, "slots": numbers(slots), "classes": classes.tolist(), "boxes": numbers(boxes),
              "scaled": numbers(scaled)}
    x, y = torch.from_numpy(slots), torch.from_numpy(classes)
    linear = torch.nn.Linear(6, 3)
    mlp = torch.nn.Sequential(torch.nn.Linear(6, 6), torch.nn.ReLU(), torch.nn.Linear(6, 4))
    for model in (linear, mlp):
        for parameter in model.parameters():
            parameter.data = torch.from_numpy(rounded(0.4 * rng.normal(size=parameter.shape)))
    golden |= {"linear": weights(linear), "mlp": weights(mlp)}
    golden["linear_losses"] = fit(linear, lambda m: torch.nn.functional.cross_entropy(m(x[:TRAIN]), y[:TRAIN]))
    target = torch.from_numpy(scaled)
    golden["mlp_losses"] = fit(mlp, lambda m: torch.nn.functional.mse_loss(m(x[:TRAIN]), target[:TRAIN]))
    golden |= {"linear_after": weights(linear), "mlp_after": weights(mlp)}
    with torch.no_grad():
        found, boxes_found = linear(x[TRAIN:]), mlp(x[TRAIN:])
    golden["accuracy"] = accuracy_score(classes[TRAIN:], found.argmax(1).numpy())
    golden["squared_error"] = float(((boxes_found - target[TRAIN:]) ** 2).mean())
    golden["r2"] = r2_score(scaled[TRAIN:], boxes_found.numpy(), multioutput="raw_values").tolist()
    return golden


def blobs(rng, side, count):
    """A label map of `count` overlapping squares, some of which may be covered."""
    labels = np.zeros((side, side), dtype=int)
    for label in range(1, count + 1):
        y, x, size = rng.integers(0, side - 2), rng.integers(0, side - 2), rng.integers(2, 6)
        labels[y:y + size, x:x + size] = label
    return labels


def matches(rng):
    for _ in range(30):
        side, slots = 9, int(rng.integers(2, 6))
        instances = blobs(rng, side, int(rng.integers(0, 7)))
        segments = rng.integers(0, slots, size=(3, 3)).repeat(3, 0).repeat(3, 1)
        objects = [label for label in np.unique(instances) if label != 0]
        truth = np.stack([instances == label for label in objects]).reshape(len(objects), -1) if objects else np.zeros((0, 81))
        found = np.stack([segments == slot for slot in range(slots)]).reshape(slots, -1)
        lengths = np.sqrt(truth.sum(1, keepdims=True) * found.sum(1)[None])
        cost = 1 - truth.astype(float) @ found.T.astype(float) / np.maximum(lengths, 1e-8)
        rows, columns = linear_sum_assignment(cost)
        yield {"side": side, "count": slots, "instances": instances.ravel().tolist(), "slots": segments.ravel().tolist(),
               "objects": [int(objects[row]) for row in rows], "of": columns.tolist(),
               "cost": float(cost[rows, columns].sum())}


def main():
    rng = np.random.default_rng(3)
    golden = probes(rng) | {"matches": list(matches(rng))}
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    GOLDEN.write_text(json.dumps(golden, separators=(",", ":")).replace("},{", "},\n{") + "\n")


if __name__ == "__main__":
    main()
