//! Tagging schemes: conversion between tags and entities.

use serde::{Deserialize, Serialize};

use super::repairs::Repairs;

/// The default type of entities with bare tags (`B`, `I` and `O`, as in the files of BioBERT).
pub const DEFAULT_TYPE: &str = "entity";

/// One entity: a run of words of one type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entity {
    /// Its first word, from 0.
    pub start: usize,
    /// One past its last word.
    pub end: usize,
    /// Its type: `person`, `Disease`, ….
    pub kind: String,
}

/// How tags mark the boundaries of entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// `B-` on the first word, `I-` on the others (IOB2; Ratnaparkhi 1998).
    #[default]
    Bio,
    /// `I-` throughout; `B-` only on the first word of an entity directly after another of its type (Ramshaw & Marcus
    /// 1995).
    Iob1,
    /// As BIO, with `E-` on the last word, and `S-` on the word of a single-word entity.
    Bioes,
    /// As BIOES, with the letters `L` and `U` instead of `E` and `S`.
    Bilou,
}

impl Scheme {
    /// The letters of the first word, inner words, the last word, and the word of a single-word entity.
    fn letters(self) -> [Prefix; 4] {
        match self {
            Self::Bio | Self::Iob1 => {
                [Prefix::Begin, Prefix::Inside, Prefix::Inside, Prefix::Begin]
            }
            Self::Bioes | Self::Bilou => {
                [Prefix::Begin, Prefix::Inside, Prefix::End, Prefix::Single]
            }
        }
    }

    /// The tags of this many words; if entities overlap, later ones overwrite earlier ones.
    pub fn tags(self, entities: &[Entity], words: usize) -> Vec<String> {
        let mut tags = vec!["O".to_string(); words];
        self.mark(entities, words, |word, prefix, kind| {
            tags[word] = format!("{}-{kind}", prefix.letter(self));
        });
        tags
    }

    /// Calls `set` with the prefix and type of every word in an entity.
    pub(super) fn mark(
        self,
        entities: &[Entity],
        words: usize,
        mut set: impl FnMut(usize, Prefix, &str),
    ) {
        let [first, inner, last, only] = self.letters();
        let mut before: Option<&Entity> = None;
        for entity in entities {
            let end = entity.end.min(words);
            let adjacent = before.is_some_and(|b| b.end == entity.start && b.kind == entity.kind);
            for word in entity.start..end {
                let prefix = match (word == entity.start, word + 1 == end) {
                    (true, _) if self == Self::Iob1 && !adjacent => Prefix::Inside,
                    (true, true) => only,
                    (true, false) => first,
                    (false, true) => last,
                    (false, false) => inner,
                };
                set(word, prefix, &entity.kind);
            }
            before = Some(entity);
        }
    }

    /// Detects the scheme of tag sequences. Returns BIO if there are no entities, or if `I-` begins some entities and
    /// `B-` others.
    pub(crate) fn detect(sequences: &[Vec<Tag<'_>>]) -> Self {
        let all = || sequences.iter().flatten();
        if all().any(|tag| matches!(tag.letter, b'E' | b'S')) {
            return Self::Bioes;
        }
        if all().any(|tag| matches!(tag.letter, b'L' | b'U')) {
            return Self::Bilou;
        }
        let (mut inside, mut begin) = (false, false);
        for tags in sequences {
            let mut before = Tag::OUTSIDE;
            for &tag in tags {
                let goes_on = before.prefix != Prefix::Outside && before.kind == tag.kind;
                inside |= tag.prefix == Prefix::Inside && !goes_on;
                begin |= tag.prefix == Prefix::Begin && !goes_on;
                before = tag;
            }
        }
        match inside && !begin {
            true => Self::Iob1,
            false => Self::Bio,
        }
    }
}

/// The position of a word in an entity, according to its tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Prefix {
    Outside,
    Begin,
    Inside,
    End,
    Single,
}

impl Prefix {
    pub(super) fn letter(self, scheme: Scheme) -> char {
        match (self, scheme) {
            (Self::Outside, _) => 'O',
            (Self::Begin, _) => 'B',
            (Self::Inside, _) => 'I',
            (Self::End, Scheme::Bilou) => 'L',
            (Self::End, _) => 'E',
            (Self::Single, Scheme::Bilou) => 'U',
            (Self::Single, _) => 'S',
        }
    }
}

/// A parsed tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag<'a> {
    pub(crate) prefix: Prefix,
    /// The type; empty for bare tags and outside entities.
    pub(crate) kind: &'a str,
    pub(super) letter: u8,
}

impl<'a> Tag<'a> {
    pub(crate) const OUTSIDE: Tag<'static> = Tag {
        prefix: Prefix::Outside,
        kind: "",
        letter: b'O',
    };

    /// Parses `O`, or one of the letters `B`, `I`, `E`, `S`, `L`, `U`, alone or with a hyphen and a type, which may
    /// contain hyphens.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (&letter, rest) = text.as_bytes().split_first()?;
        let prefix = match letter {
            b'O' if rest.is_empty() => return Some(Self::OUTSIDE),
            b'B' => Prefix::Begin,
            b'I' => Prefix::Inside,
            b'E' | b'L' => Prefix::End,
            b'S' | b'U' => Prefix::Single,
            _ => return None,
        };
        let kind = match rest {
            [] => "",
            [b'-', _, ..] => &text[2..],
            _ => return None,
        };
        Some(Self {
            prefix,
            kind,
            letter,
        })
    }

    /// Whether it is a letter without a type.
    pub(crate) fn is_bare(self) -> bool {
        self.prefix != Prefix::Outside && self.kind.is_empty()
    }
}

/// Whether an entity begins at `tag`, and whether one ends before it, by the rules of conlleval, which apply to every
/// scheme.
pub(super) fn borders(before: (Prefix, bool), tag: Prefix) -> (bool, bool) {
    use Prefix::{Begin, End, Inside, Outside, Single};
    let (before, same_type) = before;
    let begins = match tag {
        Outside => false,
        Begin | Single => true,
        Inside | End => matches!(before, Outside | End | Single) || !same_type,
    };
    let ends = match before {
        Outside => false,
        End | Single => true,
        Begin | Inside => matches!(tag, Outside | Begin | Single) || !same_type,
    };
    (begins, ends)
}

/// Decodes a sequence of prefixes and types to entities.
pub(super) fn read<K: Copy + PartialEq>(
    tags: impl IntoIterator<Item = (Prefix, K)>,
    mut found: impl FnMut(usize, usize, K),
) {
    let mut open: Option<(usize, K)> = None;
    let mut before: Option<(Prefix, K)> = None;
    let mut length = 0;
    for (word, (prefix, kind)) in tags.into_iter().enumerate() {
        let last = before.map_or((Prefix::Outside, true), |(prefix, last)| {
            (prefix, last == kind)
        });
        let (begins, ends) = borders(last, prefix);
        if let Some((start, kind)) = open.filter(|_| ends) {
            found(start, word, kind);
            open = None;
        }
        if begins {
            open = Some((word, kind));
        }
        before = Some((prefix, kind));
        length = word + 1;
    }
    if let Some((start, kind)) = open {
        found(start, length, kind);
    }
}

/// Decodes the tags of a file to entities, as conlleval does. Violations of `scheme` are counted with the `line` of the
/// word.
pub(crate) fn decode(
    tags: &[Tag<'_>],
    scheme: Scheme,
    bare: &str,
    line: impl Fn(usize) -> u64,
    repairs: &mut Repairs,
) -> Vec<Entity> {
    let mut entities = Vec::new();
    read(
        tags.iter().map(|tag| (tag.prefix, tag.kind)),
        |start, end, kind| {
            let kind = if kind.is_empty() { bare } else { kind };
            entities.push(Entity {
                start,
                end,
                kind: kind.to_string(),
            });
            if scheme == Scheme::Iob1 {
                return;
            }
            if matches!(tags[start].prefix, Prefix::Inside | Prefix::End) {
                let before = start.checked_sub(1).map_or(Tag::OUTSIDE, |at| tags[at]);
                match before.prefix {
                    Prefix::Begin | Prefix::Inside => repairs.type_changes += 1,
                    _ => repairs.without_begin += 1,
                }
                repairs.note(line(start));
            }
            let closes = matches!(tags[end - 1].prefix, Prefix::End | Prefix::Single);
            // Count a change of type as one error, not two.
            let changes = tags
                .get(end)
                .is_some_and(|next| matches!(next.prefix, Prefix::Inside | Prefix::End));
            if matches!(scheme, Scheme::Bioes | Scheme::Bilou) && !closes && !changes {
                repairs.unclosed += 1;
                repairs.note(line(end - 1));
            }
        },
    );
    entities
}
