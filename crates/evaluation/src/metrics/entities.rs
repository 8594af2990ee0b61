//! Named entities, scored as whole entities: right if type, start and end are right.

use std::collections::HashMap;

use crate::predictions::entities::EntityPredictions;
use crate::predictions::spans::{EntitySpan, SpanPredictions};
use crate::undefined::Undefined;

use super::counts::{Average, Counts, Score};
use super::outcome::{ClassScores, Evaluator, Outcome, Value};
use super::scheme::{EntityTypes, Scheme};

/// How a metric is computed from entities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntityFormula {
    /// A score over entity types.
    Averaged(Scheme, Score, Average),
    /// The share of words with the right tag.
    TagAccuracy,
}

/// Entities counted once for each row, so that a resample is a weighted sum.
pub(crate) struct EntityEvaluator {
    formulas: Vec<EntityFormula>,
    /// The default scheme is first.
    schemes: Vec<SchemeCounts>,
    /// For each row, the number of words with the right tag and the number of words; empty for spans.
    words: Vec<[f64; 2]>,
}

/// The entities of one scheme.
struct SchemeCounts {
    scheme: Scheme,
    /// The entity types of truth and predictions, sorted.
    types: Vec<String>,
    /// Sorted by row.
    entries: Vec<Entry>,
    /// The reason why the scheme does not apply.
    fault: Option<Undefined>,
}

/// The entities of one type in one row.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    row: u32,
    /// An index into the types.
    kind: u32,
    hits: u32,
    predicted: u32,
    support: u32,
}

/// The counts of one scheme under one set of weights.
struct Tally {
    counts: Counts,
    /// Counts of the types that occur at these weights.
    present: Counts,
    present_scores: Vec<ClassScores>,
}

impl EntityEvaluator {
    pub fn of_tags(predictions: &EntityPredictions, formulas: Vec<EntityFormula>) -> Self {
        let rows = || predictions.gold.iter().zip(&predictions.predicted);
        let needed = |scheme| {
            let reads = |formula: &EntityFormula| match *formula {
                EntityFormula::Averaged(of, ..) => of == scheme,
                EntityFormula::TagAccuracy => false,
            };
            scheme == Scheme::Default || formulas.iter().any(reads)
        };
        let schemes = [Scheme::Default, Scheme::Strict, Scheme::Conlleval]
            .into_iter()
            .filter(|&scheme| needed(scheme))
            .map(|scheme| match scheme {
                Scheme::Default => SchemeCounts::new(scheme, |counter| {
                    for (row, (gold, predicted)) in rows().enumerate() {
                        counter.spans(row, default_spans(gold), default_spans(predicted));
                    }
                    Ok(())
                }),
                Scheme::Strict => SchemeCounts::new(scheme, |counter| {
                    for (row, (gold, predicted)) in rows().enumerate() {
                        let strict = |tags| strict_spans(row, tags);
                        counter.spans(row, strict(gold)?, strict(predicted)?);
                    }
                    Ok(())
                }),
                Scheme::Conlleval => SchemeCounts::new(scheme, |counter| {
                    for (row, (gold, predicted)) in rows().enumerate() {
                        conlleval(row, gold, predicted, counter);
                    }
                    Ok(())
                }),
            })
            .collect();
        let words = rows().map(|(gold, predicted)| {
            let right = gold.iter().zip(predicted).filter(|(a, b)| a == b).count();
            [right as f64, gold.len() as f64]
        });
        Self {
            formulas,
            schemes,
            words: words.collect(),
        }
    }

    pub fn of_spans(predictions: &SpanPredictions, formulas: Vec<EntityFormula>) -> Self {
        let counted = SchemeCounts::new(Scheme::Default, |counter| {
            let rows = predictions.gold.iter().zip(&predictions.predicted);
            for (row, (gold, predicted)) in rows.enumerate() {
                counter.spans(row, given_spans(gold), given_spans(predicted));
            }
            Ok(())
        });
        Self {
            formulas,
            schemes: vec![counted],
            words: Vec::new(),
        }
    }

    /// Number of words; 0 for spans.
    fn words(&self) -> usize {
        self.words.iter().map(|[_, words]| words).sum::<f64>() as usize
    }

    /// The types of each scheme with the number of true entities, in the order of [`Outcome::per_class`].
    fn types(&self) -> Vec<(Scheme, String, usize)> {
        let mut types = Vec::new();
        for counted in &self.schemes {
            let mut support = vec![0; counted.types.len()];
            for entry in &counted.entries {
                support[entry.kind as usize] += entry.support as usize;
            }
            let named = counted.types.iter().cloned().zip(support);
            types.extend(named.map(|(name, support)| (counted.scheme, name, support)));
        }
        types
    }

    fn average(&self, scheme: Scheme, score: Score, average: Average, tallies: &[Tally]) -> Value {
        let found = self.schemes.iter().position(|s| s.scheme == scheme);
        let Some(index) = found else {
            return Err(Undefined::NoEntities);
        };
        if let Some(fault) = &self.schemes[index].fault {
            return Err(fault.clone());
        }
        let tally = &tallies[index];
        if tally.present_scores.is_empty() {
            return Err(Undefined::NoEntities);
        }
        Ok(tally.present.average(&tally.present_scores, score, average))
    }

    /// The share of words with the right tag.
    fn accuracy(&self, weights: &[f64]) -> Value {
        let (mut right, mut all) = (0.0, 0.0);
        for ([right_here, words], weight) in self.words.iter().zip(weights) {
            right += right_here * weight;
            all += words * weight;
        }
        if all == 0.0 {
            return Err(Undefined::NoWords);
        }
        Ok(right / all)
    }
}

impl Evaluator for EntityEvaluator {
    fn outcome(&self, weights: &[f64]) -> Outcome {
        if weights.iter().all(|&weight| weight == 0.0) {
            return Outcome::undefined(self.formulas.len(), &Undefined::NoRows);
        }
        let tallies: Vec<Tally> = self.schemes.iter().map(|s| s.tally(weights)).collect();
        let value = |&formula: &EntityFormula| match formula {
            EntityFormula::Averaged(scheme, score, average) => {
                self.average(scheme, score, average, &tallies)
            }
            EntityFormula::TagAccuracy => self.accuracy(weights),
        };
        let per_class = tallies.iter().flat_map(|tally| {
            let each = tally.counts.per_class().into_iter().enumerate();
            // A type that does not occur at these weights has no scores: NaN.
            each.map(|(kind, scores)| match tally.counts.is_empty(kind) {
                true => [f64::NAN; 3],
                false => scores,
            })
        });
        Outcome {
            metrics: self.formulas.iter().map(value).collect(),
            per_class: Ok(per_class.collect()),
        }
    }

    fn entity_types(&self) -> Option<EntityTypes> {
        Some(EntityTypes {
            words: self.words(),
            types: self.types(),
        })
    }
}

impl SchemeCounts {
    /// The entities that `count` counts, or the reason why the scheme does not apply.
    fn new<'t>(
        scheme: Scheme,
        count: impl FnOnce(&mut Counter<'t>) -> Result<(), Undefined>,
    ) -> Self {
        let mut counter = Counter::default();
        match count(&mut counter) {
            Ok(()) => counter.finish(scheme),
            Err(fault) => Self {
                scheme,
                types: Vec::new(),
                entries: Vec::new(),
                fault: Some(fault),
            },
        }
    }

    fn tally(&self, weights: &[f64]) -> Tally {
        let mut counts = Counts::zero(self.types.len());
        for entry in &self.entries {
            let (kind, weight) = (entry.kind as usize, weights[entry.row as usize]);
            counts.hits[kind] += weight * f64::from(entry.hits);
            counts.predicted[kind] += weight * f64::from(entry.predicted);
            counts.support[kind] += weight * f64::from(entry.support);
        }
        let present: Vec<usize> = (0..self.types.len())
            .filter(|&kind| !counts.is_empty(kind))
            .collect();
        let present = counts.select(&present);
        Tally {
            present_scores: present.per_class(),
            present,
            counts,
        }
    }
}

/// Counts entities by row and type.
#[derive(Default)]
struct Counter<'t> {
    kinds: HashMap<&'t str, u32>,
    entries: Vec<Entry>,
    /// Where the entries of the current row start.
    row_start: usize,
}

impl<'t> Counter<'t> {
    /// The entry of a type in a row. Rows must be counted in order.
    fn entry(&mut self, row: usize, kind: &'t str) -> &mut Entry {
        let next = self.kinds.len() as u32;
        let kind = *self.kinds.entry(kind).or_insert(next);
        if self.entries.last().is_some_and(|e| e.row != row as u32) {
            self.row_start = self.entries.len();
        }
        let known = self.entries[self.row_start..]
            .iter()
            .position(|entry| entry.kind == kind);
        let index = known.map_or(self.entries.len(), |index| self.row_start + index);
        if index == self.entries.len() {
            self.entries.push(Entry {
                row: row as u32,
                kind,
                ..Entry::default()
            });
        }
        &mut self.entries[index]
    }

    /// Counts the entities of a row. Duplicates count once.
    fn spans(&mut self, row: usize, mut gold: Vec<Span<'t>>, mut predicted: Vec<Span<'t>>) {
        for spans in [&mut gold, &mut predicted] {
            spans.sort_unstable();
            spans.dedup();
        }
        for span in &gold {
            self.entry(row, span.kind).support += 1;
        }
        for span in &predicted {
            let hit = gold.binary_search(span).is_ok();
            let entry = self.entry(row, span.kind);
            entry.predicted += 1;
            entry.hits += u32::from(hit);
        }
    }

    /// Sorts the types.
    fn finish(mut self, scheme: Scheme) -> SchemeCounts {
        let mut named: Vec<(&str, u32)> = self.kinds.into_iter().collect();
        named.sort_unstable();
        let mut place = vec![0; named.len()];
        for (new, &(_, old)) in named.iter().enumerate() {
            place[old as usize] = new as u32;
        }
        for entry in &mut self.entries {
            entry.kind = place[entry.kind as usize];
        }
        SchemeCounts {
            scheme,
            types: named.iter().map(|(name, _)| (*name).to_owned()).collect(),
            entries: self.entries,
            fault: None,
        }
    }
}

/// An entity in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Span<'t> {
    start: usize,
    end: usize,
    kind: &'t str,
}

fn given_spans(spans: &[EntitySpan]) -> Vec<Span<'_>> {
    let mut given = Vec::with_capacity(spans.len());
    for &EntitySpan {
        start,
        end,
        ref kind,
    } in spans
    {
        given.push(Span { start, end, kind });
    }
    given
}

/// The type of entities whose tags have none.
const NO_TYPE: &str = "_";

/// Splits a tag after its first character.
fn split_first(tag: &str) -> (&str, &str) {
    let end = tag.char_indices().nth(1).map_or(tag.len(), |(at, _)| at);
    tag.split_at(end)
}

fn or_no_type(kind: &str) -> &str {
    if kind.is_empty() { NO_TYPE } else { kind }
}

/// The entities that seqeval 1.2 finds by default (`get_entities`); `end` is the last word.
fn default_spans(tags: &[String]) -> Vec<Span<'_>> {
    let mut spans = Vec::new();
    let (mut last, mut last_kind, mut start) = ("O", NO_TYPE, 0);
    let words = tags.iter().map(String::as_str).chain(["O"]);
    for (word, tag) in words.enumerate() {
        let (prefix, rest) = split_first(tag);
        let kind = or_no_type(rest.split_once('-').map_or(rest, |(_, kind)| kind));
        let other_kind = last_kind != kind;
        let ends = match last {
            "E" | "S" => true,
            "B" | "I" if matches!(prefix, "B" | "S" | "O") => true,
            "O" | "." => false,
            _ => other_kind,
        };
        if ends {
            spans.push(Span {
                start,
                end: word - 1,
                kind: last_kind,
            });
        }
        let starts = match prefix {
            "B" | "S" => true,
            "E" | "I" if matches!(last, "E" | "S" | "O") => true,
            "O" | "." => false,
            _ => other_kind,
        };
        if starts {
            start = word;
        }
        (last, last_kind) = (prefix, kind);
    }
    spans
}

/// The entities that seqeval 1.2 finds in strict mode with IOB2; `end` is the word after the last.
///
/// # Errors
/// [`Undefined::NotIob2`] for a tag that does not start with `B`, `I` or `O`, which seqeval rejects.
fn strict_spans(row: usize, tags: &[String]) -> Result<Vec<Span<'_>>, Undefined> {
    let mut spans: Vec<Span<'_>> = Vec::new();
    let mut open = false;
    for (word, tag) in tags.iter().enumerate() {
        let (prefix, rest) = split_first(tag);
        let kind = or_no_type(rest.trim_matches('-'));
        match (prefix, spans.last_mut()) {
            ("B", _) => {
                spans.push(Span {
                    start: word,
                    end: word + 1,
                    kind,
                });
                open = true;
            }
            ("I", Some(span)) if open && span.kind == kind => span.end = word + 1,
            ("I" | "O", _) => open = false,
            _ => {
                return Err(Undefined::NotIob2 {
                    tag: tag.clone(),
                    row,
                });
            }
        }
    }
    Ok(spans)
}

/// Splits a tag at the first hyphen, as conlleval does.
fn chunk_tag(tag: &str) -> (&str, &str) {
    tag.split_once('-').unwrap_or((tag, ""))
}

/// Whether a chunk ends between two tags in conlleval.
fn chunk_ends((last, last_kind): (&str, &str), (tag, kind): (&str, &str)) -> bool {
    match last {
        "B" | "I" if matches!(tag, "B" | "O") => true,
        "E" if matches!(tag, "E" | "I" | "O") => true,
        "[" | "]" => true,
        "O" | "." => false,
        _ => last_kind != kind,
    }
}

/// Whether a chunk starts between two tags in conlleval.
fn chunk_starts((last, last_kind): (&str, &str), (tag, kind): (&str, &str)) -> bool {
    match tag {
        "B" if matches!(last, "B" | "I" | "O") => true,
        "I" | "E" if matches!(last, "O" | "E") => true,
        "[" | "]" => true,
        "O" | "." => false,
        _ => last_kind != kind,
    }
}

/// Counts a sentence as conlleval does (Tjong Kim Sang & Buchholz 2000): chunks are counted where they start, and are right
/// if they start and end together with equal types.
fn conlleval<'t>(
    row: usize,
    gold: &'t [String],
    predicted: &'t [String],
    counter: &mut Counter<'t>,
) {
    const BOUNDARY: (&str, &str) = ("O", "");
    let (mut last_gold, mut last_predicted) = (BOUNDARY, BOUNDARY);
    let mut in_correct = false;
    let words = gold.iter().zip(predicted);
    let words = words.map(|(gold, predicted)| (chunk_tag(gold), chunk_tag(predicted)));
    for (gold, predicted) in words.chain([(BOUNDARY, BOUNDARY)]) {
        if in_correct {
            let ends = (
                chunk_ends(last_gold, gold),
                chunk_ends(last_predicted, predicted),
            );
            if ends == (true, true) && last_gold.1 == last_predicted.1 {
                in_correct = false;
                counter.entry(row, or_no_type(last_gold.1)).hits += 1;
            } else if ends.0 != ends.1 || gold.1 != predicted.1 {
                in_correct = false;
            }
        }
        let starts = (
            chunk_starts(last_gold, gold),
            chunk_starts(last_predicted, predicted),
        );
        if starts == (true, true) && gold.1 == predicted.1 {
            in_correct = true;
        }
        if starts.0 {
            counter.entry(row, or_no_type(gold.1)).support += 1;
        }
        if starts.1 {
            counter.entry(row, or_no_type(predicted.1)).predicted += 1;
        }
        (last_gold, last_predicted) = (gold, predicted);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::predictions::Predictions;
    use crate::{Metric, score};
    use proptest::prelude::*;

    fn tags(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn entities(gold: &str, predicted: &str) -> Predictions {
        Predictions::Entities(EntityPredictions {
            gold: gold.split(" | ").map(tags).collect(),
            predicted: predicted.split(" | ").map(tags).collect(),
        })
    }

    #[test]
    fn schemes_differ_on_an_entity_that_starts_with_i() {
        let p = entities("B-PER I-PER O", "I-PER I-PER O");
        assert_eq!(score(&p, Metric::F1Micro), Ok(1.0));
        assert_eq!(score(&p, Metric::F1MicroConlleval), Ok(1.0));
        assert_eq!(score(&p, Metric::F1MicroStrict), Ok(0.0));
        assert_eq!(score(&p, Metric::Accuracy), Ok(2.0 / 3.0));
    }

    #[test]
    fn bare_tags_are_entities_of_one_type() {
        let p = entities("B I O B | O I", "B I O O | O B");
        for metric in [
            Metric::RecallMicro,
            Metric::RecallMicroConlleval,
            Metric::RecallMacro,
        ] {
            assert_eq!(score(&p, metric), Ok(2.0 / 3.0), "{metric}");
        }
        // `O I` has no entity that starts with `B`.
        assert_eq!(score(&p, Metric::RecallMicroStrict), Ok(0.5));
        assert_eq!(score(&p, Metric::PrecisionMicroStrict), Ok(0.5));
    }

    #[test]
    fn entities_do_not_cross_sentences() {
        let p = entities("B-A I-A | I-A O", "B-A I-A | I-A O");
        let Predictions::Entities(tags) = &p else {
            unreachable!()
        };
        let evaluator = EntityEvaluator::of_tags(
            tags,
            vec![EntityFormula::Averaged(
                Scheme::Conlleval,
                Score::F1,
                Average::Micro,
            )],
        );
        let found = evaluator.types();
        assert_eq!(
            found,
            [
                (Scheme::Default, "A".into(), 2),
                (Scheme::Conlleval, "A".into(), 2)
            ]
        );
    }

    #[test]
    fn strict_scores_are_undefined_beside_tags_that_are_not_iob2() {
        let p = entities("O | S-PER O", "O | S-PER O");
        assert_eq!(score(&p, Metric::F1Micro), Ok(1.0));
        let error = score(&p, Metric::F1MicroStrict).unwrap_err();
        assert_eq!(
            error.to_string(),
            "row 1 has the tag `S-PER`, and IOB2 knows B, I and O"
        );
    }

    #[test]
    fn scores_without_entities_or_words_are_undefined() {
        let p = entities("O O", "O O");
        assert_eq!(score(&p, Metric::F1Micro), Err(Undefined::NoEntities));
        assert_eq!(score(&p, Metric::F1MacroStrict), Err(Undefined::NoEntities));
        assert_eq!(score(&p, Metric::Accuracy), Ok(1.0));
        let empty = Predictions::Entities(EntityPredictions {
            gold: vec![vec![]],
            predicted: vec![vec![]],
        });
        assert_eq!(score(&empty, Metric::Accuracy), Err(Undefined::NoWords));
        let none = Predictions::Entities(EntityPredictions::default());
        assert_eq!(score(&none, Metric::F1Micro), Err(Undefined::NoRows));
    }

    #[test]
    fn a_span_is_right_if_start_end_and_type_are_and_counts_once() {
        let span = |start, end, kind: &str| EntitySpan {
            start,
            end,
            kind: kind.into(),
        };
        let p = Predictions::Spans(SpanPredictions {
            gold: vec![
                vec![span(0, 5, "A"), span(2, 4, "B")],
                vec![span(0, 5, "A")],
            ],
            predicted: vec![
                vec![span(2, 4, "B"), span(2, 4, "B"), span(0, 5, "B")],
                vec![span(0, 6, "A")],
            ],
        });
        assert_eq!(score(&p, Metric::PrecisionMicro), Ok(1.0 / 3.0));
        assert_eq!(score(&p, Metric::RecallMicro), Ok(1.0 / 3.0));
        assert_eq!(score(&p, Metric::RecallMacro), Ok(0.5));
        assert!(score(&p, Metric::F1MicroStrict).is_err());
    }

    fn any_tags() -> impl Strategy<Value = Vec<(String, String)>> {
        let tag = prop::sample::select(vec!["O", "B-A", "I-A", "B-B", "I-B", "B", "I"]);
        let tag = tag.prop_map(str::to_owned);
        prop::collection::vec((tag.clone(), tag), 1..12)
    }

    proptest! {
        #[test]
        fn conlleval_and_seqeval_agree_on_b_i_and_o(words in any_tags()) {
            let (gold, predicted) = words.into_iter().unzip();
            let p = Predictions::Entities(EntityPredictions { gold: vec![gold], predicted: vec![predicted] });
            prop_assert_eq!(score(&p, Metric::F1Macro), score(&p, Metric::F1MacroConlleval));
            prop_assert_eq!(score(&p, Metric::RecallMicro), score(&p, Metric::RecallMicroConlleval));
        }

        #[test]
        fn strict_entities_are_those_of_the_default_where_all_start_with_b(words in any_tags()) {
            let mut last = "O".to_owned();
            let mut tags = Vec::new();
            for (tag, _) in words {
                let follows = tag.strip_prefix('I').is_none_or(|kind| last != "O" && last[1..] == *kind);
                let tag = if follows { tag } else { tag.replacen('I', "B", 1) };
                last.clone_from(&tag);
                tags.push(tag);
            }
            let spans = |spans: Vec<Span<'_>>, behind: usize| -> Vec<(usize, usize, String)> {
                spans.iter().map(|s| (s.start, s.end + behind, s.kind.to_owned())).collect()
            };
            prop_assert_eq!(spans(default_spans(&tags), 1), spans(strict_spans(0, &tags).unwrap(), 0));
        }
    }
}
