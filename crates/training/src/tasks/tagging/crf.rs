//! A linear-chain conditional random field on the host: the likelihood of tags, its gradient, and the best tags.
//!
//! `n` words, `k` tags. The score of a sequence is the sum of the head's score of each word's tag, the transition score of
//! each pair of adjacent tags and, if a window begins or ends with its sentence, the scores of the first and the
//! last tag (Lafferty et al. 2001).

use bertkit_data::tagging::TagSet;
use bertkit_model::heads::Crf;
use bertkit_model::weights::to_vec;

/// The transition scores, in `f64`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scores {
    tags: usize,
    start: Vec<f64>,
    end: Vec<f64>,
    /// `[k, k]`: the column's tag after the row's.
    transitions: Vec<f64>,
}

/// The head's scores for the words of a window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chain<'a> {
    /// `[n, k]`.
    pub logits: &'a [f32],
    /// Whether its first word is the first of the sentence.
    pub begins: bool,
    /// Whether its last word is the last of the sentence.
    pub ends: bool,
}

/// The distribution over all allowed tag sequences.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expectation {
    /// Logarithm of the sum of `exp(score)` over the sequences.
    pub log_sum: f64,
    /// `[n, k]`: the probability of each tag at each word.
    pub tags: Vec<f64>,
    /// `[k, k]`: the expected number of transitions from each tag to each tag.
    pub pairs: Vec<f64>,
}

/// The negative log-likelihood of the true tags, and its gradient with respect to every score.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Likelihood {
    /// The loss, in nats.
    pub loss: f64,
    /// With respect to the logits, `[n, k]`.
    pub logits: Vec<f64>,
    /// With respect to the scores of the first tag, `[k]`.
    pub start: Vec<f64>,
    /// With respect to the scores of the last tag, `[k]`.
    pub end: Vec<f64>,
    /// With respect to the transitions, `[k, k]`.
    pub transitions: Vec<f64>,
}

fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY {
        return top;
    }
    top + values.map(|value| (value - top).exp()).sum::<f64>().ln()
}

impl Scores {
    /// The scores of a model.
    pub fn new(crf: &Crf) -> Self {
        let wide = |values: Vec<f32>| values.into_iter().map(f64::from).collect::<Vec<_>>();
        let start = wide(to_vec(crf.start_transitions.val()));
        Self {
            tags: start.len(),
            start,
            end: wide(to_vec(crf.end_transitions.val())),
            transitions: wide(to_vec(crf.transitions.val())),
        }
    }

    /// The score of a tag at a word, including the start and end scores of the sentence.
    fn at(&self, chain: Chain<'_>, word: usize, tag: usize) -> f64 {
        let words = chain.logits.len() / self.tags;
        let mut score = f64::from(chain.logits[word * self.tags + tag]);
        if chain.begins && word == 0 {
            score += self.start[tag];
        }
        if chain.ends && word + 1 == words {
            score += self.end[tag];
        }
        score
    }

    /// The forward–backward algorithm over the sequences in which every tag is allowed at its word.
    pub fn expect(&self, chain: Chain<'_>, allowed: impl Fn(usize, usize) -> bool) -> Expectation {
        let k = self.tags;
        let words = chain.logits.len() / k;
        let mut scores = vec![f64::NEG_INFINITY; words * k];
        for word in 0..words {
            for tag in (0..k).filter(|&tag| allowed(word, tag)) {
                scores[word * k + tag] = self.at(chain, word, tag);
            }
        }
        let step = |from: usize, to: usize| self.transitions[from * k + to];
        // Log-sums over all prefixes that end with a tag at a word, and over all suffixes after it.
        let (mut forward, mut backward) = (scores.clone(), vec![0.0; words * k]);
        for word in 1..words {
            let before = (word - 1) * k;
            for tag in 0..k {
                let ways = (0..k).map(|from| forward[before + from] + step(from, tag));
                forward[word * k + tag] += log_sum_exp(ways);
            }
        }
        for word in (0..words.saturating_sub(1)).rev() {
            let next = (word + 1) * k;
            for tag in 0..k {
                let ways = (0..k).map(|to| step(tag, to) + scores[next + to] + backward[next + to]);
                backward[word * k + tag] = log_sum_exp(ways);
            }
        }
        let last = words.saturating_sub(1) * k;
        let log_sum = log_sum_exp(forward[last..].iter().copied());
        let both = forward.iter().zip(&backward);
        let tags = both.map(|(a, b)| (a + b - log_sum).exp()).collect();
        let mut pairs = vec![0.0; k * k];
        for word in 1..words {
            let (before, here) = ((word - 1) * k, word * k);
            for from in 0..k {
                for to in 0..k {
                    let way = forward[before + from]
                        + step(from, to)
                        + scores[here + to]
                        + backward[here + to];
                    pairs[from * k + to] += (way - log_sum).exp();
                }
            }
        }
        Expectation {
            log_sum,
            tags,
            pairs,
        }
    }

    /// The loss of a window in which the tags of some words are known, `[n]`. Unknown tags are summed over.
    pub fn likelihood(&self, chain: Chain<'_>, truth: &[Option<usize>]) -> Likelihood {
        let k = self.tags;
        let all = self.expect(chain, |_, _| true);
        let true_ones = self.expect(chain, |word, tag| {
            truth[word].is_none_or(|known| known == tag)
        });
        let difference =
            |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
        let logits = difference(&all.tags, &true_ones.tags);
        let border = |at: bool, row: &[f64]| if at { row.to_vec() } else { vec![0.0; k] };
        Likelihood {
            loss: all.log_sum - true_ones.log_sum,
            start: border(chain.begins, &logits[..k]),
            end: border(chain.ends, &logits[logits.len() - k..]),
            transitions: difference(&all.pairs, &true_ones.pairs),
            logits,
        }
    }

    /// The best sequence of tags (Viterbi 1967) among those that the scheme of `set` allows; ties go to the
    /// lower index.
    pub fn best(&self, chain: Chain<'_>, set: &TagSet) -> Vec<usize> {
        let k = self.tags;
        let words = chain.logits.len() / k;
        let border = |allowed: bool| if allowed { 0.0 } else { f64::NEG_INFINITY };
        let mut best: Vec<f64> = (0..k)
            .map(|tag| {
                let allowed = !chain.begins || set.may_follow(None, Some(tag));
                border(allowed) + self.at(chain, 0, tag)
            })
            .collect();
        let mut from = Vec::with_capacity(words);
        for word in 1..words {
            let ways = (0..k).map(|tag| {
                let way = |before: usize| {
                    border(set.may_follow(Some(before), Some(tag)))
                        + best[before]
                        + self.transitions[before * k + tag]
                };
                let top = first_best((0..k).map(way));
                (top, way(top) + self.at(chain, word, tag))
            });
            let (places, scores): (Vec<usize>, Vec<f64>) = ways.unzip();
            from.push(places);
            best = scores;
        }
        if chain.ends {
            for (tag, score) in best.iter_mut().enumerate() {
                *score += border(set.may_follow(Some(tag), None));
            }
        }
        let mut tag = first_best(best.iter().copied());
        let mut tags = vec![tag];
        for places in from.iter().rev() {
            tag = places[tag];
            tags.push(tag);
        }
        tags.reverse();
        tags
    }
}

/// The index of the largest value; ties go to the first.
pub(crate) fn first_best(values: impl Iterator<Item = f64>) -> usize {
    let larger = |best: (usize, f64), next: (usize, f64)| if next.1 > best.1 { next } else { best };
    values
        .enumerate()
        .reduce(larger)
        .map_or(0, |(place, _)| place)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bertkit_data::tagging::Scheme;

    /// Pseudo-random numbers between -2 and 2.
    fn numbers(seed: usize, n: usize) -> Vec<f64> {
        let number = |i: usize| (((seed * 31 + i * 7919) as f64).sin() * 43758.5453).fract() * 2.0;
        (0..n).map(number).collect()
    }

    fn scores(seed: usize, tags: usize) -> Scores {
        Scores {
            tags,
            start: numbers(seed, tags),
            end: numbers(seed + 1, tags),
            transitions: numbers(seed + 2, tags * tags),
        }
    }

    fn logits(seed: usize, n: usize) -> Vec<f32> {
        numbers(seed, n).into_iter().map(|x| x as f32).collect()
    }

    /// All sequences of `words` tags.
    fn sequences(words: usize, tags: usize) -> impl Iterator<Item = Vec<usize>> {
        (0..tags.pow(words as u32)).map(move |number| {
            (0..words)
                .map(|word| number / tags.pow(word as u32) % tags)
                .collect()
        })
    }

    fn score(scores: &Scores, chain: Chain<'_>, sequence: &[usize]) -> f64 {
        let words = sequence.iter().enumerate();
        let own: f64 = words.map(|(word, &tag)| scores.at(chain, word, tag)).sum();
        let pairs = sequence.windows(2);
        own + pairs
            .map(|pair| scores.transitions[pair[0] * scores.tags + pair[1]])
            .sum::<f64>()
    }

    #[test]
    fn the_likelihood_is_that_of_counting_every_sequence() {
        for (seed, words, begins, ends) in [
            (1, 1, true, true),
            (2, 4, true, true),
            (3, 5, false, true),
            (4, 3, true, false),
        ] {
            let (scores, logits) = (scores(seed, 3), logits(seed + 9, words * 3));
            let chain = Chain {
                logits: &logits,
                begins,
                ends,
            };
            let mut truth = vec![Some(1); words];
            truth[words / 2] = None;
            truth[0] = Some(2);
            let fits = |sequence: &[usize]| {
                let pairs = sequence.iter().zip(&truth);
                pairs
                    .clone()
                    .all(|(&tag, known)| known.is_none_or(|known| known == tag))
            };
            let (mut all, mut true_ones) = (0.0, 0.0);
            let mut marginals = vec![0.0; words * 3];
            for sequence in sequences(words, 3) {
                let power = score(&scores, chain, &sequence).exp();
                all += power;
                for (word, &tag) in sequence.iter().enumerate() {
                    marginals[word * 3 + tag] += power;
                }
                if fits(&sequence) {
                    true_ones += power;
                }
            }
            let found = scores.likelihood(chain, &truth);
            assert!((found.loss - (all.ln() - true_ones.ln())).abs() < 1e-9);
            let expected = scores.expect(chain, |_, _| true);
            for (found, power) in expected.tags.iter().zip(&marginals) {
                assert!((found - power / all).abs() < 1e-9);
            }
            let sum: f64 = expected.pairs.iter().sum();
            assert!((sum - (words as f64 - 1.0)).abs() < 1e-9);
        }
    }

    #[test]
    fn gradients_are_the_slopes_of_the_loss() {
        const STEP: f64 = 1e-3;
        let (k, words) = (3, 4);
        let (scores, logits) = (scores(5, k), logits(6, words * k));
        let truth = [Some(0), None, Some(2), Some(1)];
        let loss = |scores: &Scores, logits: &[f32]| {
            let chain = Chain {
                logits,
                begins: true,
                ends: true,
            };
            scores.likelihood(chain, &truth)
        };
        let found = loss(&scores, &logits);
        let slope = |change: &dyn Fn(&mut Scores, &mut Vec<f32>, f64)| {
            let moved = |by: f64| {
                let (mut scores, mut logits) = (scores.clone(), logits.clone());
                change(&mut scores, &mut logits, by);
                loss(&scores, &logits).loss
            };
            (moved(STEP) - moved(-STEP)) / (2.0 * STEP)
        };
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-3, "{a} {b}");
        for tag in 0..k {
            close(found.start[tag], slope(&|s, _, by| s.start[tag] += by));
            close(found.end[tag], slope(&|s, _, by| s.end[tag] += by));
        }
        for pair in 0..k * k {
            close(
                found.transitions[pair],
                slope(&|s, _, by| s.transitions[pair] += by),
            );
        }
        for at in 0..words * k {
            close(found.logits[at], slope(&|_, l, by| l[at] += by as f32));
        }
    }

    #[test]
    fn the_best_sequence_is_the_best_of_those_allowed() {
        let set = TagSet::new(["a", "b"], Scheme::Bio).unwrap();
        for seed in 0..30 {
            let words = 1 + seed % 4;
            let (scores, logits) = (scores(seed, 5), logits(seed + 40, words * 5));
            for (begins, ends) in [(true, true), (false, true), (true, false)] {
                let chain = Chain {
                    logits: &logits,
                    begins,
                    ends,
                };
                let allowed = |sequence: &[usize]| {
                    let pairs = sequence.windows(2);
                    (!begins || set.may_follow(None, Some(sequence[0])))
                        && pairs
                            .clone()
                            .all(|p| set.may_follow(Some(p[0]), Some(p[1])))
                };
                let best = sequences(words, 5)
                    .filter(|sequence| allowed(sequence))
                    .max_by(|a, b| score(&scores, chain, a).total_cmp(&score(&scores, chain, b)));
                assert_eq!(Some(scores.best(chain, &set)), best);
            }
        }
    }
}
