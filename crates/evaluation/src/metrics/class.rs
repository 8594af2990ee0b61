//! One class per row.

use crate::predictions::classes::ClassPredictions;
use crate::predictions::kind::TaskKind;
use crate::undefined::Undefined;

use super::counts::{Average, Counts, Score, mean};
use super::outcome::{ClassScores, Evaluator, Outcome, Value, finite, not_finite};
use super::ranking::{Areas, BinaryRanking, ClassRanking, MulticlassAreas, multiclass_areas};

/// How a metric is computed from one class per row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClassFormula {
    /// A score of the positive class.
    Positive(Score),
    /// A score over the averaged classes.
    Averaged(Score, Average),
    Accuracy,
    /// Recall of the negative class.
    Specificity,
    BalancedAccuracy,
    Mcc,
    CohenKappa,
    LogLoss,
    Brier,
    RocAuc,
    AveragePrecision,
    RocAucOvrMacro,
    RocAucOvrWeighted,
    RocAucOvoMacro,
    RocAucOvoWeighted,
}

/// Single-label predictions with precomputed losses and rankings.
pub(crate) struct ClassEvaluator<'a> {
    predictions: &'a ClassPredictions,
    formulas: Vec<ClassFormula>,
    /// The true class of each row; the number of classes represents all classes not seen in training.
    truth: Vec<usize>,
    /// The reason why the probabilities cannot be used.
    fault: Option<Undefined>,
    /// Log loss and Brier score of each row; 0 for unseen classes. Empty if no formula needs them.
    losses: Vec<[f64; 2]>,
    /// Rows by the probability of the positive class, if a formula needs it.
    binary: Option<BinaryRanking>,
    /// Rows by the probability of each class, if a formula needs it.
    multiclass: Option<Vec<ClassRanking>>,
}

/// The counts under one set of weights.
struct Tally {
    /// Counts of the known classes.
    counts: Counts,
    /// Weight of all rows.
    rows: f64,
    /// Weight of the rows of unseen classes.
    unseen: f64,
    per_class: Vec<ClassScores>,
    /// Counts of the averaged classes.
    averaged: Counts,
    /// The scores of those classes.
    averaged_scores: Vec<ClassScores>,
}

impl<'a> ClassEvaluator<'a> {
    pub fn new(predictions: &'a ClassPredictions, formulas: Vec<ClassFormula>) -> Self {
        let p = predictions;
        let k = p.classes.len();
        let truth: Vec<usize> = p.labels.iter().map(|&label| label.min(k)).collect();
        let fault = match p.probabilities.is_empty() {
            true => Some(Undefined::NoProbabilities),
            false => not_finite("probability", &p.probabilities, k),
        };
        let needed = |by: &[ClassFormula]| {
            fault.is_none() && formulas.iter().any(|formula| by.contains(formula))
        };

        let losses = match needed(&[ClassFormula::LogLoss, ClassFormula::Brier]) {
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
            .filter(|_| needed(&[ClassFormula::RocAuc, ClassFormula::AveragePrecision]));
        let binary = positive.map(|positive| {
            BinaryRanking::new(
                known(),
                |row| probability(row, positive),
                |row| row,
                |row| truth[row] == positive,
            )
        });
        let multiclass = needed(&[
            ClassFormula::RocAucOvrMacro,
            ClassFormula::RocAucOvrWeighted,
            ClassFormula::RocAucOvoMacro,
            ClassFormula::RocAucOvoWeighted,
        ])
        .then(|| {
            let ranking =
                |class| ClassRanking::new(known(), |row| probability(row, class), |row| truth[row]);
            (0..k).map(ranking).collect()
        });
        Self {
            predictions,
            formulas,
            truth,
            fault,
            losses,
            binary,
            multiclass,
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
        Tally {
            per_class: counts.per_class(),
            averaged_scores: averaged.per_class(),
            averaged,
            counts,
            rows,
            unseen,
        }
    }

    fn value(
        &self,
        formula: ClassFormula,
        tally: &Tally,
        areas: Option<&Areas>,
        multiclass: &Result<MulticlassAreas, Undefined>,
        losses: &Result<[f64; 2], Undefined>,
    ) -> Value {
        let multiclass = |of: fn(MulticlassAreas) -> f64| multiclass.clone().map(of);
        match formula {
            ClassFormula::Positive(score) => {
                let positive = self.positive()?;
                Ok(tally.per_class[positive][score as usize])
            }
            ClassFormula::Averaged(score, average) => {
                let counts = &tally.averaged;
                Ok(counts.average(&tally.averaged_scores, score, average))
            }
            ClassFormula::Accuracy => Ok(tally.counts.hits.iter().sum::<f64>() / tally.rows),
            ClassFormula::Specificity => {
                let positive = self.positive()?;
                Ok(tally.per_class[1 - positive][Score::Recall as usize])
            }
            ClassFormula::BalancedAccuracy => balanced_accuracy(tally),
            ClassFormula::Mcc => Ok(matthews(tally)),
            ClassFormula::CohenKappa => self.kappa(tally),
            ClassFormula::LogLoss => losses.clone().and_then(|[log_loss, _]| finite(log_loss)),
            ClassFormula::Brier => losses.clone().and_then(|[_, brier]| finite(brier)),
            ClassFormula::RocAuc => self.two_classes(areas).map(|areas| areas.roc),
            ClassFormula::AveragePrecision => {
                let areas = self.two_classes(areas)?;
                Ok(areas.average_precision)
            }
            ClassFormula::RocAucOvrMacro => multiclass(|areas| areas.ovr_macro),
            ClassFormula::RocAucOvrWeighted => multiclass(|areas| areas.ovr_weighted),
            ClassFormula::RocAucOvoMacro => multiclass(|areas| areas.ovo_macro),
            ClassFormula::RocAucOvoWeighted => multiclass(|areas| areas.ovo_weighted),
        }
    }

    /// The positive class of a binary task.
    fn positive(&self) -> Result<usize, Undefined> {
        match (self.predictions.task(), self.predictions.positive) {
            (TaskKind::Binary, Some(positive)) => Ok(positive),
            _ => Err(Undefined::NoPositiveClass),
        }
    }

    /// The areas, if both classes have rows.
    fn two_classes<'b>(&self, areas: Option<&'b Areas>) -> Result<&'b Areas, Undefined> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let positive = self.positive()?;
        let areas = areas.ok_or(Undefined::NoPositiveClass)?;
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
            // No formula reads them.
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
        // Both sides are multiplied by n. The unseen class is never predicted, so it adds nothing to the products.
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

impl Evaluator for ClassEvaluator<'_> {
    fn outcome(&self, weights: &[f64]) -> Outcome {
        let tally = self.tally(weights);
        if tally.rows == 0.0 {
            return Outcome::undefined(self.formulas.len(), &Undefined::NoRows);
        }
        let areas = self.binary.as_ref().map(|ranking| ranking.areas(weights));
        let multiclass = self.multiclass_areas(weights, &tally.counts.support);
        let losses = self.mean_losses(weights, &tally);
        let value = |&formula: &ClassFormula| {
            self.value(formula, &tally, areas.as_ref(), &multiclass, &losses)
        };
        let metrics = self.formulas.iter().map(value).collect();
        Outcome {
            metrics,
            per_class: Ok(tally.per_class),
        }
    }
}

/// Log loss and Brier score of a row; 0 for an unseen class.
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

/// Matthews correlation coefficient for any number of classes (Gorodkin 2004); 0 if truth or prediction is constant.
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
