//! Any subset of the classes per row.

use crate::metric::Metric;
use crate::predictions::{MultiLabelPredictions, TaskKind};

use super::counts::{Average, Counts, mean, precision_recall_f1, scores};
use super::ranking::{Areas, BinaryRanking};
use super::{ClassScores, Outcome, Undefined, Value, not_finite};

/// Multi-label predictions with rows compared and labels ranked.
pub(crate) struct MultiLabelEvaluator<'a> {
    predictions: &'a MultiLabelPredictions,
    metrics: &'a [Metric],
    /// `[rows, classes]`: the label is decided for.
    decided: Vec<bool>,
    rows: Vec<Row>,
    /// Why the scores cannot be read.
    fault: Option<Undefined>,
    /// By the score of each label, if asked for.
    by_class: Option<Vec<BinaryRanking>>,
    /// All pairs of row and label by score, if asked for.
    pooled: Option<BinaryRanking>,
}

/// What a row adds to the means over rows.
struct Row {
    /// Its own precision, recall and F1.
    scores: ClassScores,
    /// Number of labels decided wrongly.
    wrong: f64,
    /// 1 if none is.
    exact: f64,
}

/// The means over rows that one set of weights gives.
struct RowMeans {
    scores: ClassScores,
    hamming: f64,
    exact: f64,
}

impl<'a> MultiLabelEvaluator<'a> {
    pub fn new(predictions: &'a MultiLabelPredictions, metrics: &'a [Metric]) -> Self {
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
        let asked = |wanted: &[Metric]| {
            fault.is_none() && metrics.iter().any(|metric| wanted.contains(metric))
        };
        let by_class = asked(&[
            Metric::RocAucMacro,
            Metric::RocAucWeighted,
            Metric::AveragePrecisionMacro,
            Metric::AveragePrecisionWeighted,
        ])
        .then(|| {
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
        let pooled = asked(&[Metric::RocAucMicro, Metric::AveragePrecisionMicro]).then(|| {
            BinaryRanking::new(
                0..p.scores.len(),
                |at| p.scores[at],
                |at| at / k,
                |at| p.labels[at],
            )
        });
        Self {
            predictions,
            metrics,
            decided,
            rows,
            fault,
            by_class,
            pooled,
        }
    }

    pub fn outcome(&self, weights: &[f64]) -> Outcome {
        let total: f64 = weights.iter().sum();
        if total == 0.0 {
            return Outcome::undefined(self.metrics, &Undefined::NoRows);
        }
        // Nothing can be decided by a score that is not a number.
        if let Some(fault) = &self.fault {
            return Outcome::undefined(self.metrics, fault);
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

        let value = |&metric: &Metric| {
            if let Some((which, average)) = precision_recall_f1(metric) {
                let values = per_class.iter().map(|scores| scores[which]);
                return match average {
                    Average::Micro => Ok(counts.micro()[which]),
                    Average::Macro => Ok(mean(values)),
                    Average::Weighted => Ok(counts.weighted(values)),
                    Average::Samples => Ok(means.scores[which]),
                    Average::Positive => Err(not_applicable(metric)),
                };
            }
            match metric {
                Metric::SubsetAccuracy => Ok(means.exact),
                Metric::HammingLoss => Ok(means.hamming),
                Metric::RocAucMicro => {
                    let areas = with_positives(metric, pooled.as_ref())?;
                    match areas.negatives > 0.0 {
                        true => Ok(areas.roc),
                        false => Err(Undefined::ConstantLabels { everywhere: true }),
                    }
                }
                Metric::AveragePrecisionMicro => {
                    with_positives(metric, pooled.as_ref()).map(|areas| areas.average_precision)
                }
                _ => self.average_of_areas(metric, by_class.as_deref(), &counts),
            }
        };
        let metrics = self.metrics.iter().map(value).collect();
        Outcome {
            metrics,
            per_class: Ok(per_class),
        }
    }

    /// The metrics that are means over labels of an area.
    fn average_of_areas(
        &self,
        metric: Metric,
        by_class: Option<&[Areas]>,
        counts: &Counts,
    ) -> Value {
        let areas = by_class.ok_or_else(|| not_applicable(metric))?;
        if areas.iter().all(|areas| areas.positives == 0.0) {
            return Err(Undefined::ConstantLabels { everywhere: false });
        }
        // A label without rows: its precision is 0 throughout.
        let precision = |areas: &Areas| {
            if areas.positives == 0.0 {
                0.0
            } else {
                areas.average_precision
            }
        };
        let precisions = areas.iter().map(precision);
        match metric {
            Metric::AveragePrecisionMacro => Ok(mean(precisions)),
            Metric::AveragePrecisionWeighted => Ok(counts.weighted(precisions)),
            Metric::RocAucMacro => match areas
                .iter()
                .position(|a| a.positives == 0.0 || a.negatives == 0.0)
            {
                Some(class) => Err(self.constant(class, areas[class].positives > 0.0)),
                None => Ok(mean(areas.iter().map(|areas| areas.roc))),
            },
            Metric::RocAucWeighted => match areas.iter().position(|a| a.negatives == 0.0) {
                Some(class) => Err(self.constant(class, true)),
                None => Ok(counts.weighted(
                    areas
                        .iter()
                        .map(|a| if a.positives == 0.0 { 0.0 } else { a.roc }),
                )),
            },
            _ => Err(not_applicable(metric)),
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

/// The areas of the pooled pairs, if any is positive.
fn with_positives(metric: Metric, areas: Option<&Areas>) -> Result<&Areas, Undefined> {
    match areas {
        None => Err(not_applicable(metric)),
        Some(areas) if areas.positives == 0.0 => {
            Err(Undefined::ConstantLabels { everywhere: false })
        }
        Some(areas) => Ok(areas),
    }
}

fn not_applicable(metric: Metric) -> Undefined {
    Undefined::NotApplicable {
        metric,
        task: TaskKind::Multilabel,
    }
}
