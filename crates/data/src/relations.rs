//! Relations between entities in a sentence: BioBERT's files, and entity marking and anonymisation in texts.
//!
//! ```
//! use bertkit_data::relations::{MarkStyle, Mention, mark_entities};
//!
//! let mention = |start, end, kind: &str| Mention { start, end, kind: Some(kind.into()) };
//! let mentions = [mention(0, 5, "gene"), mention(15, 21, "disease")];
//! let text = "BRCA1 leads to cancer";
//! assert_eq!(mark_entities(text, &mentions, MarkStyle::Anonymised)?, "@GENE$ leads to @DISEASE$");
//! assert_eq!(
//!     mark_entities(text, &mentions, MarkStyle::Markers)?,
//!     "[E1] BRCA1 [/E1] leads to [E2] cancer [/E2]"
//! );
//! # Ok::<(), bertkit_data::error::MentionError>(())
//! ```

use serde::{Deserialize, Serialize};

use crate::characters::Characters;
use crate::columns::Column;
use crate::error::{DataError, MentionError, TableError};
use crate::table::{Cell, Row, Table};

/// An entity in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// Start, in characters from 0.
    pub start: usize,
    /// End, in characters, exclusive.
    pub end: usize,
    /// Its type, such as gene or disease.
    pub kind: Option<String>,
}

/// How entities are marked in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarkStyle {
    /// An entity is replaced by its type, `@GENE$`, or, if it has none, by its number, `@ENTITY1$` (Lee et al. 2020,
    /// §3.3).
    Anonymised,
    /// An entity is enclosed in tokens, `[E1] BRCA1 [/E1]` (Baldini Soares et al. 2019, §3.2). These must be in the
    /// vocabulary: see [`MarkStyle::tokens`].
    Markers,
}

impl MarkStyle {
    /// The tokens inserted into texts with this many entities that a vocabulary may lack, for
    /// [`TextTokenizer::with_added_tokens`](crate::tokenizer::TextTokenizer::with_added_tokens).
    pub fn tokens(self, entities: usize) -> Vec<String> {
        match self {
            Self::Anonymised => Vec::new(),
            Self::Markers => (1..=entities)
                .flat_map(|number| [format!("[E{number}]"), format!("[/E{number}]")])
                .collect(),
        }
    }
}

/// Marks entities in a text; the first of `mentions` is entity 1, regardless of its position.
///
/// With [`MarkStyle::Markers`], entities may be nested, but may not partially overlap; with [`MarkStyle::Anonymised`]
/// they may not share any character.
///
/// # Errors
/// An entity that is empty or outside the text; entities that overlap where this is not allowed.
pub fn mark_entities(
    text: &str,
    mentions: &[Mention],
    style: MarkStyle,
) -> Result<String, MentionError> {
    let characters = Characters::new(text);
    let length = characters.character(text.len());
    // In text order; of two entities with the same start, the longer one is the outer one.
    let mut order: Vec<usize> = (0..mentions.len()).collect();
    order.sort_by_key(|&at| (mentions[at].start, std::cmp::Reverse(mentions[at].end)));
    let byte = |character| characters.byte(character).unwrap_or(text.len());
    let mut marked = String::with_capacity(text.len() + 16 * mentions.len());
    let mut at = 0;
    let mut open: Vec<usize> = Vec::new();
    let close = |number: usize, at: &mut usize, marked: &mut String| {
        let end = byte(mentions[number].end);
        marked.push_str(&text[*at..end]);
        if !marked.ends_with(' ') {
            marked.push(' ');
        }
        marked.push_str(&format!("[/E{}]", number + 1));
        *at = end;
        // Without a space, the marker would be joined to the next word.
        if text[end..]
            .chars()
            .next()
            .is_some_and(|next| !next.is_whitespace())
        {
            marked.push(' ');
        }
    };
    for number in order {
        let mention = &mentions[number];
        if mention.start >= mention.end || mention.end > length {
            return Err(MentionError::Outside {
                number: number + 1,
                start: mention.start,
                end: mention.end,
                length,
            });
        }
        while let Some(&last) = open.last() {
            if mentions[last].end <= mention.start {
                if style == MarkStyle::Markers {
                    close(last, &mut at, &mut marked);
                }
                open.pop();
            } else if mention.end > mentions[last].end || style == MarkStyle::Anonymised {
                return Err(MentionError::Overlap {
                    first: number.min(last) + 1,
                    second: number.max(last) + 1,
                });
            } else {
                break;
            }
        }
        let start = byte(mention.start);
        marked.push_str(&text[at..start]);
        at = start;
        match (style, &mention.kind) {
            (MarkStyle::Markers, _) => {
                let apart = marked.chars().next_back();
                if apart.is_some_and(|before| !before.is_whitespace()) {
                    marked.push(' ');
                }
                marked.push_str(&format!("[E{}] ", number + 1));
            }
            (MarkStyle::Anonymised, Some(kind)) => {
                marked.push_str(&format!("@{}$", kind.trim().to_uppercase()));
                at = byte(mention.end);
            }
            (MarkStyle::Anonymised, None) => {
                marked.push_str(&format!("@ENTITY{}$", number + 1));
                at = byte(mention.end);
            }
        }
        open.push(number);
    }
    while let Some(last) = open.pop() {
        if style == MarkStyle::Markers {
            close(last, &mut at, &mut marked);
        }
    }
    marked.push_str(&text[at..]);
    Ok(marked)
}

/// Removes the tags `<e1>…</e1>`, `<e2>…</e2>` and so on (SemEval-2010 task 8) from a text, and returns the entities that
/// they mark in order of their numbers. A text without tags is returned unchanged.
///
/// # Errors
/// An unmatched or repeated tag.
pub fn parse_tagged(text: &str) -> Result<(String, Vec<Mention>), MentionError> {
    let mut plain = String::with_capacity(text.len());
    // Start and end of each entity, by number.
    let mut found: std::collections::BTreeMap<usize, (usize, Option<usize>)> = Default::default();
    let mut length = 0;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let Some((closing, number, size)) = tag(rest) else {
            plain.push(next);
            length += 1;
            rest = &rest[next.len_utf8()..];
            continue;
        };
        let wrong = |problem| MentionError::Tag {
            tag: rest[..size].into(),
            problem,
        };
        match (closing, found.get_mut(&number)) {
            (false, None) => {
                found.insert(number, (length, None));
            }
            (false, Some(_)) => return Err(wrong("comes twice")),
            (true, Some((_, end @ None))) => *end = Some(length),
            (true, Some(_)) => return Err(wrong("comes twice")),
            (true, None) => return Err(wrong("closes what was not opened")),
        }
        rest = &rest[size..];
    }
    let mentions = found.into_iter().map(|(number, (start, end))| match end {
        Some(end) => Ok(Mention {
            start,
            end,
            kind: None,
        }),
        None => Err(MentionError::Tag {
            tag: format!("<e{number}>"),
            problem: "is never closed",
        }),
    });
    Ok((plain, mentions.collect::<Result<_, _>>()?))
}

/// A tag at the start of a text: whether it closes, its number, and its length in bytes.
fn tag(text: &str) -> Option<(bool, usize, usize)> {
    let rest = text.strip_prefix('<')?;
    let (closing, rest) = match rest.strip_prefix('/') {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let rest = rest.strip_prefix(['e', 'E'])?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let number = rest[..digits].parse().ok()?;
    let rest = rest[digits..].strip_prefix('>')?;
    Some((closing, number, text.len() - rest.len()))
}

/// Marks the entities in the texts of a table; also returns the maximum number of entities in a text.
///
/// Entities are given by the columns `start1`, `end1` and optionally `type1`, and so on for `start2`, …; or, if the table
/// has no such columns, by tags in the text: see [`parse_tagged`]. Texts without entities are unchanged. Entities with an
/// empty start are skipped.
///
/// # Errors
/// An unknown column; entities that cannot be marked, reported with file and line.
pub fn mark_table(
    table: &Table,
    text: &Column,
    style: MarkStyle,
) -> Result<(Table, usize), DataError> {
    let at = table.column(text)?;
    let column = |name: String| table.columns.iter().position(|column| *column == name);
    let places: Vec<(usize, usize, Option<usize>)> = (1..)
        .map_while(|number| {
            let start = column(format!("start{number}"))?;
            let end = column(format!("end{number}"))?;
            Some((start, end, column(format!("type{number}"))))
        })
        .collect();
    let mut marked = table.clone();
    let mut most = 0;
    for row in &mut marked.rows {
        let mark = |row: &Row| -> Result<Option<(String, usize)>, MentionError> {
            let Some(text) = row.cells[at].to_text() else {
                return Ok(None);
            };
            let (plain, mentions) = match places.is_empty() {
                true => parse_tagged(&text)?,
                false => (text.into_owned(), placed(table, row, &places)?),
            };
            let marked = mark_entities(&plain, &mentions, style)?;
            Ok(Some((marked, mentions.len())))
        };
        let found = mark(row).map_err(|source| {
            DataError::Table(TableError::Mentions {
                path: table.name.clone(),
                place: table.place(row),
                source,
            })
        })?;
        if let Some((text, count)) = found {
            row.cells[at] = Cell::Text(text);
            most = most.max(count);
        }
    }
    Ok((marked, most))
}

/// The entities of a row, from its start, end and type columns.
fn placed(
    table: &Table,
    row: &Row,
    places: &[(usize, usize, Option<usize>)],
) -> Result<Vec<Mention>, MentionError> {
    let text = |at: usize| {
        let text = row.cells[at].to_text().unwrap_or_default();
        text.trim().to_string()
    };
    let position = |at: usize| {
        text(at).parse().map_err(|_| MentionError::Position {
            column: table.columns[at].clone(),
            found: text(at),
        })
    };
    let given = places
        .iter()
        .filter(|(start, _, _)| !text(*start).is_empty());
    given
        .map(|&(start, end, kind)| {
            Ok(Mention {
                start: position(start)?,
                end: position(end)?,
                kind: kind.map(text).filter(|kind| !kind.is_empty()),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;
    use crate::sources::{ReadOptions, read_relations, read_table_from};
    use crate::tokenizer::{TextTokenizer, TokenizerFamily, TrainOptions, train_tokenizer};

    fn mention(start: usize, end: usize) -> Mention {
        Mention {
            start,
            end,
            kind: None,
        }
    }

    #[test]
    fn files_with_and_without_a_header_have_the_same_columns() {
        let dir = tempfile::tempdir().unwrap();
        let read = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            read_relations(&path, &ReadOptions::default())
        };
        let train = read("train.tsv", "@GENE$ \"binds @DISEASE$.\t1\nno link\t0\n").unwrap();
        let test = read("test.tsv", "index\tsentence\tlabel\n0\t@GENE$ a\t1\n").unwrap();
        assert_eq!(train.columns, ["sentence", "label"]);
        assert_eq!((train.rows.len(), train.rows[0].line), (2, 1));
        assert_eq!(test.columns, ["index", "sentence", "label"]);
        assert_eq!((test.rows.len(), test.rows[0].line), (1, 2));
        assert_eq!(test.rows[0].cells[1], Cell::Text("@GENE$ a".into()));
        let other = read("x.csv", "Text,Relation,source\na,b,c\n").unwrap();
        assert_eq!(other.columns, ["sentence", "label", "source"]);
        let error = read("y.tsv", "a\tb\tc\td\n").unwrap_err();
        assert!(
            error.to_string().contains("4 columns without a header"),
            "{error}"
        );
    }

    #[test]
    fn entities_are_marked_by_their_number_wherever_they_lie() {
        let text = "Zoë's β-cell, x";
        let mark = |mentions: &[Mention], style| mark_entities(text, mentions, style).unwrap();
        let mentions = [mention(6, 12), mention(0, 3)];
        assert_eq!(
            mark(&mentions, MarkStyle::Markers),
            "[E2] Zoë [/E2] 's [E1] β-cell [/E1] , x"
        );
        assert_eq!(
            mark(&mentions, MarkStyle::Anonymised),
            "@ENTITY2$'s @ENTITY1$, x"
        );
        assert_eq!(
            mark(&[mention(6, 7), mention(6, 12)], MarkStyle::Markers),
            "Zoë's [E2] [E1] β [/E1] -cell [/E2] , x"
        );
        assert_eq!(mark(&[], MarkStyle::Markers), text);
        assert_eq!(
            mark(&[mention(14, 15)], MarkStyle::Markers),
            "Zoë's β-cell, [E1] x [/E1]"
        );
    }

    #[test]
    fn entities_that_cannot_be_marked_are_named() {
        let message = |mentions: &[Mention], style| {
            mark_entities("abcdef", mentions, style)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            message(&[mention(2, 9)], MarkStyle::Markers),
            "entity 1 is at 2 to 9 of a text of 6 characters"
        );
        let crossing = [mention(2, 4), mention(0, 3)];
        assert_eq!(
            message(&crossing, MarkStyle::Markers),
            "entities 1 and 2 overlap"
        );
        let nested = [mention(1, 2), mention(0, 3)];
        assert_eq!(
            message(&nested, MarkStyle::Anonymised),
            "entities 1 and 2 overlap"
        );
    }

    #[test]
    fn tags_become_entities_and_other_angle_brackets_stay() {
        let (text, mentions) = parse_tagged("a <e2>é</e2> <b> < <e1>cd</e1>").unwrap();
        assert_eq!(text, "a é <b> < cd");
        assert_eq!(mentions, [mention(10, 12), mention(2, 3)]);
        for (text, message) in [
            ("<e1>a", "`<e1>` is never closed"),
            ("a</e1>", "`</e1>` closes what was not opened"),
            ("<e1>a</e1><e1>b</e1>", "`<e1>` comes twice"),
        ] {
            assert_eq!(parse_tagged(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn tables_give_entities_by_columns_or_by_tags() {
        let table = |text: &str| {
            read_table_from(text.as_bytes(), "t.csv", &ReadOptions::default()).unwrap()
        };
        let text = "text,start1,end1,type1,start2,end2,type2\nTP53 in cancer,0,4,gene,8,14,disease\nnone,,,,,,\n";
        let (marked, most) =
            mark_table(&table(text), &"text".into(), MarkStyle::Anonymised).unwrap();
        assert_eq!(
            marked.rows[0].cells[0],
            Cell::Text("@GENE$ in @DISEASE$".into())
        );
        assert_eq!(
            (marked.rows[1].cells[0].clone(), most),
            (Cell::Text("none".into()), 2)
        );
        let tagged = table("text\n<e1>a</e1> b\n");
        let (marked, most) = mark_table(&tagged, &"text".into(), MarkStyle::Markers).unwrap();
        assert_eq!(marked.rows[0].cells[0], Cell::Text("[E1] a [/E1] b".into()));
        assert_eq!(most, 1);
        let broken = table("text,start1,end1\nabc,0,2\nabc,x,2\n");
        let error = mark_table(&broken, &"text".into(), MarkStyle::Markers).unwrap_err();
        assert_eq!(
            error.to_string(),
            "could not mark the entities on line 3 of `t.csv`"
        );
        assert_eq!(
            std::error::Error::source(&error).unwrap().to_string(),
            "column `start1` is `x`, expected a position in characters from 0"
        );
    }

    #[test]
    fn marker_tokens_are_added_behind_the_vocabulary_and_saved() {
        let tokenizer = train_tokenizer(["abc def"].into_iter(), &TrainOptions::default()).unwrap();
        let size = tokenizer.vocab_size();
        let markers = MarkStyle::Markers.tokens(2);
        assert_eq!(markers, ["[E1]", "[/E1]", "[E2]", "[/E2]"]);
        let tokenizer = tokenizer.with_added_tokens(&markers).unwrap();
        assert_eq!(tokenizer.vocab_size(), size + 4);
        let ids = tokenizer.encode("[E1] abc [/E1]", None, 16).unwrap().ids;
        assert_eq!(ids[1], size as u32);
        assert_eq!(ids[ids.len() - 2], size as u32 + 1);
        let dir = tempfile::tempdir().unwrap();
        tokenizer.save(dir.path()).unwrap();
        let again = TextTokenizer::from_dir(dir.path(), TokenizerFamily::Bert).unwrap();
        assert_eq!(again.vocab_size(), size + 4);
        assert_eq!(again.encode("[E1] abc [/E1]", None, 16).unwrap().ids, ids);
        // The saved configuration is kept when more tokens are added.
        let more = again.with_added_tokens(&["[E3]", "[E1]"]).unwrap();
        more.save(dir.path()).unwrap();
        assert_eq!(
            (more.vocab_size(), more.id("[E3]")),
            (size + 5, Some(size as u32 + 4))
        );
        let config = fs::read_to_string(dir.path().join("tokenizer_config.json")).unwrap();
        assert!(
            config.contains("[E3]") && config.contains("[/E2]"),
            "{config}"
        );
    }
}
