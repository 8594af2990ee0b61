//! Aligns words with the sub-word tokens of a model.
//!
//! A sentence is tokenized as a whole, and every token is assigned to the word that contains its first character, by
//! offsets; a token that begins with a space between words is assigned to the following word. How a tokenizer marks the
//! inner pieces of words does not matter. The result equals `word_ids` of transformers.
//!
//! A sentence longer than the maximum length is cut into windows at word boundaries ([`crate::windows`]), and the
//! prediction for each word is taken from the window where it has most context.
//!
//! A word may have no token: the tokenizer dropped its characters (control characters, an empty word), or one token spans
//! several words (`").`). Such a word is not used for training. [`TagWindows::merge`] gives it the continued tag of the
//! word with which it shares the token; otherwise, within an entity, the entity's inside tag, else `O`.

use std::ops::Range;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::tagging::TaggedSentence;
use crate::tagging::{Entity, TagSet};
use crate::tokenizer::{Encoding, TextTokenizer, TokenizerError};
use crate::windows;

/// The tokens of a word that are trained to predict its tag. Predictions always come from the first token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabelledTokens {
    /// The first (Devlin et al. 2019, §5.3).
    #[default]
    First,
    /// All; after a first token with `B-`, the others have `I-`.
    All,
}

/// Settings for converting sentences to inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagWindowOptions {
    /// Maximum length of a window in tokens, special tokens included.
    pub max_length: usize,
    /// Minimum number of tokens shared by adjacent windows.
    pub overlap: usize,
    /// The tokens of a word that have a target.
    pub labelled: LabelledTokens,
}

/// The first token of a word, in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WordHead {
    /// Index of the token in the window's encoding.
    pub position: usize,
    /// Index of the word in its sentence.
    pub word: usize,
    /// Whether the word has most context in this window, so that its prediction is taken from here.
    pub owned: bool,
}

/// A sentence, or the part of it in one window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagWindow {
    /// Index of the sentence.
    pub sentence: usize,
    /// The tokens, special tokens included.
    pub encoding: Encoding,
    /// For each token, the index of its word in the sentence; `None` for special tokens.
    pub words: Vec<Option<usize>>,
    /// The target tag of each token, if any.
    pub targets: Vec<Option<usize>>,
    /// The first token of each word that begins in this window, in order.
    pub heads: Vec<WordHead>,
}

/// The windows of many sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagWindows {
    /// All windows, in the order of the sentences; a sentence without tokens has none.
    pub windows: Vec<TagWindow>,
    /// Number of sentences longer than a window.
    pub cut_sentences: usize,
    /// Number of words without a token.
    pub words_without_token: usize,
    /// For each word of each sentence, the word whose first token it is predicted from: itself, or an earlier word that
    /// shares a token with it. `None` if it has no token at all.
    sources: Vec<Vec<Option<usize>>>,
}

/// Cuts sentences into windows of tokens, on all cores. With `tags`, sentences with entities also have targets; words in
/// entities of types not in `tags` have none.
///
/// # Errors
/// [`TokenizerError::MaxLength`] if only special tokens fit; [`TokenizerError::Overlap`] if the overlap of windows is not
/// smaller than their size.
pub fn tag_windows(
    sentences: &[TaggedSentence],
    tags: Option<&TagSet>,
    tokenizer: &TextTokenizer,
    options: &TagWindowOptions,
) -> Result<TagWindows, TokenizerError> {
    let template = tokenizer.template(false)?;
    let (special, first) = (template.len(), template.first_at());
    let max_length = options.max_length;
    let room = max_length.saturating_sub(special);
    if room == 0 {
        return Err(TokenizerError::MaxLength {
            max_length,
            special,
        });
    }
    let overlap = options.overlap;
    if overlap >= room {
        return Err(TokenizerError::Overlap { overlap, room });
    }
    let cut = |(index, sentence): (usize, &TaggedSentence)| {
        let aligned = Aligned::new(sentence, tokenizer)?;
        let targets = match (tags, &sentence.entities) {
            (Some(tags), Some(entities)) => aligned.targets(entities, tags, options.labelled),
            _ => vec![None; aligned.ids.len()],
        };
        let ranges = windows::cut(aligned.ids.len(), room, overlap, |at| aligned.begins(at));
        let owners = windows::owners(&ranges);
        let framed = |range: &Range<usize>, of: &[Option<usize>]| {
            let mut framed = vec![None; range.len() + special];
            framed[first..first + range.len()].copy_from_slice(&of[range.clone()]);
            framed
        };
        let window = |(number, range): (usize, &Range<usize>)| {
            let heads = range.clone().filter_map(|token| {
                let word = aligned.words[token].filter(|_| aligned.is_head(token))?;
                Some(WordHead {
                    position: token - range.start + first,
                    word,
                    owned: owners[token] == number,
                })
            });
            TagWindow {
                sentence: index,
                heads: heads.collect(),
                words: framed(range, &aligned.words),
                targets: framed(range, &targets),
                encoding: template.encoding(&aligned.ids[range.clone()], &[]),
            }
        };
        let windows: Vec<TagWindow> = ranges.iter().enumerate().map(window).collect();
        Ok((windows, aligned.sources))
    };
    let all: Vec<_> = sentences
        .par_iter()
        .enumerate()
        .map(cut)
        .collect::<Result<_, TokenizerError>>()?;
    let mut out = TagWindows {
        windows: Vec::with_capacity(all.len()),
        cut_sentences: 0,
        words_without_token: 0,
        sources: Vec::with_capacity(all.len()),
    };
    for (windows, sources) in all {
        out.cut_sentences += usize::from(windows.len() > 1);
        let own = |&(word, source): &(usize, &Option<usize>)| *source == Some(word);
        out.words_without_token += sources.len() - sources.iter().enumerate().filter(own).count();
        out.windows.extend(windows);
        out.sources.push(sources);
    }
    Ok(out)
}

impl TagWindows {
    /// One value per word of each sentence, given one per [`TagWindow::heads`] entry of each window: the value from the
    /// window where the word has most context. A word that shares its token with an earlier word has the value of that
    /// word; words without a token have `None`.
    ///
    /// # Panics
    /// If the number of values differs from the number of heads.
    pub fn by_word<T: Clone>(&self, values: &[Vec<T>]) -> Vec<Vec<Option<T>>> {
        assert_eq!(values.len(), self.windows.len());
        let mut sentences: Vec<Vec<Option<T>>> = self
            .sources
            .iter()
            .map(|sources| vec![None; sources.len()])
            .collect();
        for (window, values) in self.windows.iter().zip(values) {
            assert_eq!(values.len(), window.heads.len());
            for (head, value) in window.heads.iter().zip(values) {
                if head.owned {
                    sentences[window.sentence][head.word] = Some(value.clone());
                }
            }
        }
        for (sentence, sources) in sentences.iter_mut().zip(&self.sources) {
            for (word, source) in sources.iter().enumerate() {
                if let Some(source) = source.filter(|&source| source != word) {
                    sentence[word] = sentence[source].clone();
                }
            }
        }
        sentences
    }

    /// The tag of every word of every sentence, as indices into `tags`, given one prediction per [`TagWindow::heads`]
    /// entry of each window.
    ///
    /// # Panics
    /// If the number of predictions differs from the number of heads.
    pub fn merge(&self, tags: &TagSet, predicted: &[Vec<usize>]) -> Vec<Vec<usize>> {
        let complete = |(sentence, sources): (Vec<Option<usize>>, &Vec<Option<usize>>)| {
            let mut behind = vec![None; sentence.len()];
            let mut next = None;
            for word in (0..sentence.len()).rev() {
                next = sentence[word].or(next);
                behind[word] = next;
            }
            let mut complete = Vec::with_capacity(sentence.len());
            for (word, tag) in sentence.iter().enumerate() {
                complete.push(match (*tag, sources[word]) {
                    (Some(tag), Some(source)) if source < word => tags.continued(tag),
                    (Some(tag), _) => tag,
                    (None, _) => match (complete.last(), behind[word]) {
                        (Some(&before), Some(next)) => tags.between(before, next),
                        _ => tags.outside(),
                    },
                });
            }
            complete
        };
        let sentences = self.by_word(predicted).into_iter();
        sentences.zip(&self.sources).map(complete).collect()
    }
}

/// The tokens of a sentence and the words they belong to.
struct Aligned {
    ids: Vec<u32>,
    /// For each token, its word; `None` for trailing white space.
    words: Vec<Option<usize>>,
    /// As [`TagWindows::sources`].
    sources: Vec<Option<usize>>,
    /// For each word, its first token.
    first: Vec<Option<usize>>,
}

impl Aligned {
    fn new(sentence: &TaggedSentence, tokenizer: &TextTokenizer) -> Result<Self, TokenizerError> {
        let located = tokenizer.locate(&sentence.text)?;
        let ranges = &sentence.words;
        let mut words = Vec::with_capacity(located.ids.len());
        let mut first = vec![None; ranges.len()];
        let mut sources = vec![None; ranges.len()];
        let mut at = 0;
        for (token, &(start, end)) in located.spans.iter().enumerate() {
            let (start, end) = (start as usize, end as usize);
            // A token may begin before the end of the previous one, but hardly ever in an earlier word.
            while at > 0 && ranges[at - 1].end > start {
                at -= 1;
            }
            while ranges.get(at).is_some_and(|range| range.end <= start) {
                at += 1;
            }
            let word = (at < ranges.len()).then_some(at);
            words.push(word);
            let Some(word) = word else { continue };
            first[word].get_or_insert(token);
            sources[word] = Some(word);
            for later in word + 1..ranges.len() {
                if ranges[later].start >= end {
                    break;
                }
                if !ranges[later].is_empty() {
                    sources[later].get_or_insert(word);
                }
            }
        }
        // If a word shares its token with a word that has none, both are predicted from the same token.
        for word in 0..sources.len() {
            if let Some(source) = sources[word].filter(|&source| source < word) {
                sources[word] = sources[source];
            }
        }
        Ok(Self {
            ids: located.ids,
            words,
            sources,
            first,
        })
    }

    fn is_head(&self, token: usize) -> bool {
        self.words[token].is_some_and(|word| self.first[word] == Some(token))
    }

    /// Whether a window may begin at a token: not within a word, nor at trailing white space.
    fn begins(&self, token: usize) -> bool {
        self.is_head(token)
    }

    fn targets(
        &self,
        entities: &[Entity],
        tags: &TagSet,
        labelled: LabelledTokens,
    ) -> Vec<Option<usize>> {
        // Only words with a token count, so that every entity has a first word among them.
        let seen: Vec<usize> = (0..self.first.len())
            .filter(|&word| self.first[word].is_some())
            .collect();
        let place = |word: usize| seen.partition_point(|&other| other < word);
        let entities: Vec<Entity> = entities
            .iter()
            .map(|entity| Entity {
                start: place(entity.start),
                end: place(entity.end),
                kind: entity.kind.clone(),
            })
            .filter(|entity| entity.start < entity.end)
            .collect();
        let of_seen = tags.encode(&entities, seen.len());
        let mut of_word = vec![None; self.first.len()];
        for (&word, tag) in seen.iter().zip(of_seen) {
            of_word[word] = tag;
        }
        let target = |(token, word): (usize, &Option<usize>)| {
            let tag = of_word[(*word)?]?;
            match (self.is_head(token), labelled) {
                (true, _) => Some(tag),
                (false, LabelledTokens::All) => Some(tags.continued(tag)),
                (false, LabelledTokens::First) => None,
            }
        };
        self.words.iter().enumerate().map(target).collect()
    }
}

#[cfg(test)]
mod tests;
