//! Areas under curves, from rows sorted once by score.

/// Items in descending order of score, in groups of equal scores.
struct Order {
    /// Indices of the items.
    items: Vec<usize>,
    /// The end of each group in `items`.
    ends: Vec<usize>,
}

impl Order {
    fn descending(items: impl Iterator<Item = usize>, score: impl Fn(usize) -> f64) -> Self {
        let mut items: Vec<usize> = items.collect();
        items.sort_unstable_by(|&a, &b| score(b).total_cmp(&score(a)).then(a.cmp(&b)));
        // `!=` instead of the total order: 0 and -0 are equal scores.
        let ends = (1..items.len())
            .filter(|&i| score(items[i - 1]) != score(items[i]))
            .chain(Some(items.len()));
        let ends = ends.filter(|&end| end > 0).collect();
        Self { items, ends }
    }
}

/// The cases of a binary decision, sorted by score.
pub(super) struct BinaryRanking {
    /// The row of each case, which determines its weight.
    rows: Vec<u32>,
    /// Whether each case is positive.
    positive: Vec<bool>,
    ends: Vec<usize>,
}

/// The areas under the curves of a binary decision. Meaningless if `positives` or, for the ROC, `negatives` is 0.
pub(super) struct Areas {
    pub roc: f64,
    pub average_precision: f64,
    /// Weight of the positive cases.
    pub positives: f64,
    /// Weight of the negative cases.
    pub negatives: f64,
}

impl BinaryRanking {
    /// Sorts `items` by `score`; `row` and `positive` give the row and the truth of an item.
    pub fn new(
        items: impl Iterator<Item = usize>,
        score: impl Fn(usize) -> f64,
        row: impl Fn(usize) -> usize,
        positive: impl Fn(usize) -> bool,
    ) -> Self {
        let order = Order::descending(items, score);
        Self {
            rows: order.items.iter().map(|&item| row(item) as u32).collect(),
            positive: order.items.iter().map(|&item| positive(item)).collect(),
            ends: order.ends,
        }
    }

    /// One pass in descending order, one group of ties at a time.
    pub fn areas(&self, weights: &[f64]) -> Areas {
        // Twice the number of pairs with the positive above the negative, ties counting half: whole numbers, so exact.
        let mut double_wins = 0.0;
        let mut precisions = 0.0;
        let (mut positives, mut negatives) = (0.0, 0.0);
        let mut start = 0;
        for &end in &self.ends {
            let (mut group_positives, mut group) = (0.0, 0.0);
            for (&row, &positive) in self.rows[start..end].iter().zip(&self.positive[start..end]) {
                let weight = weights[row as usize];
                group += weight;
                group_positives += if positive { weight } else { 0.0 };
            }
            start = end;
            let group_negatives = group - group_positives;
            double_wins += group_negatives * (2.0 * positives + group_positives);
            positives += group_positives;
            negatives += group_negatives;
            if group_positives > 0.0 {
                precisions += group_positives * (positives / (positives + negatives));
            }
        }
        Areas {
            roc: double_wins / (2.0 * positives * negatives),
            average_precision: precisions / positives,
            positives,
            negatives,
        }
    }
}

/// Rows sorted by the probability of one class.
pub(super) struct ClassRanking {
    rows: Vec<u32>,
    /// The true class of each row.
    labels: Vec<u32>,
    ends: Vec<usize>,
}

/// The four areas under ROC curves of several classes.
#[derive(Clone, Copy)]
pub(super) struct MulticlassAreas {
    pub ovr_macro: f64,
    pub ovr_weighted: f64,
    pub ovo_macro: f64,
    pub ovo_weighted: f64,
}

impl ClassRanking {
    /// Sorts `rows` by `score`, the probability of one class; `label` gives the true class of a row.
    pub fn new(
        rows: impl Iterator<Item = usize>,
        score: impl Fn(usize) -> f64,
        label: impl Fn(usize) -> usize,
    ) -> Self {
        let order = Order::descending(rows, score);
        Self {
            rows: order.items.iter().map(|&row| row as u32).collect(),
            labels: order.items.iter().map(|&row| label(row) as u32).collect(),
            ends: order.ends,
        }
    }

    /// Adds to `double_wins[b]` twice the number of pairs with a row of `class` above a row of class `b`, ties counting
    /// half.
    fn count_wins(&self, class: usize, weights: &[f64], double_wins: &mut [f64]) {
        let mut positives = 0.0;
        let mut start = 0;
        for &end in &self.ends {
            let group = || self.rows[start..end].iter().zip(&self.labels[start..end]);
            let of_class = |&(_, &label): &(&u32, &u32)| label as usize == class;
            let group_positives: f64 = group()
                .filter(of_class)
                .map(|(&row, _)| weights[row as usize])
                .sum();
            for (&row, &label) in group() {
                double_wins[label as usize] +=
                    weights[row as usize] * (2.0 * positives + group_positives);
            }
            positives += group_positives;
            start = end;
        }
    }
}

/// Areas under the ROC curves of each class against the rest and against each other class (Hand & Till 2001), from the
/// ranking by each class. `support` is the weight of each class: at least two classes, all above 0.
pub(super) fn multiclass_areas(
    rankings: &[ClassRanking],
    weights: &[f64],
    support: &[f64],
) -> MulticlassAreas {
    let classes = support.len();
    let total: f64 = support.iter().sum();
    let (mut ovr, mut ovr_weighted, mut ovo, mut ovo_weighted, mut pair_weights) =
        (0.0, 0.0, 0.0, 0.0, 0.0);
    let mut double_wins = vec![0.0; classes];
    for (a, ranking) in rankings.iter().enumerate() {
        double_wins.fill(0.0);
        ranking.count_wins(a, weights, &mut double_wins);
        let mut over_rest = 0.0;
        for b in (0..classes).filter(|&b| b != a) {
            let area = double_wins[b] / (2.0 * support[a] * support[b]);
            ovo += area;
            ovo_weighted += area * (support[a] + support[b]);
            pair_weights += support[a] + support[b];
            over_rest += double_wins[b];
        }
        let area = over_rest / (2.0 * support[a] * (total - support[a]));
        ovr += area;
        ovr_weighted += area * support[a];
    }
    let classes = classes as f64;
    MulticlassAreas {
        ovr_macro: ovr / classes,
        ovr_weighted: ovr_weighted / total,
        ovo_macro: ovo / (classes * (classes - 1.0)),
        ovo_weighted: ovo_weighted / pair_weights,
    }
}
