"""Numbers that crates/training/tests/recipes.rs is compared with: updates by the optimizer of BERT's published code.

A weight of two numbers, which decays, and a bias of one, which does not, with made-up gradients of which some are
clipped; Adam without bias correction, and a rate that falls from the first update on but rises during the warm-up.
In double precision, with NumPy alone.

    python scripts/golden/bert_optimizer.py
"""

import numpy as np

PEAK, WARMUP, UPDATES = 0.1, 2, 6
BETA1, BETA2, EPSILON, DECAY, CLIP = 0.9, 0.999, 1e-6, 0.01, 1.0
START = np.array([1.0, -0.5, 0.25])
DECAYS = np.array([1.0, 1.0, 0.0])
GRADIENTS = np.array(
    [[3.0, -4.0, 12.0], [0.3, 0.2, -0.1], [-2.0, 1.0, 2.0], [0.01, -0.02, 0.02], [0.0, 5.0, 0.0], [-0.4, 0.0, 0.3]]
)


def rate(update):
    if update < WARMUP:
        return PEAK * update / WARMUP
    return PEAK * (1 - update / UPDATES)


def main():
    parameters, first, second = START.copy(), np.zeros(3), np.zeros(3)
    for update, gradient in enumerate(GRADIENTS):
        length = np.sqrt((gradient**2).sum())
        gradient = gradient * CLIP / max(length, CLIP)
        first = BETA1 * first + (1 - BETA1) * gradient
        second = BETA2 * second + (1 - BETA2) * gradient**2
        step = first / (np.sqrt(second) + EPSILON) + DECAY * DECAYS * parameters
        parameters = parameters - rate(update) * step
        print(f"update {update}: length {length:.6f}, rate {rate(update):.6f},", [round(x, 7) for x in parameters.tolist()])


if __name__ == "__main__":
    main()
