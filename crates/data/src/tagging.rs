//! Tags to entities and back: the schemes of tagging, what becomes of sequences that break their rules, and tags as
//! targets.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::columns;
use crate::error::{DataError, short};

/// The type of an entity where tags are bare (`B`, `I` and `O`, as in the files of BioBERT) and nobody names one.
pub const DEFAULT_TYPE: &str = "entity";

/// One entity: a run of words of one type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entity {
    /// Its first word, from 0.
    pub start: usize,
    /// The word behind its last.
    pub end: usize,
    /// Its type: `person`, `Disease`, ….
    pub kind: String,
}

/// How tags mark where entities begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// `B-` on the first word, `I-` on the others (IOB2; Ratnaparkhi 1998).
    #[default]
    Bio,
    /// `I-` throughout; `B-` only on the first word of an entity directly behind another of its type (Ramshaw & Marcus
    /// 1995).
    Iob1,
    /// As BIO, with `E-` on the last word, and `S-` on the word of an entity that has but one.
    Bioes,
    /// BIOES with the letters `L` and `U`.
    Bilou,
}

impl Scheme {
    /// The letters of the first word, inner words, the last word, and of an only word.
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

    /// Entities as the tags of so many words; of entities that overlap, the later one is written over the earlier.
    pub fn tags(self, entities: &[Entity], words: usize) -> Vec<String> {
        let mut tags = vec!["O".to_string(); words];
        self.mark(entities, words, |word, prefix, kind| {
            tags[word] = format!("{}-{kind}", prefix.letter(self));
        });
        tags
    }

    /// Calls `set` with the prefix and the type of every word that is in an entity.
    fn mark(self, entities: &[Entity], words: usize, mut set: impl FnMut(usize, Prefix, &str)) {
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

    /// The scheme that sequences of tags follow. Without an entity, and where `I-` begins some entities and `B-` others,
    /// it is BIO.
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

/// What a tag says about the place of its word in an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Prefix {
    Outside,
    Begin,
    Inside,
    End,
    Single,
}

impl Prefix {
    fn letter(self, scheme: Scheme) -> char {
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

/// A tag, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag<'a> {
    pub(crate) prefix: Prefix,
    /// The type; nothing if the tag is bare, and outside entities.
    pub(crate) kind: &'a str,
    letter: u8,
}

impl<'a> Tag<'a> {
    pub(crate) const OUTSIDE: Tag<'static> = Tag {
        prefix: Prefix::Outside,
        kind: "",
        letter: b'O',
    };

    /// `O`, or one of the letters `B`, `I`, `E`, `S`, `L`, `U`, alone or with a hyphen and a type, which may hold hyphens.
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

/// What was put right while tags and spans were read; all zero if nothing was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Repairs {
    /// Entities whose first tag is not one that begins an entity.
    pub without_begin: usize,
    /// Entities that begin where the type changes from one word to the next, without a tag that begins an entity.
    pub type_changes: usize,
    /// In BIOES and BILOU, entities without a tag for their last word.
    pub unclosed: usize,
    /// Character spans that begin or end within a word, and were widened to the whole word.
    pub snapped: usize,
    /// Character spans left out because they share a word with a longer one (of equals, the first stays).
    pub overlapping: usize,
    /// Character spans left out because they hold nothing but white space.
    pub blank: usize,
    /// Line of the file where the first of all these is.
    pub first_line: Option<u64>,
}

impl Repairs {
    /// How many there were.
    pub fn total(&self) -> usize {
        self.without_begin
            + self.type_changes
            + self.unclosed
            + self.snapped
            + self.overlapping
            + self.blank
    }

    /// All of them in a line, for the user to read; `None` if there were none.
    pub fn summary(&self) -> Option<String> {
        let parts: Vec<String> = [
            (self.without_begin, "without a tag that begins them"),
            (self.type_changes, "that begin where the type changes"),
            (self.unclosed, "without a tag that ends them"),
            (self.snapped, "widened to whole words"),
            (self.overlapping, "left out for a longer one that overlaps"),
            (self.blank, "left out because they are blank"),
        ]
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        let line = match self.first_line {
            Some(line) => format!(" (the first on line {line})"),
            None => String::new(),
        };
        let entities = if self.total() == 1 {
            "entity"
        } else {
            "entities"
        };
        (!parts.is_empty()).then(|| {
            format!(
                "{} {entities} put right: {}{line}",
                self.total(),
                parts.join(", ")
            )
        })
    }

    pub(crate) fn note(&mut self, line: u64) {
        self.first_line = Some(self.first_line.map_or(line, |first| first.min(line)));
    }
}

/// Whether an entity begins at `tag`, and whether one ends before it: the rules of conlleval, which read every scheme.
fn borders(before: (Prefix, bool), tag: Prefix) -> (bool, bool) {
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

/// The entities of a sequence of prefixes and types.
fn read<K: Copy + PartialEq>(
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

/// The entities that tags of a file mark, read as conlleval reads them. What breaks the rules of `scheme` is counted, with
/// the `line` of the word.
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
            // A change of type is one mistake, not two.
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

/// The tags that a model tells apart, in order: the index of a tag is its position.
///
/// Serialises as the list of names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct TagSet {
    names: Vec<String>,
    scheme: Scheme,
    /// Of each tag, its prefix and the index of its type.
    parts: Vec<(Prefix, usize)>,
    types: Vec<String>,
    positions: HashMap<(Prefix, usize), usize>,
    outside: usize,
}

impl TryFrom<Vec<String>> for TagSet {
    type Error = DataError;

    fn try_from(names: Vec<String>) -> Result<Self, DataError> {
        Self::from_names(names)
    }
}

impl From<TagSet> for Vec<String> {
    fn from(set: TagSet) -> Self {
        set.names
    }
}

impl TagSet {
    /// The tags of a scheme for entity types: `O` first, then those of each type, the types sorted by code points.
    ///
    /// # Errors
    /// [`DataError::NoEntities`] without a type; [`DataError::UnnamedClass`] for an empty one.
    pub fn new<'a>(
        types: impl IntoIterator<Item = &'a str>,
        scheme: Scheme,
    ) -> Result<Self, DataError> {
        let types: BTreeSet<&str> = types.into_iter().collect();
        if types.is_empty() {
            return Err(DataError::NoEntities);
        }
        let mut prefixes = vec![Prefix::Begin, Prefix::Inside];
        if matches!(scheme, Scheme::Bioes | Scheme::Bilou) {
            prefixes.extend([Prefix::End, Prefix::Single]);
        }
        let mut names = vec!["O".to_string()];
        for (position, kind) in (1..).zip(types) {
            if kind.trim().is_empty() {
                return Err(DataError::UnnamedClass { position });
            }
            let name = |prefix: &Prefix| format!("{}-{kind}", prefix.letter(scheme));
            names.extend(prefixes.iter().map(name));
        }
        let mut set = Self::from_names(names)?;
        set.scheme = scheme; // IOB1 has the names of BIO
        Ok(set)
    }

    /// Tags in the order given, such as those of a model that was trained elsewhere. Bare letters stand for the type
    /// [`DEFAULT_TYPE`].
    ///
    /// # Errors
    /// [`DataError::TagName`] for a name that is no tag, [`DataError::DuplicateClass`] for one that is there twice,
    /// [`DataError::NoOutside`] without `O`, [`DataError::NoEntities`] with nothing else.
    pub fn from_names(names: Vec<String>) -> Result<Self, DataError> {
        let mut types: Vec<String> = Vec::new();
        let mut parts = Vec::with_capacity(names.len());
        let mut positions = HashMap::with_capacity(names.len());
        let mut scheme = Scheme::Bio;
        for (at, name) in names.iter().enumerate() {
            let tag = Tag::parse(name).ok_or_else(|| DataError::TagName { name: name.clone() })?;
            match tag.letter {
                b'E' | b'S' => scheme = Scheme::Bioes,
                b'L' | b'U' => scheme = Scheme::Bilou,
                _ => {}
            }
            let part = if tag.prefix == Prefix::Outside {
                (tag.prefix, usize::MAX)
            } else {
                let kind = if tag.is_bare() {
                    DEFAULT_TYPE
                } else {
                    tag.kind
                };
                let known = types.iter().position(|known| known == kind);
                let index = known.unwrap_or_else(|| {
                    types.push(kind.to_string());
                    types.len() - 1
                });
                (tag.prefix, index)
            };
            if positions.insert(part, at).is_some() {
                return Err(DataError::DuplicateClass { name: name.clone() });
            }
            parts.push(part);
        }
        let outside = positions.get(&(Prefix::Outside, usize::MAX)).copied();
        let outside = outside.ok_or(DataError::NoOutside)?;
        if types.is_empty() {
            return Err(DataError::NoEntities);
        }
        Ok(Self {
            names,
            scheme,
            parts,
            types,
            positions,
            outside,
        })
    }

    /// The names, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many tags there are; never 0.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// The types of entities, in the order of the tags.
    pub fn types(&self) -> &[String] {
        &self.types
    }

    /// The scheme of the tags.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Index of `O`.
    pub fn outside(&self) -> usize {
        self.outside
    }

    /// The type whose name is most like `kind`, for messages.
    pub fn nearest(&self, kind: &str) -> Option<String> {
        columns::nearest(kind, &self.types)
    }

    fn type_index(&self, kind: &str) -> Option<usize> {
        self.types.iter().position(|known| known == kind)
    }

    /// The tag for a place in an entity, or the next best if the set lacks it, as sets without `B-` do.
    fn position(&self, prefix: Prefix, kind: usize) -> Option<usize> {
        let others: &[Prefix] = match prefix {
            Prefix::Single => &[Prefix::Single, Prefix::Begin, Prefix::Inside],
            Prefix::End => &[Prefix::End, Prefix::Inside, Prefix::Begin],
            Prefix::Begin => &[Prefix::Begin, Prefix::Inside],
            Prefix::Inside => &[Prefix::Inside, Prefix::Begin],
            Prefix::Outside => return Some(self.outside),
        };
        let of = |prefix: &Prefix| self.positions.get(&(*prefix, kind)).copied();
        others.iter().find_map(of)
    }

    /// The tag of each of so many words; `None` for the words of entities whose type is not among those of the set.
    pub fn encode(&self, entities: &[Entity], words: usize) -> Vec<Option<usize>> {
        let mut tags = vec![Some(self.outside); words];
        self.scheme.mark(entities, words, |word, prefix, kind| {
            tags[word] = self
                .type_index(kind)
                .and_then(|kind| self.position(prefix, kind));
        });
        tags
    }

    /// The entities that tags mark, read as conlleval reads them: an `I-` without a `B-` begins an entity, and so does
    /// a change of type. Tags are indices into the set; each must be less than its length.
    pub fn entities(&self, tags: &[usize]) -> Vec<Entity> {
        let mut entities = Vec::new();
        read(
            tags.iter().map(|&tag| self.parts[tag]),
            |start, end, kind| {
                entities.push(Entity {
                    start,
                    end,
                    kind: self.types[kind].clone(),
                });
            },
        );
        entities
    }

    /// Whether `tag` may stand behind `before`; `None` is the border of the sentence, on either side.
    ///
    /// Behind `O` and behind the end of an entity none goes on; of BIOES and BILOU, what has begun ends. IOB1, and sets
    /// that lack the tag which begins an entity of that type, forbid nothing.
    pub fn may_follow(&self, before: Option<usize>, tag: Option<usize>) -> bool {
        let part =
            |tag: Option<usize>| tag.map_or((Prefix::Outside, usize::MAX), |tag| self.parts[tag]);
        let ((last, kind), (next, other)) = (part(before), part(tag));
        let has = |prefix, kind| self.positions.contains_key(&(prefix, kind));
        if self.scheme == Scheme::Iob1 {
            return true;
        }
        let open = matches!(last, Prefix::Begin | Prefix::Inside);
        let goes_on = matches!(next, Prefix::Inside | Prefix::End);
        if goes_on && has(Prefix::Begin, other) && !(open && kind == other) {
            return false;
        }
        !(open && has(Prefix::End, kind)) || (goes_on && kind == other)
    }

    /// The tag of what follows in the same word, or in the same entity: `I-` behind `B-`, otherwise the tag itself.
    pub(crate) fn continued(&self, tag: usize) -> usize {
        match self.parts[tag] {
            (Prefix::Begin, kind) => self.position(Prefix::Inside, kind).unwrap_or(tag),
            _ => tag,
        }
    }

    /// Whether the entity that `before` is in goes on at `tag`, and, if so, the tag of a word between the two.
    pub(crate) fn between(&self, before: usize, tag: usize) -> usize {
        let ((before, kind), (prefix, other)) = (self.parts[before], self.parts[tag]);
        let (begins, _) = borders((before, kind == other), prefix);
        match begins || prefix == Prefix::Outside {
            true => self.outside,
            false => self.position(Prefix::Inside, kind).unwrap_or(self.outside),
        }
    }
}

/// Entities whose type is not among those of a [`TagSet`]: each counts as missed, and its words are not learned from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnseenTypes {
    /// Each such type, how many entities it has, and the line where the first one begins; by type.
    pub types: BTreeMap<String, (usize, u64)>,
    /// The file, for messages.
    pub name: String,
    /// The type among those known that is most like the first of these.
    pub nearest: Option<String>,
}

impl UnseenTypes {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// All of them in a line: ``3 entities of `dev.tsv` have a type that training never saw: `x` (2, first on line 7), …``.
    pub fn summary(&self) -> Option<String> {
        const SHOWN: usize = 10;
        let total: usize = self.types.values().map(|(count, _)| count).sum();
        let mut list: Vec<String> = self
            .types
            .iter()
            .take(SHOWN)
            .map(|(kind, (count, line))| {
                format!("`{}` ({count}, first on line {line})", short(kind))
            })
            .collect();
        if self.types.len() > SHOWN {
            list.push(format!("{} more", self.types.len() - SHOWN));
        }
        let entities = match total {
            0 => return None,
            1 => "1 entity".to_string(),
            total => format!("{total} entities"),
        };
        let verb = if total == 1 { "has" } else { "have" };
        let nearest = match &self.nearest {
            Some(nearest) => format!("; the most similar one that it saw is `{nearest}`"),
            None => String::new(),
        };
        Some(format!(
            "{entities} of `{}` {verb} a type that training never saw: {}{nearest}",
            self.name,
            list.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn entity(start: usize, end: usize, kind: &str) -> Entity {
        Entity {
            start,
            end,
            kind: kind.into(),
        }
    }

    fn decoded(text: &str) -> (Scheme, Vec<Entity>, Repairs) {
        let tags: Vec<Tag<'_>> = text
            .split(' ')
            .map(|tag| Tag::parse(tag).unwrap())
            .collect();
        let scheme = Scheme::detect(std::slice::from_ref(&tags));
        let mut repairs = Repairs::default();
        let entities = decode(
            &tags,
            scheme,
            DEFAULT_TYPE,
            |word| word as u64 + 1,
            &mut repairs,
        );
        (scheme, entities, repairs)
    }

    #[test]
    fn schemes_are_recognised_and_read() {
        let expected = [
            entity(0, 2, "PER"),
            entity(2, 3, "PER"),
            entity(4, 5, "LOC"),
        ];
        for (text, scheme) in [
            ("B-PER I-PER B-PER O B-LOC", Scheme::Bio),
            ("I-PER I-PER B-PER O I-LOC", Scheme::Iob1),
            ("B-PER E-PER S-PER O S-LOC", Scheme::Bioes),
            ("B-PER L-PER U-PER O U-LOC", Scheme::Bilou),
        ] {
            let (found, entities, repairs) = decoded(text);
            assert_eq!(
                (found, entities.as_slice()),
                (scheme, &expected[..]),
                "{text}"
            );
            assert_eq!(repairs.summary(), None, "{text}");
            assert_eq!(scheme.tags(&expected, 5).join(" "), text);
        }
        assert_eq!(decoded("O O").0, Scheme::Bio);
    }

    #[test]
    fn bare_letters_are_entities_of_a_type_that_is_named_elsewhere() {
        assert_eq!(
            decoded("O B I B").1,
            [entity(1, 3, DEFAULT_TYPE), entity(3, 4, DEFAULT_TYPE)]
        );
    }

    #[test]
    fn broken_sequences_are_read_as_conlleval_does_and_counted() {
        let (_, entities, repairs) = decoded("B-A I-B O I-A I-A B-B");
        assert_eq!(
            entities,
            [
                entity(0, 1, "A"),
                entity(1, 2, "B"),
                entity(3, 5, "A"),
                entity(5, 6, "B")
            ]
        );
        assert_eq!((repairs.type_changes, repairs.without_begin), (1, 1));
        assert_eq!(
            repairs.summary().unwrap(),
            "2 entities put right: 1 without a tag that begins them, 1 that begin where the type changes \
             (the first on line 2)"
        );
        let (_, entities, repairs) = decoded("B-A I-A O S-A E-A B-A S-B B-A E-B");
        assert_eq!(entities.len(), 7);
        assert_eq!(
            (
                repairs.unclosed,
                repairs.without_begin,
                repairs.type_changes
            ),
            (2, 1, 1)
        );
        assert_eq!(repairs.total(), 4);
    }

    #[test]
    fn types_may_hold_hyphens_and_other_texts_are_no_tags() {
        assert_eq!(Tag::parse("B-creative-work").unwrap().kind, "creative-work");
        for text in [
            "", "o", "B-", "X-PER", "BPER", "OO", "PER", "Ö", "-", "B_PER",
        ] {
            assert_eq!(Tag::parse(text), None, "{text}");
        }
    }

    #[test]
    fn sets_list_outside_first_and_types_in_order() {
        let set = TagSet::new(["b", "a", "b"], Scheme::Bio).unwrap();
        assert_eq!(set.names(), ["O", "B-a", "I-a", "B-b", "I-b"]);
        let set = TagSet::new(["a"], Scheme::Bilou).unwrap();
        assert_eq!(set.names(), ["O", "B-a", "I-a", "L-a", "U-a"]);
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(serde_json::from_str::<TagSet>(&json).unwrap(), set);
        assert!(matches!(
            TagSet::new([], Scheme::Bio),
            Err(DataError::NoEntities)
        ));
    }

    #[test]
    fn entities_go_on_only_where_they_have_begun() {
        let forbidden = |set: &TagSet| -> Vec<String> {
            let names = |tag: Option<usize>| tag.map_or("|", |tag| set.names()[tag].as_str());
            let places = || std::iter::once(None).chain((0..set.len()).map(Some));
            let pairs = places().flat_map(|before| places().map(move |tag| (before, tag)));
            pairs
                .filter(|&(before, tag)| !set.may_follow(before, tag))
                .map(|(before, tag)| format!("{} {}", names(before), names(tag)))
                .collect()
        };
        let bio = TagSet::new(["a", "b"], Scheme::Bio).unwrap();
        assert_eq!(
            forbidden(&bio),
            [
                "| I-a", "| I-b", "O I-a", "O I-b", "B-a I-b", "I-a I-b", "B-b I-a", "I-b I-a"
            ]
        );
        let bioes = TagSet::new(["a"], Scheme::Bioes).unwrap();
        assert_eq!(
            forbidden(&bioes),
            [
                "| I-a", "| E-a", "O I-a", "O E-a", "B-a |", "B-a O", "B-a B-a", "B-a S-a",
                "I-a |", "I-a O", "I-a B-a", "I-a S-a", "E-a I-a", "E-a E-a", "S-a I-a", "S-a E-a"
            ]
        );
        assert!(forbidden(&TagSet::new(["a"], Scheme::Iob1).unwrap()).is_empty());
        let inner = TagSet::from_names(vec!["I-a".into(), "O".into()]).unwrap();
        assert!(forbidden(&inner).is_empty());
    }

    #[test]
    fn sets_of_models_from_elsewhere_are_read_or_refused_by_name() {
        let set =
            |names: &[&str]| TagSet::from_names(names.iter().map(|n| n.to_string()).collect());
        // A model that only knows `I-`.
        let inner = set(&["I-PER", "O", "I-LOC"]).unwrap();
        let tags = inner.encode(&[entity(0, 2, "PER"), entity(3, 4, "ORG")], 4);
        assert_eq!(tags, [Some(0), Some(0), Some(1), None]);
        assert_eq!(
            inner.entities(&[1, 0, 0, 2]),
            [entity(1, 3, "PER"), entity(3, 4, "LOC")]
        );
        let bare = set(&["O", "B", "I"]).unwrap();
        assert_eq!(bare.types(), [DEFAULT_TYPE]);
        assert_eq!(
            set(&["LABEL_0", "LABEL_1"]).unwrap_err().to_string(),
            "`LABEL_0` is no tag, expected `O`, or one of the letters `B`, `I`, `E`, `S`, `L`, `U`, alone or with a hyphen \
             and a type behind it"
        );
        assert!(matches!(set(&["B-a", "I-a"]), Err(DataError::NoOutside)));
        assert!(matches!(
            set(&["O", "B-a", "B-a"]),
            Err(DataError::DuplicateClass { .. })
        ));
    }

    proptest! {
        #[test]
        fn entities_survive_every_scheme(lengths in prop::collection::vec((0usize..3, 1usize..4, 0usize..2), 0..8)) {
            let mut entities = Vec::new();
            let mut at = 0;
            for (gap, length, kind) in lengths {
                at += gap;
                entities.push(entity(at, at + length, ["x", "y-z"][kind]));
                at += length;
            }
            for scheme in [Scheme::Bio, Scheme::Iob1, Scheme::Bioes, Scheme::Bilou] {
                let set = TagSet::new(["x", "y-z"], scheme).unwrap();
                let ids: Vec<usize> = set.encode(&entities, at + 1).into_iter().map(Option::unwrap).collect();
                prop_assert_eq!(&set.entities(&ids), &entities);
                let names = scheme.tags(&entities, at + 1);
                let of_set: Vec<&String> = ids.iter().map(|&id| &set.names()[id]).collect();
                prop_assert_eq!(names.iter().collect::<Vec<_>>(), of_set);
                let tags: Vec<Tag<'_>> = names.iter().map(|tag| Tag::parse(tag).unwrap()).collect();
                let mut repairs = Repairs::default();
                prop_assert_eq!(&decode(&tags, scheme, "", |_| 0, &mut repairs), &entities);
                prop_assert_eq!(repairs.total(), 0);
            }
        }
    }
}
