//! The tags of a model, as indices.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::scheme::{DEFAULT_TYPE, Entity, Prefix, Scheme, Tag, borders, read};
use crate::columns;
use crate::error::{DataError, LabelError, TagError, short};

/// The tags of a model, in order: a tag's index is its position.
///
/// Serialises as the list of names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct TagSet {
    names: Vec<String>,
    scheme: Scheme,
    /// For each tag, its prefix and the index of its type.
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
    /// The tags of a scheme for entity types: `O` first, then those of each type; types are sorted by code points.
    ///
    /// # Errors
    /// [`TagError::NoEntities`] without types; [`LabelError::UnnamedClass`] for an empty one.
    pub fn new<'a>(
        types: impl IntoIterator<Item = &'a str>,
        scheme: Scheme,
    ) -> Result<Self, DataError> {
        let types: BTreeSet<&str> = types.into_iter().collect();
        if types.is_empty() {
            return Err(DataError::Tag(TagError::NoEntities));
        }
        let mut prefixes = vec![Prefix::Begin, Prefix::Inside];
        if matches!(scheme, Scheme::Bioes | Scheme::Bilou) {
            prefixes.extend([Prefix::End, Prefix::Single]);
        }
        let mut names = vec!["O".to_string()];
        for (position, kind) in (1..).zip(types) {
            if kind.trim().is_empty() {
                return Err(DataError::Label(LabelError::UnnamedClass { position }));
            }
            let name = |prefix: &Prefix| format!("{}-{kind}", prefix.letter(scheme));
            names.extend(prefixes.iter().map(name));
        }
        let mut set = Self::from_names(names)?;
        set.scheme = scheme; // IOB1 has the names of BIO
        Ok(set)
    }

    /// Creates a set from tags in the given order, such as those of a model trained with other software. Bare letters
    /// have the type [`DEFAULT_TYPE`].
    ///
    /// # Errors
    /// [`TagError::TagName`] for a name that is not a tag, [`LabelError::DuplicateClass`] for a duplicate,
    /// [`TagError::NoOutside`] without `O`, [`TagError::NoEntities`] without any other tag.
    pub fn from_names(names: Vec<String>) -> Result<Self, DataError> {
        let mut types: Vec<String> = Vec::new();
        let mut parts = Vec::with_capacity(names.len());
        let mut positions = HashMap::with_capacity(names.len());
        let mut scheme = Scheme::Bio;
        for (at, name) in names.iter().enumerate() {
            let tag = Tag::parse(name)
                .ok_or_else(|| DataError::Tag(TagError::TagName { name: name.clone() }))?;
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
                return Err(DataError::Label(LabelError::DuplicateClass {
                    name: name.clone(),
                }));
            }
            parts.push(part);
        }
        let outside = positions.get(&(Prefix::Outside, usize::MAX)).copied();
        let outside = outside.ok_or(DataError::Tag(TagError::NoOutside))?;
        if types.is_empty() {
            return Err(DataError::Tag(TagError::NoEntities));
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

    /// Number of tags; never 0.
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

    /// The type with the name most similar to `kind`, for messages.
    pub fn nearest(&self, kind: &str) -> Option<String> {
        columns::nearest(kind, &self.types)
    }

    fn type_index(&self, kind: &str) -> Option<usize> {
        self.types.iter().position(|known| known == kind)
    }

    /// The tag for a position in an entity, or the closest alternative if the set lacks it, as in sets without `B-`.
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

    /// The tags of this many words; `None` for the words of entities whose type is not in the set.
    pub fn encode(&self, entities: &[Entity], words: usize) -> Vec<Option<usize>> {
        let mut tags = vec![Some(self.outside); words];
        self.scheme.mark(entities, words, |word, prefix, kind| {
            tags[word] = self
                .type_index(kind)
                .and_then(|kind| self.position(prefix, kind));
        });
        tags
    }

    /// Decodes tags to entities, as conlleval does: an `I-` without a `B-` begins an entity, as does a change of type.
    /// Tags are indices into the set and must be less than its length.
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

    /// Whether `tag` may follow `before`; `None` is the boundary of the sentence, at either end.
    ///
    /// No entity continues after `O` or after the end of an entity; in BIOES and BILOU, an entity that has begun must
    /// end. IOB1, and sets that lack the tag that begins an entity of that type, allow all transitions.
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

    /// The tag of a continuation of the same word or entity: `I-` after `B-`, otherwise the tag itself.
    pub(crate) fn continued(&self, tag: usize) -> usize {
        match self.parts[tag] {
            (Prefix::Begin, kind) => self.position(Prefix::Inside, kind).unwrap_or(tag),
            _ => tag,
        }
    }

    /// The tag of a word between two tags: inside if the entity of `before` continues at `tag`, else `O`.
    pub(crate) fn between(&self, before: usize, tag: usize) -> usize {
        let ((before, kind), (prefix, other)) = (self.parts[before], self.parts[tag]);
        let (begins, _) = borders((before, kind == other), prefix);
        match begins || prefix == Prefix::Outside {
            true => self.outside,
            false => self.position(Prefix::Inside, kind).unwrap_or(self.outside),
        }
    }
}

/// Entities whose type is not in a [`TagSet`]: each counts as missed, and its words are not used for training.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnseenTypes {
    /// For each such type, the number of entities and the line of the first one, sorted by type.
    pub types: BTreeMap<String, (usize, u64)>,
    /// The file, for messages.
    pub name: String,
    /// The known type most similar to the first of these.
    pub nearest: Option<String>,
}

impl UnseenTypes {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// A one-line summary: ``3 entities of `dev.tsv` have a type that training never saw: `x` (2, first on line 7), …``.
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
