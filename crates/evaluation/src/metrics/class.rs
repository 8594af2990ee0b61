//! One class per row.

use crate::metric::Metric;
use crate::predictions::{ClassPredictions, TaskKind};

use super::counts::{Average, Counts, mean, precision_recall_f1};
use super::ranking::{Areas, BinaryRanking, ClassRanking, MulticlassAreas, multiclass_areas};
use super::{ClassScores, Outcome, Undefined, Value, finite, not_finite};

/// Single-label predictions with losses and rankings worked out.
pub(crate) struct ClassEvaluator<'a> {
    predictions: &'a ClassPredictions,
    metrics: &'a [Metric],
    /// The true class of each row; the number of classes for every class the model never saw.
    truth: Vec<usize>,
    /// Why the probabilities cannot be read.
    fault: Option<Undefined>,
    /// Log loss and Brier score of each row; 0 for classes never seen. Empty if not asked for.
    losses: Vec<[f64; 2]>,
    /// By the probability of the positive class, if asked for.
    binary: Option<BinaryRanking>,
    /// By the probability of each class, if asked for.
    multiclass: Option<Vec<ClassRanking>>,
}

/// The counts that one set of weights gives.
struct Tally {
    /// Of the known classes.
    counts: Counts,
    /// All rows.
    rows: f64,
    /// Rows of classes never seen.
    unseen: f64,
    per_class: Vec<ClassScores>,
    /// Of the classes that averages are over.
    averaged: Counts,
    /// Their scores.
    averaged_scores: Vec<ClassScores>,
    micro: ClassScores,
}

impl<'a> ClassEvaluator<'a> {
    pub fn new(predictions: &'a ClassPredictions, metrics: &'a [Metric]) -> Self {
        let p = predictions;
        let k = p.classes.len();
        let truth: Vec<usize> = p.labels.iter().map(|&label| label.min(k)).collect();
        let fault = match p.probabilities.is_empty() {
            true => Some(Undefined::NoProbabilities),
            false => not_finite("probability", &p.probabilities, k),
        };
        let asked = |wanted: &[Metric]| {
            fault.is_none() && metrics.iter().any(|metric| wanted.contains(metric))
        };

        let losses = match asked(&[Metric::LogLoss, Metric::Brier]) {
            true => p
                .probabilities
                .chunks(k)
                .zip(&truth)
                .map(|(row, &label)| row_losses(row, label))
                .collect(),
            false => Vec::new(),
        };
        let known = || (0..truth.len()).filter(|&row| truth[row] < k);
        let probability = |row: usize, class: usize| p.probabilities[row * k + class];
        let positive = p
            .positive
            .filter(|_| asked(&[Metric::RocAuc, Metric::AveragePrecision]));
        let binary = positive.map(|positive| {
            BinaryRanking::new(
                known(),
                |row| probability(row, positive),
                |row| row,
                |row| truth[row] == positive,
            )
        });
        let multiclass = asked(&[
            Metric::RocAucOvrMacro,
            Metric::RocAucOvrWeighted,
            Metric::RocAucOvoMacro,
            Metric::RocAucOvoWeighted,
        ])
        .then(|| {
            let ranking =
                |class| ClassRanking::new(known(), |row| probability(row, class), |row| truth[row]);
            (0..k).map(ranking).collect()
        });
        Self {
            predictions,
            metrics,
            truth,
            fault,
            losses,
            binary,
            multiclass,
        }
    }

    pub fn outcome(&self, weights: &[f64]) -> Outcome {
        let tally = self.tally(weights);
        if tally.rows == 0.0 {
            return Outcome::undefined(self.metrics, &Undefined::NoRows);
        }
        let areas = self.binary.as_ref().map(|ranking| ranking.areas(weights));
        let multiclass = self.multiclass_areas(weights, &tally.counts.support);
        let losses = self.mean_losses(weights, &tally);
        let value =
            |&metric: &Metric| self.value(metric, &tally, areas.as_ref(), &multiclass, &losses);
        let metrics = self.metrics.iter().map(value).collect();
        Outcome {
            metrics,
            per_class: Ok(tally.per_class),
        }
    }

    fn tally(&self, weights: &[f64]) -> Tally {
        let k = self.predictions.classes.len();
        let mut counts = Counts::zero(k);
        let (mut rows, mut unseen) = (0.0, 0.0);
        for ((&truth, &predicted), &weight) in self
            .truth
            .iter()
            .zip(&self.predictions.predicted)
            .zip(weights)
        {
            rows += weight;
            counts.predicted[predicted] += weight;
            if truth == predicted {
                counts.hits[truth] += weight;
            }
            match counts.support.get_mut(truth) {
                Some(support) => *support += weight,
                None => unseen += weight,
            }
        }
        let averaged = match &self.predictions.averaged {
            Some(classes) => counts.select(classes),
            None => counts.clone(),
        };
        let (per_class, micro) = (counts.per_class(), averaged.micro());
        Tally {
            averaged_scores: averaged.per_class(),
            averaged,
            counts,
            rows,
            unseen,
            per_class,
            micro,
        }
    }

    fn value(
        &self,
        metric: Metric,
        tally: &Tally,
        areas: Option<&Areas>,
        multiclass: &Result<MulticlassAreas, Undefined>,
        losses: &Result<[f64; 2], Undefined>,
    ) -> Value {
        if let Some((which, average)) = precision_recall_f1(metric) {
            let values = tally.averaged_scores.iter().map(|scores| scores[which]);
            return match (average, self.predictions.positive) {
                (Average::Positive, Some(positive)) => Ok(tally.per_class[positive][which]),
                (Average::Micro, _) => Ok(tally.micro[which]),
                (Average::Macro, _) => Ok(mean(values)),
                (Average::Weighted, _) => Ok(tally.averaged.weighted(values)),
                (Average::Positive | Average::Samples, _) => Err(self.not_applicable(metric)),
            };
        }
        let multiclass = |of: fn(MulticlassAreas) -> f64| multiclass.clone().map(of);
        match metric {
            Metric::Accuracy => Ok(tally.counts.hits.iter().sum::<f64>() / tally.rows),
            Metric::Specificity => match (self.predictions.task(), self.predictions.positive) {
                (TaskKind::Binary, Some(positive)) => Ok(tally.per_class[1 - positive][1]),
                _ => Err(self.not_applicable(metric)),
            },
            Metric::BalancedAccuracy => balanced_accuracy(tally),
            Metric::Mcc => Ok(matthews(tally)),
            Metric::CohenKappa => self.kappa(tally),
            Metric::LogLoss => losses.clone().and_then(|[log_loss, _]| finite(log_loss)),
            Metric::Brier => losses.clone().and_then(|[_, brier]| finite(brier)),
            Metric::RocAuc => self.two_classes(metric, areas).map(|areas| areas.roc),
            Metric::AveragePrecision => self
                .two_classes(metric, areas)
                .map(|areas| areas.average_precision),
            Metric::RocAucOvrMacro => multiclass(|areas| areas.ovr_macro),
            Metric::RocAucOvrWeighted => multiclass(|areas| areas.ovr_weighted),
            Metric::RocAucOvoMacro => multiclass(|areas| areas.ovo_macro),
            Metric::RocAucOvoWeighted => multiclass(|areas| areas.ovo_weighted),
            _ => Err(self.not_applicable(metric)),
        }
    }

    fn not_applicable(&self, metric: Metric) -> Undefined {
        Undefined::NotApplicable {
            metric,
            task: self.predictions.task(),
        }
    }

    /// The areas, if both classes have rows.
    fn two_classes<'b>(
        &self,
        metric: Metric,
        areas: Option<&'b Areas>,
    ) -> Result<&'b Areas, Undefined> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let (Some(areas), TaskKind::Binary, Some(positive)) =
            (areas, self.predictions.task(), self.predictions.positive)
        else {
            return Err(self.not_applicable(metric));
        };
        let every = |class: usize| Undefined::OneClass {
            class: self.predictions.classes[class].clone(),
        };
        match (areas.positives > 0.0, areas.negatives > 0.0) {
            (true, true) => Ok(areas),
            (true, false) => Err(every(positive)),
            (false, true) => Err(every(1 - positive)),
            (false, false) => Err(Undefined::NoKnownClass),
        }
    }

    fn multiclass_areas(
        &self,
        weights: &[f64],
        support: &[f64],
    ) -> Result<MulticlassAreas, Undefined> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let classes = &self.predictions.classes;
        if support.len() < 2 {
            return Err(Undefined::TooFewClasses {
                classes: support.len(),
            });
        }
        if let Some(class) = support.iter().position(|&support| support == 0.0) {
            return Err(Undefined::ClassWithoutRows {
                class: classes[class].clone(),
            });
        }
        match &self.multiclass {
            Some(rankings) => Ok(multiclass_areas(rankings, weights, support)),
            // Not asked for, so not read.
            None => Err(Undefined::NoProbabilities),
        }
    }

    /// Log loss and Brier score over the rows of known classes.
    fn mean_losses(&self, weights: &[f64], tally: &Tally) -> Result<[f64; 2], Undefined> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let known = tally.rows - tally.unseen;
        if known == 0.0 {
            return Err(Undefined::NoKnownClass);
        }
        let mut sums = [0.0; 2];
        for ([log_loss, brier], &weight) in self.losses.iter().zip(weights) {
            sums[0] += weight * log_loss;
            sums[1] += weight * brier;
        }
        Ok(sums.map(|sum| sum / known))
    }

    /// Agreement beyond chance (Cohen 1960), as one minus observed over expected disagreement.
    fn kappa(&self, tally: &Tally) -> Value {
        let Counts {
            hits,
            predicted,
            support,
        } = &tally.counts;
        let n = tally.rows;
        // Both times n: the unseen class is never predicted, so it adds nothing to the products.
        let chance: f64 = support.iter().zip(predicted).map(|(a, b)| a * b).sum();
        let expected = n * n - chance;
        if expected == 0.0 {
            let class = support.iter().position(|&support| support > 0.0);
            let class =
                class.map_or_else(String::new, |class| self.predictions.classes[class].clone());
            return Err(Undefined::CertainAgreement { class });
        }
        let observed = (n - hits.iter().sum::<f64>()) * n;
        Ok(1.0 - observed / expected)
    }
}

/// Log loss and Brier score of a row; 0 for a class never seen.
fn row_losses(probabilities: &[f64], label: usize) -> [f64; 2] {
    let Some(&probability) = probabilities.get(label) else {
        return [0.0; 2];
    };
    let distance = |(class, p): (usize, &f64)| (p - f64::from(u8::from(class == label))).powi(2);
    let brier = probabilities.iter().enumerate().map(distance).sum();
    [
        -probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln(),
        brier,
    ]
}

/// Mean recall over the known classes that have rows.
fn balanced_accuracy(tally: &Tally) -> Value {
    let present = tally
        .counts
        .support
        .iter()
        .zip(&tally.per_class)
        .filter(|&(&support, _)| support > 0.0);
    match present.clone().count() {
        0 => Err(Undefined::NoKnownClass),
        _ => Ok(mean(present.map(|(_, [_, recall, _])| *recall))),
    }
}

/// Matthews' correlation coefficient for any number of classes (Gorodkin 2004); 0 if a side is constant.
fn matthews(tally: &Tally) -> f64 {
    let Counts {
        hits,
        predicted,
        support,
    } = &tally.counts;
    let n = tally.rows;
    let square = |counts: &[f64]| counts.iter().map(|count| count * count).sum::<f64>();
    let both: f64 = support.iter().zip(predicted).map(|(a, b)| a * b).sum();
    let covariance = hits.iter().sum::<f64>() * n - both;
    let truth = n * n - square(support) - tally.unseen * tally.unseen;
    let prediction = n * n - square(predicted);
    match truth * prediction {
        0.0 => 0.0,
        product => covariance / product.sqrt(),
    }
}
