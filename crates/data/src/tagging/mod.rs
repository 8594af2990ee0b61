//! Named entities in tagged words: schemes, tag sets, sentences, and alignment with sub-word tokens.

pub mod alignment;
pub(crate) mod builder;
mod corpus;
mod repairs;
mod scheme;
mod tag_set;
mod words;

pub(crate) use self::corpus::Layout;
pub use self::corpus::{TaggedCorpus, TaggedSentence, TextSpan};
pub use self::repairs::Repairs;
pub(crate) use self::scheme::Tag;
pub use self::scheme::{DEFAULT_TYPE, Entity, Scheme};
pub use self::tag_set::{TagSet, UnseenTypes};
pub use self::words::split_words;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::scheme::decode;
    use super::*;
    use crate::error::{DataError, LabelError, TagError};

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
            Err(DataError::Tag(TagError::NoEntities))
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
        // A model that has only `I-` tags.
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
        assert!(matches!(
            set(&["B-a", "I-a"]),
            Err(DataError::Tag(TagError::NoOutside))
        ));
        assert!(matches!(
            set(&["O", "B-a", "B-a"]),
            Err(DataError::Label(LabelError::DuplicateClass { .. }))
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
