//! Any subset of the classes per row.

use crate::predictions::multilabel::MultiLabelPredictions;
use crate::undefined::Undefined;

use super::counts::{Average, Counts, Score, mean, scores};
use super::outcome::{ClassScores, Evaluator, Outcome, Value, not_finite};
use super::ranking::{Areas, BinaryRanking};

/// How a metric is computed from any subset of the classes per row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LabelFormula {
    /// A score over labels.
    Averaged(Score, Average),
    /// The mean over rows of a score.
    Samples(Score),
    SubsetAccuracy,
    HammingLoss,
    RocAuc(Average),
    AveragePrecision(Average),
}

/// Multi-label predictions with precomputed row scores and rankings.
pub(crate) struct MultiLabelEvaluator<'a> {
    predictions: &'a MultiLabelPredictions,
    formulas: Vec<LabelFormula>,
    /// `[rows, classes]`: whether the label is predicted.
    decided: Vec<bool>,
    rows: Vec<Row>,
    /// The reason why the scores cannot be used.
    fault: Option<Undefined>,
    /// Rows by the score of each label, if a formula needs it.
    by_class: Option<Vec<BinaryRanking>>,
    /// All pairs of row and label by score, if a formula needs it.
    pooled: Option<BinaryRanking>,
}

/// The contribution of a row to the means over rows.
struct Row {
    /// Precision, recall and F1 of the row.
    scores: ClassScores,
    /// Number of wrong labels.
    wrong: f64,
    /// 1 if no label is wrong.
    exact: f64,
}

/// The means over rows under one set of weights.
struct RowMeans {
    scores: ClassScores,
    hamming: f64,
    exact: f64,
}

impl<'a> MultiLabelEvaluator<'a> {
    pub fn new(predictions: &'a MultiLabelPredictions, formulas: Vec<LabelFormula>) -> Self {
        let p = predictions;
        let k = p.classes.len();
        let fault = not_finite("score", &p.scores, k);
        let decided: Vec<bool> = p
            .scores
            .iter()
            .enumerate()
            .map(|(index, &score)| score >= p.thresholds[index % k])
            .collect();
        let rows =
            p.labels
                .chunks(k.max(1))
                .zip(decided.chunks(k.max(1)))
                .map(|(labels, decided)| {
                    let count = |of: fn((&bool, &bool)) -> bool| {
                        labels
                            .iter()
                            .zip(decided)
                            .filter(|&(&label, &decided)| of((&label, &decided)))
                            .count() as f64
                    };
                    let hits = count(|(&label, &decided)| label && decided);
                    let wrong = count(|(label, decided)| label != decided);
                    Row {
                        scores: scores(
                            hits,
                            count(|(_, &decided)| decided),
                            count(|(&label, _)| label),
                        ),
                        wrong,
                        exact: f64::from(u8::from(wrong == 0.0)),
                    }
                });
        let rows = rows.collect();
        let needed = |pooled: bool| {
            let mut averages = formulas.iter().filter_map(LabelFormula::area);
            fault.is_none() && averages.any(|average| (average == Average::Micro) == pooled)
        };
        let by_class = needed(false).then(|| {
            let ranking = |class| {
                let at = |row: usize| row * k + class;
                BinaryRanking::new(
                    0..p.rows(),
                    |row| p.scores[at(row)],
                    |row| row,
                    |row| p.labels[at(row)],
                )
            };
            (0..k).map(ranking).collect()
        });
        let pooled = needed(true).then(|| {
            BinaryRanking::new(
                0..p.scores.len(),
                |at| p.scores[at],
                |at| at / k,
                |at| p.labels[at],
            )
        });
        Self {
            predictions,
            formulas,
            decided,
            rows,
            fault,
            by_class,
            pooled,
        }
    }

    /// The mean ROC AUC over labels.
    fn mean_roc(&self, areas: &[Areas]) -> Value {
        let constant = |a: &Areas| a.positives == 0.0 || a.negatives == 0.0;
        match areas.iter().position(constant) {
            Some(class) => Err(self.constant(class, areas[class].positives > 0.0)),
            None => Ok(mean(areas.iter().map(|areas| areas.roc))),
        }
    }

    /// The ROC AUC over labels, weighted by their rows.
    fn weighted_roc(&self, areas: &[Areas], counts: &Counts) -> Value {
        match areas.iter().position(|a| a.negatives == 0.0) {
            Some(class) => Err(self.constant(class, true)),
            None => Ok(counts.weighted(
                areas
                    .iter()
                    .map(|a| if a.positives == 0.0 { 0.0 } else { a.roc }),
            )),
        }
    }

    fn constant(&self, class: usize, everywhere: bool) -> Undefined {
        Undefined::ConstantLabel {
            class: self.predictions.classes[class].clone(),
            everywhere,
        }
    }

    fn counts(&self, weights: &[f64]) -> Counts {
        let k = self.predictions.classes.len();
        let mut counts = Counts::zero(k);
        let rows = self
            .predictions
            .labels
            .chunks(k.max(1))
            .zip(self.decided.chunks(k.max(1)));
        for ((labels, decided), &weight) in rows.zip(weights) {
            for class in 0..k {
                let (label, decided) = (labels[class], decided[class]);
                counts.support[class] += if label { weight } else { 0.0 };
                counts.predicted[class] += if decided { weight } else { 0.0 };
                counts.hits[class] += if label && decided { weight } else { 0.0 };
            }
        }
        counts
    }

    fn row_means(&self, weights: &[f64], total: f64) -> RowMeans {
        let (mut sums, mut wrong, mut exact) = ([0.0; 3], 0.0, 0.0);
        for (row, &weight) in self.rows.iter().zip(weights) {
            for (sum, score) in sums.iter_mut().zip(row.scores) {
                *sum += weight * score;
            }
            wrong += weight * row.wrong;
            exact += weight * row.exact;
        }
        let labels = total * self.predictions.classes.len() as f64;
        RowMeans {
            scores: sums.map(|sum| sum / total),
            hamming: wrong / labels,
            exact: exact / total,
        }
    }
}

impl Evaluator for MultiLabelEvaluator<'_> {
    fn outcome(&self, weights: &[f64]) -> Outcome {
        let total: f64 = weights.iter().sum();
        if total == 0.0 {
            return Outcome::undefined(self.formulas.len(), &Undefined::NoRows);
        }
        // A score that is not a number gives no decision.
        if let Some(fault) = &self.fault {
            return Outcome::undefined(self.formulas.len(), fault);
        }
        let counts = self.counts(weights);
        let per_class = counts.per_class();
        let means = self.row_means(weights, total);
        let by_class = self.by_class.as_ref();
        let by_class: Option<Vec<Areas>> = by_class.map(|rankings| {
            rankings
                .iter()
                .map(|ranking| ranking.areas(weights))
                .collect()
        });
        let pooled = self.pooled.as_ref().map(|ranking| ranking.areas(weights));

        let value = |&formula: &LabelFormula| match formula {
            LabelFormula::Averaged(score, average) => {
                Ok(counts.average(&per_class, score, average))
            }
            LabelFormula::Samples(score) => Ok(means.scores[score as usize]),
            LabelFormula::SubsetAccuracy => Ok(means.exact),
            LabelFormula::HammingLoss => Ok(means.hamming),
            LabelFormula::RocAuc(Average::Micro) => {
                let areas = with_positives(pooled.as_ref())?;
                match areas.negatives > 0.0 {
                    true => Ok(areas.roc),
                    false => Err(Undefined::ConstantLabels { everywhere: true }),
                }
            }
            LabelFormula::RocAuc(Average::Macro) => self.mean_roc(labelled(by_class.as_deref())?),
            LabelFormula::RocAuc(Average::Weighted) => {
                self.weighted_roc(labelled(by_class.as_deref())?, &counts)
            }
            LabelFormula::AveragePrecision(Average::Micro) => {
                with_positives(pooled.as_ref()).map(|areas| areas.average_precision)
            }
            LabelFormula::AveragePrecision(Average::Macro) => {
                Ok(mean(precisions(labelled(by_class.as_deref())?)))
            }
            LabelFormula::AveragePrecision(Average::Weighted) => {
                Ok(counts.weighted(precisions(labelled(by_class.as_deref())?)))
            }
        };
        let metrics = self.formulas.iter().map(value).collect();
        Outcome {
            metrics,
            per_class: Ok(per_class),
        }
    }
}

/// The areas of the pooled pairs, if any is positive.
fn with_positives(areas: Option<&Areas>) -> Result<&Areas, Undefined> {
    areas
        .filter(|areas| areas.positives > 0.0)
        .ok_or(Undefined::ConstantLabels { everywhere: false })
}

/// The areas of each label, if any label has rows.
fn labelled(areas: Option<&[Areas]>) -> Result<&[Areas], Undefined> {
    areas
        .filter(|areas| areas.iter().any(|areas| areas.positives > 0.0))
        .ok_or(Undefined::ConstantLabels { everywhere: false })
}

/// The average precision of each label: 0 for a label without rows.
fn precisions(areas: &[Areas]) -> impl Iterator<Item = f64> + Clone {
    areas.iter().map(|areas| match areas.positives == 0.0 {
        true => 0.0,
        false => areas.average_precision,
    })
}

impl LabelFormula {
    /// How areas under curves are averaged, for the formulas that read them.
    fn area(&self) -> Option<Average> {
        match *self {
            Self::RocAuc(average) | Self::AveragePrecision(average) => Some(average),
            Self::Averaged(..) | Self::Samples(_) | Self::SubsetAccuracy | Self::HammingLoss => {
                None
            }
        }
    }
}
